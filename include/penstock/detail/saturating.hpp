// SPDX-License-Identifier: MIT
/// Arithmetic on limits and times that stops at the end of the range instead of wrapping.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ratio>

namespace penstock::inline v0::detail {

constexpr std::size_t saturating_add(std::size_t a, std::size_t b) noexcept {
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

/// Rounded up to the clock's ticks; of units so long that the conversion itself would overflow, as good as a double
/// can.
template <class R, class P>
constexpr std::chrono::steady_clock::duration to_ticks(std::chrono::duration<R, P> time) {
    using ticks = std::chrono::steady_clock::duration;
    if constexpr (std::ratio_greater_v<P, std::giga>) {
        return std::chrono::ceil<ticks>(std::chrono::duration<double>(time));
    } else {
        return std::chrono::ceil<ticks>(time);
    }
}

constexpr std::size_t saturating_multiply(std::size_t a, std::size_t b) noexcept {
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

/// Now + `patience`, never earlier; nullopt (never) if that is beyond the clock's range. What is not positive, NaN
/// included, is now.
template <class R, class P>
std::optional<std::chrono::steady_clock::time_point> saturating_deadline(std::chrono::duration<R, P> patience) {
    using clock = std::chrono::steady_clock;
    const auto now = clock::now();
    const double seconds = std::chrono::duration<double>(patience).count();
    if (!(seconds > 0)) return now;
    const double left = std::chrono::duration<double>(clock::time_point::max() - now).count();
    if (seconds >= left * 0.999) return std::nullopt;
    return now + to_ticks(patience);
}

/// `time` on the clock's own scale, never earlier; what is beyond its range is the end of it. NaN is the beginning.
template <class Duration>
std::chrono::steady_clock::time_point
saturating_time(std::chrono::time_point<std::chrono::steady_clock, Duration> time) {
    using point = std::chrono::steady_clock::time_point;
    const double seconds = std::chrono::duration<double>(time.time_since_epoch()).count();
    const double most = std::chrono::duration<double>(point::max().time_since_epoch()).count();
    if (!(seconds > -most * 0.999)) return point::min();
    if (seconds >= most * 0.999) return point::max();
    return point(to_ticks(time.time_since_epoch()));
}

}  // namespace penstock::inline v0::detail
