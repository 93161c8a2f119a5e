// SPDX-License-Identifier: MIT
/// How often tasks may start.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include <penstock/gate.hpp>

namespace penstock::inline v0::detail {

/// The generic cell rate algorithm (ITU-T I.371), as virtual scheduling: `due_` is when the next start would be if all
/// had come evenly. Starts may run ahead of it by burst - 1 intervals. So in every window of length T there are no more
/// than burst + T * count / per.
///
/// Times are kept in units of 1/count ns since `origin_`: an interval is then `per` of them, and no fraction is lost.
/// Not synchronised.
class start_rate {
public:
    using clock = std::chrono::steady_clock;

    start_rate(const rate& how, clock::time_point now) noexcept : how_(how), origin_(now) {}

    /// When the start may be that comes behind `ahead` others; one in the past may be now.
    clock::time_point when(std::size_t ahead) const noexcept {
        const wide early = static_cast<wide>(std::min(how_.burst - 1, enough)) * how_.per.count();
        const wide at = due_ + static_cast<wide>(std::min(ahead, enough)) * how_.per.count() - early;
        if (at <= 0) return origin_;
        const wide nanoseconds = (at + units() - 1) / units();
        const wide most = (clock::time_point::max() - origin_).count();
        return nanoseconds >= most ? clock::time_point::max()
                                   : origin_ + clock::duration(static_cast<clock::rep>(nanoseconds));
    }

    void start(clock::time_point now) noexcept { due_ = std::max(due_, since_origin(now)) + how_.per.count(); }

    /// What has started remains, but counts no longer than the new burst takes.
    void change(const rate& how, clock::time_point now) noexcept {
        const wide nanoseconds = (due_ + units() - 1) / units();
        how_ = how;
        const wide used_up = since_origin(now) + static_cast<wide>(std::min(how_.burst, enough)) * how_.per.count();
        due_ = std::min(nanoseconds * units(), used_up);
    }

private:
    __extension__ using wide = __int128;
    static constexpr std::size_t enough = std::size_t{1} << 40;  // more than will ever start at once

    wide units() const noexcept { return static_cast<wide>(how_.count); }
    wide since_origin(clock::time_point at) const noexcept {
        return static_cast<wide>((at - origin_).count()) * units();
    }

    rate how_;
    clock::time_point origin_;
    wide due_ = 0;
};

}  // namespace penstock::inline v0::detail
