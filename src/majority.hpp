// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>

#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// What most of the last few batches said. Single ones are often wrong: their thread was preempted. Advice, never
/// relied on.
class majority {
public:
    void count(bool says_so) noexcept {
        const int score = score_.load(std::memory_order_relaxed);
        const int next = std::clamp(score + (says_so ? 1 : -1), 0, 16);
        if (next != score) score_.store(next, std::memory_order_relaxed);
    }
    explicit operator bool() const noexcept { return score_.load(std::memory_order_relaxed) > 8; }

private:
    sync::atomic<int> score_{0};
};

}  // namespace penstock::inline v0::detail
