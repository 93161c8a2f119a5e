// SPDX-License-Identifier: MIT
/// What a stream has whose tasks may time out: each running task's own stop source, and when its time is up.
/// attempts.md.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <unordered_map>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>

#include "alarm.hpp"

namespace penstock::inline v0::detail {

class stream_engine;
class timers;

/// One attempt of a task.
///
///     idle --begin()--> running --end()--> idle
///     running --take_due()--> undecided --decide()--> overdue or repeated --end()--> idle
///
/// What ends while it is undecided is left to who decides.
struct timed_attempt {
    enum class state : std::uint8_t { idle, running, undecided, overdue, repeated };

    // --- of whoever begins it; not changed until it has ended
    record* task = nullptr;
    std::size_t index = 0;
    bool may_repeat = false;
    unsigned failures = 0;  ///< of the task, before
    std::chrono::steady_clock::time_point began{};
    std::chrono::steady_clock::time_point until{};
    std::stop_source stop{std::nostopstate};
    std::stop_token token;  ///< here, for a coroutine's parameter may refer to it
    struct relay {
        std::stop_source to;
        void operator()() noexcept { to.request_stop(); }
    };
    std::optional<std::stop_callback<relay>> of_stream;  ///< the stream's stop is its own as well

    // --- guarded by the mutex
    state is = state::idle;
    bool ended = false;          ///< while it was undecided
    bool to_be_stopped = false;  ///< in the list of those
    record* stand_in = nullptr;  ///< what is delivered in its stead
    bool passed = false;         ///< submission order: the consumer needs its record no more
    bool gone = false;           ///< nor does its task
    timed_attempt* before = nullptr;
    timed_attempt* behind = nullptr;
};

/// Threads: any. Locks: its mutex comes before that of the timers; nothing of the user's is called under it, but what
/// copies a std::shared_ptr.
class timeout_side {
public:
    using clock = std::chrono::steady_clock;

    /// Throws std::invalid_argument.
    timeout_side(stream_engine& stream, timers& timing, clock::duration patience);

    // --- whoever runs a task
    /// It is about to begin: gives its own token. Throws std::bad_alloc.
    const std::stop_token& prepare(record& task, const std::stop_source& of_stream, bool may_repeat, unsigned failures);
    /// Its time runs.
    void begin(const record& task) noexcept;
    enum class verdict : std::uint8_t { in_time, late, undecided, overdue, repeated };
    /// It has ended. `late`: nobody else knows. `undecided`: it is left to who decides.
    verdict end(const record& task) noexcept;
    /// An overdue task has really ended, and is destroyed. Submission order: false if the consumer has not passed it.
    bool recycle(record& task, bool in_order) noexcept;
    const std::stop_token& token_of(const record& running) const noexcept;
    clock::time_point end_of(const record& running) const noexcept;

    // --- the holder of the producer's turn
    std::size_t spares() const noexcept { return spares_.load(); }
    void add_spare(record& vacant) noexcept;

    // --- who is told that a time is up
    /// The alarm has gone off. It is set again, for soon, in case who looks now is held up by what it calls.
    void went_off() noexcept;
    /// The first whose time is up; it is undecided. Null if there is none.
    timed_attempt* take_due() noexcept;
    /// What is delivered in its stead is filled by fill(stand_in), which must not throw; null if it is to be
    /// `repeated`. Returns whether it has ended meanwhile.
    template <class Fill>
    bool decide(timed_attempt& undecided, bool repeated, Fill fill) noexcept {
        const sync::lock_guard guard(mutex_);
        if (repeated) {
            undecided.is = timed_attempt::state::repeated;
        } else {
            undecided.is = timed_attempt::state::overdue;
            undecided.stand_in = take_spare_locked();
            fill(*undecided.stand_in);
            overdue_.fetch_add(1);
        }
        undecided.to_be_stopped = !undecided.ended;
        if (undecided.to_be_stopped) push_locked(to_stop_, undecided);
        return undecided.ended;
    }
    /// Has the alarm set for the next.
    void arm() noexcept;
    /// The stop source of an attempt whose time is up, and which has not been told so; none if there is none.
    std::optional<std::stop_source> take_to_stop() noexcept;

    // --- the consumer, in submission order
    record* stand_in(const record& timed_out) const noexcept;
    /// Returns whether the task has ended, so that its record is free.
    bool pass(const record& timed_out) noexcept;

    // --- who joins
    void close() noexcept;
    alarm& wake() noexcept { return wake_; }

    /// How many have been delivered before they had ended, and how many of those have ended since.
    std::size_t overdue() const noexcept { return overdue_.load(); }
    std::size_t overdue_ended() const noexcept { return overdue_ended_.load(); }
    void note_overdue_ended() noexcept { overdue_ended_.fetch_add(1); }
    bool any_overdue() const noexcept { return overdue_ended_.load() != overdue_.load(); }

    /// Of whom it ends: from when its time ran.
    clock::duration elapsed(const record& ended) const noexcept;

private:
    /// In the order in which they were added.
    struct list {
        timed_attempt* first = nullptr;
        timed_attempt* last = nullptr;
    };
    static void push_locked(list& to, timed_attempt& added) noexcept;
    static void remove_locked(list& from, timed_attempt& removed) noexcept;
    void arm_locked(clock::time_point not_before = {}) noexcept;
    record* take_spare_locked() noexcept;

    timers& timing_;
    const clock::duration patience_;
    sync::atomic<std::size_t> overdue_{0};
    sync::atomic<std::size_t> overdue_ended_{0};
    sync::atomic<std::size_t> spares_{0};  ///< changes under the mutex

    mutable sync::mutex mutex_;
    std::unordered_map<const record*, timed_attempt> attempts_;  ///< what has been in it stays
    list running_;  ///< who began first, and so is the first whose time is up, comes first
    list to_stop_;
    record* spare_ = nullptr;  ///< as many records without a task as there are attempts running
    alarm wake_;
    bool wake_is_set_ = false;
    bool closed_ = false;
};

}  // namespace penstock::inline v0::detail
