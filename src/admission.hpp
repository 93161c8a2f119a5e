// SPDX-License-Identifier: MIT
/// How many tasks may be pulled now.
#pragma once

#include <algorithm>
#include <cstddef>

#include <penstock/detail/saturating.hpp>
#include <penstock/options.hpp>

namespace penstock::inline v0::detail {

/// The two caps of one stream, and the arithmetic on them.
///
/// I2: pulled - ended <= limit and pulled - taken <= window, at every instant. `pulled` moves only in the hands of the
/// holder of the producer's turn, who asks room() first; `ended` and `taken` only grow, so what he read of them can
/// only be too small, and room() too small with them.
class admission {
public:
    /// `useful`: more tasks in flight than this would only wait; they are not pulled.
    admission(const options& settings, std::size_t useful) noexcept
        : limit_(settings.limit), in_flight_(std::min(settings.limit, useful)),
          window_(saturating_add(settings.limit, buffer(settings))) {}

    std::size_t limit() const noexcept { return limit_; }
    /// What of it is of use.
    std::size_t in_flight() const noexcept { return in_flight_; }

    std::size_t room(std::size_t pulled, std::size_t ended, std::size_t taken) const noexcept {
        return std::min(limit_room(pulled, ended), window_room(pulled, taken));
    }
    /// Differences saturate at 0 for readers who do not hold the turn, and so may read the counters out of step.
    std::size_t limit_room(std::size_t pulled, std::size_t ended) const noexcept {
        return in_flight_ - std::min(in_flight_, pulled - std::min(pulled, ended));
    }
    std::size_t window_room(std::size_t pulled, std::size_t taken) const noexcept {
        return window_ - std::min(window_, pulled - std::min(pulled, taken));
    }

private:
    static std::size_t buffer(const options& settings) noexcept {
        if (settings.buffer != auto_buffer) return settings.buffer;
        return settings.order == order::completion ? settings.limit : saturating_multiply(settings.limit, 4);
    }

    const std::size_t limit_;
    const std::size_t in_flight_;
    const std::size_t window_;
};

}  // namespace penstock::inline v0::detail
