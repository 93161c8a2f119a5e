// SPDX-License-Identifier: MIT
/// What a stream has that runs jobs again: its slots, and the tasks that wait for their next attempt. attempts.md.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/options.hpp>

#include "alarm.hpp"

namespace penstock::inline v0::detail {

class stream_engine;
class timers;

/// Threads: any. Locks: its mutex comes before that of the timers; nothing of the user's is called under it.
class retry_side {
public:
    using clock = std::chrono::steady_clock;

    /// `slots`: how many tasks may be in flight. Throws std::invalid_argument.
    retry_side(stream_engine& stream, timers& timing, const retry_policy& policy, std::size_t slots);

    // --- the slots: of tasks that are in flight, and one of who holds the producer's turn, which what is due may take
    void return_slot() noexcept { taken_slots_.fetch_sub(1); }
    std::size_t free_slots() const noexcept { return slots_ - taken_slots_.load(); }
    /// The holder of the turn, about to pull.
    bool reserve() noexcept;
    /// It has pulled: whether it still has the slot. Otherwise put_pulled(), or leave it.
    bool keep_reserved() noexcept { return reserved_.exchange(false); }
    /// It has pulled nothing.
    void give_up_reserved() noexcept {
        if (keep_reserved()) return_slot();
    }
    /// What has been pulled and has no slot is due at once, behind all that is.
    void put_pulled(record& pulled) noexcept;

    // --- whoever has run a task that failed
    /// Whether to run it again; then the failure is counted, and there is room for put(), which is to follow
    /// (or take_back()). `failures`: of the task, before.
    bool wants_again(const record& failed, unsigned failures, std::exception_ptr why) noexcept;
    /// After all, it is not.
    void take_back(const record& failed) noexcept;
    /// It gives up its slot, and waits; others may have it when this returns. If there is no thread for timers, gives
    /// the time at which who calls must look() himself.
    [[nodiscard]] std::optional<clock::time_point> put(record& failed) noexcept;
    void look() noexcept;

    // --- whoever finds that tasks are due
    bool any_due() const noexcept { return due_.load(); }
    bool has_slot_for_due() const noexcept { return free_slots() > 0 || reserved_.load(); }
    /// The one that has been due for longest, with a slot; null if there is none.
    record* take_due() noexcept;

    // --- whoever finds that the stream ends
    /// Takes those that wait, due or not, and for which given_up(record&) says yes; without slots. As many as there is
    /// room for; returns how many. Cost: a look at all that wait.
    template <class GivenUp>
    std::size_t take_given_up(std::span<record*> into, GivenUp given_up) noexcept {
        const sync::lock_guard guard(mutex_);
        std::size_t count = 0;
        std::erase_if(waiting_, [&](const entry& each) {
            if (count == into.size() || !given_up(*each.task)) return false;
            into[count++] = each.task;
            return true;
        });
        if (count == 0) return 0;
        std::make_heap(waiting_.begin(), waiting_.end(), later);
        note_resumed_locked(count);
        return count;
    }

    // --- the timers' thread
    void went_off() noexcept;
    // --- who joins: the alarm does not go off any more, unless it has
    void close() noexcept;

    /// How often a task has failed and been kept. By who owns it.
    unsigned failures(const record& task) const noexcept;
    /// The same for what stands in for it, which was expected.
    void set_failures(const record& stand_in, unsigned failures) noexcept;
    /// Throws std::bad_alloc.
    void expect(const record& stand_in);
    /// The attempt that was to follow will not be made.
    void discount(const record& task) noexcept;

    // For stats(): how many have given up their slots to wait, and how many of those wait no more.
    std::size_t paused() const noexcept { return paused_.load(); }
    std::size_t resumed() const noexcept { return resumed_.load(); }

private:
    struct entry {
        clock::time_point when;
        record* task;
    };
    static bool later(const entry& a, const entry& b) noexcept { return a.when > b.when; }

    clock::time_point next_attempt(unsigned failures) noexcept;
    bool take_slot() noexcept;
    void push_locked(const entry& added) noexcept;
    void note_resumed_locked(std::size_t count) noexcept;
    void note_due_locked() noexcept;
    bool arm_locked() noexcept;

    timers& timing_;
    const retry_policy policy_;
    const std::size_t slots_;
    sync::atomic<std::size_t> taken_slots_{0};
    sync::atomic<bool> reserved_{false};  ///< one of them is the turn holder's, and has no task
    sync::atomic<bool> due_{false};       ///< the first in the heap is; changes under the mutex
    sync::atomic<std::size_t> paused_{0};
    sync::atomic<std::size_t> resumed_{0};

    mutable sync::mutex mutex_;
    std::vector<entry> waiting_;  ///< a heap: whose time comes first is first. With room for one that has been pulled
    std::size_t promised_ = 0;    ///< for how many put() will be called
    std::unordered_map<const record*, unsigned> failures_;
    std::minstd_rand random_;
    alarm wake_;
    bool wake_is_set_ = false;
    bool closed_ = false;
};

}  // namespace penstock::inline v0::detail
