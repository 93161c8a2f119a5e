// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>

namespace penstock::inline v0::detail {

/// What a pump that serves remembers from one look around to the next.
struct resting {
    unsigned not_displaced = 0;  ///< for so many batches more: the consumer was found gone, or slow
    unsigned naps = 0;           ///< in a row
};

/// What it sees of the consumer's.
struct consumer_progress {
    std::chrono::steady_clock::time_point at;
    std::size_t taken;  ///< results
    std::size_t ended;  ///< tasks that it ran itself
};

}  // namespace penstock::inline v0::detail
