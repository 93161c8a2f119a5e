// SPDX-License-Identifier: MIT
/// Where a stream's records are, and what they hold of the producer's elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <penstock/detail/record.hpp>
#include <penstock/detail/shared_inputs.hpp>

namespace penstock::inline v0::detail {

/// Owns records, which live as long as it does. What a record holds lies in it; but inputs may have to outlive it, and
/// then lie outside.
///
/// Threads: make() is for one at a time; the others are for the owner of the record.
template <class Record, class Element, bool KeepsInput>
class record_store {
public:
    /// Before the first record is made: inputs may be shared.
    void share_inputs() noexcept { shares_ = KeepsInput; }

    record_store() = default;
    record_store(const record_store&) = delete;
    record_store& operator=(const record_store&) = delete;
    /// What was pulled and never taken: results that nobody asked for, tasks that never ran.
    ~record_store() {
        for (auto& chunk : chunks_) {
            for (Record& task : chunk) clear(task);
        }
    }

    /// A vacant one. Throws std::bad_alloc.
    Record* make() {
        if (unused_ == 0) {
            const std::size_t count = std::clamp<std::size_t>(chunks_.size() * 4, 1, 64);
            chunks_.emplace_back(count);
            unused_ = count;
        }
        Record* made = &chunks_.back()[unused_ - 1];
        if (shares_) inputs_.expect(*made);
        --unused_;
        return made;
    }

    /// Throws what making it throws.
    template <class Item>
    void hold(Record& task, Item&& item) {
        if constexpr (KeepsInput) {
            if (shares_) [[unlikely]]
                return hold_outside(task, std::forward<Item>(item));
        }
        task.held().construct(std::forward<Item>(item));
        task.holds_element = true;
    }
    auto& held_by(Record& task) noexcept {
        if constexpr (KeepsInput) {
            if (task.shares_input) return *static_cast<Element*>(inputs_.get(task));
        }
        return task.held().get();
    }

    /// Of a record whose input lies outside: another share in it, or where it is.
    std::shared_ptr<const Element> share_input(const record& running) const noexcept {
        return std::static_pointer_cast<const Element>(inputs_.of(running));
    }
    void* input_of(const record& done) noexcept { return inputs_.get(done); }

    /// Destroys whatever a record holds.
    void clear(Record& task) noexcept {
        task.destroy_rest();
        if (task.shares_input) [[unlikely]]
            drop_outside(task);
        task.destroy_element();
        task.clear();
    }

private:
    // Apart, so that what is done for every task of other streams stays short.
    template <class Item>
    [[gnu::noinline]] void hold_outside(Record& task, Item&& item) {
        inputs_.put(task, std::make_shared<Element>(std::forward<Item>(item)));
        task.shares_input = task.holds_element = true;
    }
    [[gnu::noinline]] void drop_outside(Record& task) noexcept {
        inputs_.drop(task);
        task.shares_input = task.holds_element = false;
    }

    std::vector<std::vector<Record>> chunks_;  ///< records never move: a chunk is made whole
    std::size_t unused_ = 0;
    bool shares_ = false;
    shared_inputs inputs_;
};

}  // namespace penstock::inline v0::detail
