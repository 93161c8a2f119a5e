// SPDX-License-Identifier: MIT
/// The lane for jobs that may block: threads are made while there is more to do than threads, and end when they have
/// been idle for a while.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include <penstock/detail/sync.hpp>
#include <penstock/detail/ticket.hpp>

#include "parker.hpp"
#include "ready_list.hpp"

namespace penstock::inline v0::detail {

/// Serves tickets, first in, first out, as many at a time as there may be threads. A ticket is left to the threads that
/// are coming if there are enough of them; else it wakes an idle one, else it has one made. An alarm goes first and
/// gets a thread in any case: it may be what all others wait for.
///
/// B1 (README.md) says when a thread is made: while tickets wait, as many threads as there are tickets are coming, or
/// all that may be made are serving, or making one has failed.
///
/// Threads: any. Locks: under its mutex the CPU lane's may be taken, and no other. Memory: a thread that has ended is
/// joined by the next one that ends: however many come and go, one at most is left over.
class blocking_lane {
public:
    using duration = std::chrono::steady_clock::duration;

    /// `patience`: how long a thread stays idle.
    blocking_lane(std::size_t most_threads, std::string thread_name, duration patience);
    ~blocking_lane();
    blocking_lane(const blocking_lane&) = delete;
    blocking_lane& operator=(const blocking_lane&) = delete;

    std::size_t most_threads() const noexcept { return most_threads_; }
    /// How many threads there are now. May be stale.
    std::size_t approx_threads() const noexcept;

    /// Has a thread serve the ticket. If there is none and none can be made, refuses it and all that wait with it.
    void add(ticket& ready) noexcept;

    /// The same by a thread of this lane that will be back at once, and so can serve it itself.
    void add_for_this_thread(ticket& ready) noexcept;

    /// Whether a ticket waits that no thread is coming for. May be stale.
    bool approx_crowded() const noexcept { return crowded_.load(); }
    /// And whether it is one that take_for_worker() would take.
    bool approx_wants_worker() const noexcept { return wants_worker_.load(); }

    /// While it exists, the calling thread serves a ticket in the middle of something else: it will not be back at
    /// once.
    class detour {
    public:
        detour() noexcept;
        ~detour();
        detour(const detour&) = delete;
        detour& operator=(const detour&) = delete;
    };

    /// Takes back a ticket that waits and that the stream gives up. Null if there are no more.
    ticket* withdraw(const ticket_owner& owner) noexcept;

    /// Takes a ticket that waits for a thread, and that who waits for this stream inside a task may run. Null if there
    /// is none. `look`: leaves it there. `pumps_only`: no jobs.
    ticket* take_for(const ticket_owner& waiting, bool look, bool pumps_only = false) noexcept;

    /// Takes a pump or an alarm that waits for a thread; a worker that has nothing to do will do. Null if there is
    /// none.
    ticket* take_for_worker() noexcept;

    /// Serves what waits, and joins. Nobody may add any more but what is served.
    void shut_down() noexcept;

    /// The calling thread, if it is one of the lane's, will be back before it does anything that may block: what is
    /// added meanwhile may be left to it. It may take that back.
    void announce_return() noexcept;
    /// True: until it is back it is not counted against `most_threads`, for it may be in a producer for long (C12).
    /// False: somebody has been promised this thread, and there is no other for him: it must not be long.
    [[nodiscard]] bool revoke_return() noexcept;

private:
    struct worker;

    /// What has become of a search for a thread.
    enum class search : std::uint8_t { found, futile, failed };

    void push_locked(ticket& ready, bool first) noexcept;
    void remove_locked(ticket& ready) noexcept;
    search provide_thread(sync::unique_lock& lock, bool urgent = false) noexcept;
    bool wake_idle_locked() noexcept;
    void rouse_nested_locked() noexcept;
    void note_load_locked() noexcept;
    bool make_thread() noexcept;
    void refuse_all(std::exception_ptr why) noexcept;
    void run(worker& self) noexcept;
    bool surplus_locked() const noexcept { return threads_ - making_ - guests_ > most_threads_; }
    ticket* next_locked() const noexcept;
    void serve(sync::unique_lock& lock, ticket& next) noexcept;
    void put_back_locked(ticket& kept) noexcept;
    bool wait_for_ticket(sync::unique_lock& lock, worker& self) noexcept;
    void end(worker& self) noexcept;
    void join(std::unique_ptr<worker> ended) noexcept;

    const std::size_t most_threads_;
    const std::string thread_name_;
    const duration patience_;

    mutable sync::mutex mutex_;
    ready_list ready_;
    std::size_t for_workers_ = 0;  ///< of those in ready_: which a worker may serve as well
    std::size_t threads_ = 0;      ///< made or being made, and not about to end
    std::size_t making_ = 0;       ///< of those: being made; may come to nothing
    std::size_t guests_ = 0;       ///< of those: in a producer or an alarm, and not counted against most_threads_
    std::size_t alive_ = 0;        ///< and those that are
    std::size_t coming_ = 0;       ///< of those: being made, woken, or returning; each looks for a ticket soon
    worker* idle_ = nullptr;       ///< the one that became idle last comes first, so that the others can end
    sync::atomic<bool> crowded_{false};
    sync::atomic<bool> wants_worker_{false};
    bool ending_ = false;
    sync::parker all_ended_;

    sync::mutex handles_;            ///< taken inside no other lock
    std::unique_ptr<worker> ended_;  ///< guarded by handles_: has ended, and nobody has joined it
};

}  // namespace penstock::inline v0::detail
