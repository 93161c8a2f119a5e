// SPDX-License-Identifier: MIT
#include "timers.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include <pthread.h>

#include "cpu_lane.hpp"
#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using clock = std::chrono::steady_clock;

/// How many frames are handled at a time, so that others get at the wheel meanwhile.
constexpr std::size_t most_at_once = 256;

/// Where one wait ends after the other, to wake a worker for each would cost more than the tasks do: they are looked at
/// no more often than this. A wait that ends alone ends on time.
constexpr auto shortest_round = std::chrono::duration_cast<clock::duration>(std::chrono::milliseconds(1)).count();

timer_wheel::rep now() noexcept { return clock::now().time_since_epoch().count(); }

}  // namespace

void timer_wheel::add(suspended_frame& waiting) noexcept {
    const std::uint64_t tick = std::max(static_cast<std::uint64_t>(waiting.until) >> tick_bits, tick_);
    const std::uint64_t differs = tick ^ tick_;
    const std::size_t level = differs == 0 ? 0 : (std::bit_width(differs) - 1) / digit_bits;
    const std::size_t digit = tick >> level * digit_bits & (digits - 1);
    waiting.behind = std::exchange(lists_[level][digit], &waiting);
    filled_[level] |= std::uint64_t{1} << digit;
}

/// The list that comes first in time: groups are later than whatever the levels below them hold.
bool timer_wheel::first(place& found) const noexcept {
    for (std::size_t level = 0; level < levels; ++level) {
        if (filled_[level] == 0) continue;
        found = {level, static_cast<std::size_t>(std::countr_zero(filled_[level]))};
        return true;
    }
    return false;
}

/// The first tick of it.
std::uint64_t timer_wheel::begin_of(place at) const noexcept {
    const std::size_t bits = at.level * digit_bits;
    const std::uint64_t above = tick_ & ~((std::uint64_t{1} << bits << digit_bits) - 1);
    return above | std::uint64_t{at.digit} << bits;
}

timer_wheel::rep timer_wheel::next() const noexcept {
    if (dealing_) return 0;
    place at{};
    if (!first(at)) return never;
    const ticket* list = lists_[at.level][at.digit];
    rep earliest = list->until;
    if (at.level > 0 && list->behind) return static_cast<rep>(begin_of(at) << tick_bits);
    for (; list; list = list->behind) earliest = std::min(earliest, list->until);
    return earliest;
}

bool timer_wheel::advance(rep now, ready_list& due) noexcept {
    const std::uint64_t present = static_cast<std::uint64_t>(now) >> tick_bits;
    for (std::size_t steps = 0;;) {
        while (dealing_) {
            if (++steps > most_at_once) return false;
            ticket* dealt = std::exchange(dealing_, dealing_->behind);
            add(static_cast<suspended_frame&>(*dealt));
        }
        place at{};
        const bool any = first(at);
        const std::uint64_t begin = any ? begin_of(at) : present;
        if (!any || begin > present) {
            tick_ = present;  // no list lies between, so each stays where it is
            return true;
        }
        tick_ = begin;
        ticket*& list = lists_[at.level][at.digit];
        if (at.level > 0) {
            dealing_ = std::exchange(list, nullptr);
        } else if (!take_due(list, now, due, steps)) {
            return false;
        }
        if (!list) filled_[at.level] &= ~(std::uint64_t{1} << at.digit);
        if (list) return true;  // the present tick: what is left in it is not due
    }
}

bool timer_wheel::take_due(ticket*& list, rep now, ready_list& due, std::size_t& steps) noexcept {
    for (ticket** at = &list; *at;) {
        if ((*at)->until > now) {
            at = &(*at)->behind;
            continue;
        }
        if (++steps > most_at_once) return false;
        ticket* taken = std::exchange(*at, (*at)->behind);
        due.push(*taken);
    }
    return true;
}

void timer_wheel::remove(const stream_engine& of, ready_list& taken) noexcept {
    const auto search = [&](ticket*& list) {
        for (ticket** at = &list; *at;) {
            if ((*at)->owner() == &of) {
                ticket* found = std::exchange(*at, (*at)->behind);
                taken.push(*found);
            } else {
                at = &(*at)->behind;
            }
        }
    };
    search(dealing_);
    for (std::size_t level = 0; level < levels; ++level) {
        for (std::size_t digit = 0; digit < digits; ++digit) {
            search(lists_[level][digit]);
            if (!lists_[level][digit]) filled_[level] &= ~(std::uint64_t{1} << digit);
        }
    }
}

timers::~timers() { shut_down(); }

void timers::shut_down() noexcept {
    {
        const sync::lock_guard guard(mutex_);
        ending_ = true;
    }
    changed_.unpark();
    if (thread_.joinable()) thread_.join();
}

bool timers::start(suspended_frame& started) {
    stream_engine& engine = *started.root->engine;
    bool earliest = false;
    const auto present = now();
    // A task whose time is up first is woken then, and told so: nobody needs to look for it.
    const rep end = engine.end_of(*started.root).time_since_epoch().count();
    const bool times_out = end < started.until;
    if (times_out) started.until = end;
    {
        const sync::lock_guard guard(mutex_);
        // Under the lock: a stop that is not seen here finds the frame in the wheel.
        started.stopped = times_out || engine.stops_tasks();
        if (engine.stops_tasks() || started.until <= present) return false;
        if (!thread_.joinable()) thread_ = sync::thread([this] { run(); });
        engine.sleeps = true;
        waiting_.add(started);
        const auto looked_at = std::max(started.until, next_round_);
        earliest = looked_at < wakes_;
        if (earliest) wakes_ = looked_at;
    }
    if (earliest) changed_.unpark();
    return true;
}

void timers::stop(const stream_engine& of) noexcept {
    ready_list stopped;
    {
        const sync::lock_guard guard(mutex_);
        if (!of.sleeps) return;
        waiting_.remove(of, stopped);
        for (ticket* each = stopped.first(); each; each = each->behind)
            static_cast<suspended_frame*>(each)->stopped = true;
    }
    lane_.add_all(stopped);
}

bool timers::set(alarm& set) noexcept {
    bool earliest = false;
    {
        const sync::lock_guard guard(mutex_);
        try {
            if (!thread_.joinable()) thread_ = sync::thread([this] { run(); });
        } catch (...) {
            return false;
        }
        alarm* before = last_alarm_;  // deadlines are mostly set in the order in which they come
        while (before && before->until > set.until) before = before->earlier;
        set.earlier = before;
        set.later = before ? before->later : first_alarm_;
        (set.earlier ? set.earlier->later : first_alarm_) = &set;
        (set.later ? set.later->earlier : last_alarm_) = &set;
        set.set = true;
        earliest = first_alarm_ == &set;
    }
    if (earliest) changed_.unpark();
    return true;
}

bool timers::cancel(alarm& set) noexcept {
    const sync::lock_guard guard(mutex_);
    if (!set.set) return false;
    unlink(set);
    return true;
}

void timers::unlink(alarm& set) noexcept {
    (set.earlier ? set.earlier->later : first_alarm_) = set.later;
    (set.later ? set.later->earlier : last_alarm_) = set.earlier;
    set.set = false;
}

/// Under the mutex. Those that are due, linked by `later`; their streams are held until they have been served.
alarm* timers::take_due_alarms(std::chrono::steady_clock::time_point now) noexcept {
    alarm* due = nullptr;
    while (first_alarm_ && first_alarm_->until <= now) {
        alarm* next = first_alarm_;
        unlink(*next);
        next->engine.hold();
        next->later = std::exchange(due, next);
    }
    return due;
}

void timers::run() noexcept {
    pthread_setname_np(pthread_self(), "penstock/t");
    sync::unique_lock lock(mutex_);
    while (!ending_) {
        ready_list due;
        const rep present = now();
        const bool all = waiting_.advance(present, due);
        alarm* alarms = take_due_alarms(clock::time_point(clock::duration(present)));
        rep next = !all ? 0 : std::max(waiting_.next(), next_round_);
        if (first_alarm_) next = std::min<rep>(next, first_alarm_->until.time_since_epoch().count());
        if (!due.empty()) next_round_ = present + shortest_round;
        // While it does not wait, it need not be woken.
        wakes_ = due.empty() ? next : 0;
        lock.unlock();
        while (alarms) {
            alarm& due_one = *std::exchange(alarms, alarms->later);
            due_one.engine.go_off(due_one);
        }
        if (!due.empty()) {
            lane_.add_all(due);
        } else if (next == timer_wheel::never) {
            changed_.park(std::nullopt);
        } else if (next > present) {
            changed_.park(clock::time_point(clock::duration(next)));
        }
        lock.lock();
    }
}

}  // namespace penstock::inline v0::detail
