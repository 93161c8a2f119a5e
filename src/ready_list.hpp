// SPDX-License-Identifier: MIT
/// What waits for a thread, in the order in which it came.
#pragma once

#include <cstddef>

#include <penstock/detail/ticket.hpp>

namespace penstock::inline v0::detail {

/// First in, first out; a ticket can also be taken from the middle. Not synchronised: the lane's mutex guards it.
class ready_list {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    ticket* first() const noexcept { return first_; }

    void push(ticket& added) noexcept {
        added.before = last_;
        added.behind = nullptr;
        added.queued = true;
        (last_ ? last_->behind : first_) = &added;
        last_ = &added;
        ++size_;
    }

    void push_front(ticket& added) noexcept {
        added.before = nullptr;
        added.behind = first_;
        added.queued = true;
        (first_ ? first_->before : last_) = &added;
        first_ = &added;
        ++size_;
    }

    /// Takes over a whole list, whose tickets come last.
    void append(ready_list& added) noexcept {
        if (added.empty()) return;
        added.first_->before = last_;
        (last_ ? last_->behind : first_) = added.first_;
        last_ = added.last_;
        size_ += added.size_;
        added = ready_list();
    }

    void remove(ticket& taken) noexcept {
        (taken.before ? taken.before->behind : first_) = taken.behind;
        (taken.behind ? taken.behind->before : last_) = taken.before;
        taken.before = taken.behind = nullptr;
        taken.queued = false;
        --size_;
    }

private:
    ticket* first_ = nullptr;
    ticket* last_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace penstock::inline v0::detail
