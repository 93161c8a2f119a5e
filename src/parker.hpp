// SPDX-License-Identifier: MIT
/// Sleep and wake one thread, with or without a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::sync {

using time_point = std::chrono::steady_clock::time_point;

/// Sleeps while `word` holds `expected`, until `until` at the latest. May return early without cause.
void futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected, std::optional<time_point> until) noexcept;
/// Wakes everybody who sleeps on `word`.
void futex_wake(atomic<std::uint32_t>& word) noexcept;

/// A token that one thread waits for and any thread hands over. A token handed over early is not lost, two are one.
///
/// Protocol of use: the waiter announces itself, looks once more whether there is something to wait for, and only then
/// parks; the others make something to wait for, and then look whether somebody announced himself. (Linux's futex(2)
/// rather than std::atomic::wait, which has no deadline.)
class parker {
public:
    /// Returns when a token was there, and takes it; or at `until`, with or without one.
    void park(std::optional<time_point> until = {}) noexcept {
        while (token_.exchange(0) == 0) {
            if (until && std::chrono::steady_clock::now() >= *until) return;
            futex_wait(token_, 0, until);
        }
    }
    void unpark() noexcept {
        if (token_.exchange(1) == 0) futex_wake(token_);
    }

private:
    atomic<std::uint32_t> token_{0};
};

}  // namespace penstock::inline v0::sync
