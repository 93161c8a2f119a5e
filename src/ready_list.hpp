// SPDX-License-Identifier: MIT
/// What waits for a worker.
#pragma once

#include <cstddef>

namespace penstock::inline v0::detail {

class stream_engine;

/// Something that a worker can run: a pump, or a posted task. Its links are its own, so becoming ready can not fail.
struct ticket {
    ticket* before = nullptr;
    ticket* behind = nullptr;
    bool queued = false;  ///< in a ready list

    /// On a worker, without a lock. The ticket may be gone when it returns.
    virtual void serve() noexcept = 0;
    /// The stream whose pump this is; null for a posted task.
    virtual stream_engine* stream() noexcept { return nullptr; }

protected:
    ~ticket() = default;
};

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
