// SPDX-License-Identifier: MIT
/// Records without a task, on their way from the consumer back to the producer.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// Last in, first out. The first few are kept as pointers: whoever takes them over can have all their cache lines fetched
/// at once, where a linked list would wait for one line to learn of the next.
class vacant_list {
public:
    static constexpr std::size_t near = 32;

    bool empty() const noexcept { return count_ == 0 && !rest_; }
    /// Of those kept as pointers.
    std::size_t size() const noexcept { return count_; }

    void push(record& vacant) noexcept {
        if (count_ < near) {
            near_[count_++] = &vacant;
        } else {
            vacant.link.store(rest_, std::memory_order_relaxed);
            rest_ = &vacant;
        }
    }
    record* pop() noexcept {
        if (count_ > 0) return near_[--count_];
        record* taken = rest_;
        rest_ = taken->link.load(std::memory_order_relaxed);
        return taken;
    }
    /// Moves up to `near` of them to `into`; returns how many.
    std::size_t move_to(std::array<record*, near>& into) noexcept {
        const std::size_t moved = count_;
        std::copy_n(near_.begin(), moved, into.begin());
        for (count_ = 0; rest_ && count_ < near; ++count_) {
            near_[count_] = rest_;
            rest_ = rest_->link.load(std::memory_order_relaxed);
        }
        return moved;
    }

private:
    std::array<record*, near> near_;
    std::size_t count_ = 0;
    record* rest_ = nullptr;
};

/// One place, filled by the consumer when it is empty and emptied by the holder of the producer's turn when it is not.
/// O6: each side's release of count_ is acquired by the other before it touches items_.
class vacant_exchange {
public:
    /// The consumer. Does nothing while the last ones are still there.
    void take_over(vacant_list& from) noexcept {
        if (count_.load(std::memory_order_acquire) != 0) return;  // O6
        count_.store(from.move_to(items_), std::memory_order_release);
    }
    /// The holder of the turn.
    void hand_over(vacant_list& to) noexcept {
        const std::size_t count = count_.load(std::memory_order_acquire);  // O6
        if (count == 0) return;
        for (std::size_t i = 0; i < count; ++i) {
            __builtin_prefetch(items_[i], 1);
            to.push(*items_[i]);
        }
        count_.store(0, std::memory_order_release);
    }

private:
    alignas(64) sync::atomic<std::size_t> count_{0};
    std::array<record*, vacant_list::near> items_;
};

}  // namespace penstock::inline v0::detail
