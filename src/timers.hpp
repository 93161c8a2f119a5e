// SPDX-License-Identifier: MIT
/// Waiting for points in time: the frames that do, and one thread, which is made when it is first needed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/detail/timer.hpp>

#include "alarm.hpp"
#include "parker.hpp"
#include "ready_list.hpp"

namespace penstock::inline v0::detail {

class cpu_lane;

/// Frames by the time for which they wait, in the links of their own: it takes no memory for them, and the same few
/// steps for each, however many there are. Not synchronised.
///
/// Time is counted in ticks of 65 us, in digits of six bits. Level 0 has a list for each tick that differs from the
/// present one in the last digit alone, level 1 for each group of 64 ticks that differs in the last but one, and so on.
/// When the present enters a group, its frames are dealt out to the levels below. What is due in the present tick is
/// told by looking at each frame in its list.
class timer_wheel {
public:
    using rep = std::chrono::steady_clock::rep;
    static constexpr rep never = INT64_MAX;

    void add(suspended_frame& waiting) noexcept;
    /// Moves to `due` what is due at `now`, tick by tick. False if there may be more, for it has done enough at a time.
    bool advance(rep now, ready_list& due) noexcept;
    /// When to advance next: when the next frame is due, or earlier, to deal out a group.
    rep next() const noexcept;
    /// Moves to `taken` what belongs to a stream.
    void remove(const stream_engine& of, ready_list& taken) noexcept;

private:
    static constexpr unsigned tick_bits = 16;
    static constexpr unsigned digit_bits = 6;
    static constexpr std::size_t digits = 64;
    static constexpr std::size_t levels = 8;

    struct place {
        std::size_t level, digit;
    };
    bool first(place& found) const noexcept;
    std::uint64_t begin_of(place at) const noexcept;
    bool take_due(ticket*& list, rep now, ready_list& due, std::size_t& steps) noexcept;

    std::array<std::array<ticket*, digits>, levels> lists_{};
    std::array<std::uint64_t, levels> filled_{};  ///< a bit for each list that is not empty
    ticket* dealing_ = nullptr;                   ///< what is left of a group that is being dealt out
    std::uint64_t tick_ = 0;                      ///< the present
};

/// Threads: any. Locks: its mutex is an innermost one.
class timers {
public:
    explicit timers(cpu_lane& resumes_on) noexcept : lane_(resumes_on) {}
    ~timers();
    timers(const timers&) = delete;
    timers& operator=(const timers&) = delete;

    /// See detail::start_timer().
    bool start(suspended_frame& started);
    /// No timer waits any more. Joins.
    void shut_down() noexcept;
    /// Ends the waits of a stream's tasks: each goes on, `stopped`. Those that are started afterwards find out themselves, as
    /// the stream's stop has been requested before this is called.
    void stop(const stream_engine& of) noexcept;

    /// Sets an alarm. False: it will not go off, for there is no thread and none can be made; those who wait have to look
    /// at the clock themselves.
    [[nodiscard]] bool set(alarm& set) noexcept;
    /// False: it is not set any more; if it has gone off, its stream was held before this returns.
    bool cancel(alarm& set) noexcept;

private:
    using rep = timer_wheel::rep;

    void run() noexcept;
    alarm* take_due_alarms(std::chrono::steady_clock::time_point now) noexcept;
    void unlink(alarm& set) noexcept;

    cpu_lane& lane_;
    sync::mutex mutex_;
    timer_wheel waiting_;
    rep next_round_ = 0;
    rep wakes_ = 0;  ///< when the thread will look again; what is earlier must wake it
    alarm* first_alarm_ = nullptr;  ///< the earliest first: one for each live stream with a deadline
    alarm* last_alarm_ = nullptr;
    bool ending_ = false;
    sync::parker changed_;
    sync::thread thread_;
};

}  // namespace penstock::inline v0::detail
