// SPDX-License-Identifier: MIT
/// The lane for CPU work: tickets wait in one list, and at most `workers` threads serve them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <penstock/detail/sync.hpp>
#include <penstock/executor.hpp>

#include "blocking_lane.hpp"
#include "parker.hpp"
#include "ready_list.hpp"
#include "timers.hpp"
#include "worker_threads.hpp"

namespace penstock::inline v0::detail {

class stream_engine;

/// Runs tickets first in, first out. A thread that serves is counted, so no more than workers() ever run, whatever the
/// backend's threads are.
///
/// Threads: any. Locks: mutex() is the innermost lock of the library but for the batches' spin locks; nothing is called
/// under it that could wait or run user code.
class cpu_lane {
public:
    /// Throws what making the threads or settings.on_thread_start throws.
    explicit cpu_lane(const executor_options& settings);
    ~cpu_lane();
    cpu_lane(const cpu_lane&) = delete;
    cpu_lane& operator=(const cpu_lane&) = delete;

    /// Waits until nothing is served any more, and joins the threads. Streams that are over may still hold the lane.
    void shut_down() noexcept;

    std::size_t workers() const noexcept { return workers_; }

    /// Where what may block runs.
    blocking_lane& blocking() noexcept { return *blocking_; }
    timers& timing() noexcept { return *timing_; }

    /// Makes a ticket ready, or all of a list. Also by threads that are not the executor's, which may be in here still
    /// when what they have added has run.
    void add(ticket& ready) noexcept;
    void add_all(ready_list& ready) noexcept;

    /// While one exists, somebody waits inside a task, or may, for whom a ticket could be: made before he looks for one
    /// under mutex(). Without any, add() and add_all() need not ask whose the tickets are.
    class wait_inside {
    public:
        explicit wait_inside(cpu_lane& lane) noexcept : lane_(lane) { lane_.waits_inside_.fetch_add(1); }
        ~wait_inside() { lane_.waits_inside_.fetch_sub(1); }
        wait_inside(const wait_inside&) = delete;
        wait_inside& operator=(const wait_inside&) = delete;

    private:
        cpu_lane& lane_;
    };

    /// A posted task is on its way, and has run. wait_for_posted() returns when as many have run as were on their way.
    void posted() noexcept;
    void posted_has_run() noexcept;
    void wait_for_posted() noexcept;

    /// Whether a ticket waits that no thread is on its way to. May be stale.
    bool crowded() const noexcept { return crowded_.load(); }

    /// Under mutex(): whether every worker has something to do.
    bool full_locked() const noexcept { return serving_ == workers_; }

    /// Guards the ready list, the streams' pump places (stream_engine) and the list of live streams.
    sync::mutex& mutex() const noexcept { return mutex_; }

    /// Under mutex(): makes a ticket ready. Returns whether ring() must be called once the lock is free.
    [[nodiscard]] bool add_locked(ticket& ready) noexcept;
    void ring() noexcept { threads_->ring(); }
    /// What waits in the blocking lane and a worker may serve as well has been added there: a worker that has gone
    /// meanwhile comes back for it.
    void offer_to_workers() noexcept;
    /// Under mutex(): takes a ready ticket back.
    void withdraw_locked(ticket& ready) noexcept;
    /// Under mutex().
    const ready_list& ready_locked() const noexcept { return ready_; }

    /// Sleeps on a worker's thread, until `until` at the latest; a ticket that finds no thread, or wake_nappers(), ends it.
    /// `word` is what nap_word() said before the caller looked at its reasons: what changed them meanwhile is not missed.
    void nap(std::uint32_t word, sync::time_point until) noexcept;
    std::uint32_t nap_word() const noexcept { return nap_word_.load(); }
    void wake_nappers() noexcept;

    /// Under mutex(): a stream has come to rest, see stream_engine::at_rest_locked().
    void note_rest_locked() noexcept {
        if (ending_) idle_.unpark();
    }

    /// Under mutex(): the live streams.
    void enlist_locked(stream_engine& live) noexcept;
    void forget_locked(stream_engine& ended) noexcept;
    stream_engine* first_live_locked() const noexcept { return streams_; }

private:
    void serve() noexcept;
    void count_waiting_locked() noexcept { crowded_.store(ready_.size() > coming_); }
    template <class Idle>
    void wait_until_idle(Idle idle) noexcept;

    const std::size_t workers_;
    mutable sync::mutex mutex_;
    ready_list ready_;
    std::size_t serving_ = 0;  ///< threads rung for or in serve(), at most workers_
    std::size_t coming_ = 0;   ///< of those, the ones that have not come yet
    std::size_t ringing_ = 0;  ///< threads that are about to ring, or ring
    std::size_t posted_ = 0;   ///< posted tasks that have not run
    bool ending_ = false;      ///< the destructor waits for idle_
    sync::atomic<bool> crowded_{false};  ///< ready_.size() > coming_
    sync::parker idle_;
    sync::atomic<std::uint32_t> nap_word_{0};  ///< changes when nappers are to wake
    sync::atomic<std::size_t> napping_{0};
    stream_engine* streams_ = nullptr;
    sync::atomic<std::size_t> waits_inside_{0};
    std::unique_ptr<worker_threads> threads_;
    std::optional<blocking_lane> blocking_;
    std::optional<timers> timing_;
};

}  // namespace penstock::inline v0::detail
