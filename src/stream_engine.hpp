// SPDX-License-Identifier: MIT
/// One stream's protocol: from the producer's turn to the consumer. README.md beside this file explains it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include <penstock/detail/record.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/options.hpp>

#include "admission.hpp"
#include "completion_queue.hpp"
#include "cpu_lane.hpp"
#include "parker.hpp"
#include "pump.hpp"
#include "record_pool.hpp"

namespace penstock::inline v0::detail {

/// Which stream's task started a stream. Outlives both, so that a thread that waits can ask whose descendant a pump is.
struct lineage {
    std::shared_ptr<const lineage> parent;
    stream_engine* engine;  ///< null once it is closed; guarded by the lane's mutex
};

struct resting;

/// What most of the last few batches said. Single ones are often wrong: their thread was preempted. Advice, never relied on.
class majority {
public:
    void count(bool says_so) noexcept {
        const int score = score_.load(std::memory_order_relaxed);
        const int next = std::clamp(score + (says_so ? 1 : -1), 0, 16);
        if (next != score) score_.store(next, std::memory_order_relaxed);
    }
    explicit operator bool() const noexcept { return score_.load(std::memory_order_relaxed) > 8; }

private:
    sync::atomic<int> score_{0};
};

class stream_engine {
public:
    stream_engine(std::shared_ptr<cpu_lane> lane, const options& settings, stream_source& source);
    ~stream_engine();

    // --- the consumer (consumer.cpp, ending.cpp)
    record* next(const wait_until& wait);
    void taken(record& done) noexcept;
    bool fail_in_transit(const record& done, std::exception_ptr error) noexcept;
    bool done() const noexcept;
    void close() noexcept;

    // --- any thread
    void request_stop() noexcept;
    stream_stats stats() const noexcept;

    // --- the lane's threads (pumping.cpp)
    void serve(pump& at) noexcept;

    // --- the executor's destructor, under the lane's mutex
    /// Whether nothing is left to pull or to run.
    bool over() const noexcept;
    /// Under the lane's mutex: whether a task of a live stream started this one.
    bool has_live_parent_locked() const noexcept;
    const std::shared_ptr<lineage>& line() const noexcept { return lineage_; }
    stream_engine* next_live = nullptr;
    stream_engine* previous_live = nullptr;

private:
    /// Why a thread that passes must do more than go on. Bits of attention_, the one word that every task's end looks at.
    enum attention : std::uint32_t {
        consumer_waits = 1,    ///< the consumer is parked or about to be
        consumer_helps = 2,    ///< and would run short tasks if it were woken
        consumer_nested = 4,   ///< and it is inside a task: it must be woken for its descendants' pumps too
        consumer_roused = 8,   ///< it was woken and has not run yet
        places_idle = 16,      ///< fewer pumps than max_pumps_ have a place
        stopping = 32,         ///< nothing more is pulled or started
        failing = 64,          ///< a task failed, with on_error::stop
        leaving = 128,         ///< the stream is being joined
        consumer_dozes = 256,  ///< it is parked for a moment, until doze_target_ results are published
        for_every_task = consumer_waits | consumer_nested | consumer_roused | places_idle | stopping | failing,
    };
    using clock = std::chrono::steady_clock;

    // Pulling, running and publishing: pumping.cpp, stealing.cpp, pacing.cpp.
    bool work(pump& at) noexcept;
    bool fill(pump& at) noexcept;
    bool pull_one(pump& at) noexcept;
    bool find_work(pump& at, clock::time_point now) noexcept;
    bool steal(pump& at) noexcept;
    bool steal_stuck(pump& at, clock::time_point now) noexcept;
    bool take_half(pump& at, pump& victim) noexcept;
    bool unstarted_anywhere() const noexcept;
    void call_for_help(std::uint32_t bits, std::uint32_t unstarted) noexcept;
    void run_batch(pump& at) noexcept;
    void start(pump& at, record& task) noexcept;
    bool may_start(const record& task) const noexcept;
    void settle_error(record& task) noexcept;
    void drop(record& task) noexcept;
    void attend(pump& at, std::uint32_t bits, bool more) noexcept;
    void make_way(pump& at, void (stream_engine::*act)()) noexcept;
    void publish(pump& at) noexcept;
    void adapt(pump& at, clock::duration spent, std::size_t tasks) noexcept;
    void judge(clock::duration spent, std::size_t tasks) noexcept;
    record* vacant_record() noexcept;
    void end_source(std::exception_ptr error) noexcept;
    std::size_t room(std::size_t wanted) noexcept;
    std::size_t ended_total() const noexcept;
    bool open() const noexcept;
    std::size_t approx_room() const noexcept;
    bool work_to_do() const noexcept;
    bool has_unstarted() const noexcept;

    // Places: who has one, who rests, who comes back: places.cpp.
    void serve_once(pump& at) noexcept;
    void kick() noexcept;
    bool retire(pump& at) noexcept;
    void requeue(pump& at) noexcept;
    bool rest(resting& state) noexcept;
    bool nap(resting& state, std::uint32_t word) noexcept;
    bool displaced() const noexcept;
    std::size_t awake_enough() const noexcept;
    void set_places_locked(std::size_t places) noexcept;
    bool schedule_locked(pump& ready) noexcept;
    void leave_locked(pump& at, bool with_place) noexcept;
    pump* idle_pump_locked() noexcept;
    pump* make_pump(std::size_t number) noexcept;
    void join() noexcept;
    void join_once() noexcept;

    // The consumer: consumer.cpp, helping.cpp, waiting.cpp.
    record* take_ready(bool look) noexcept;
    record* take_in_completion_order(bool look) noexcept;
    record* take_in_submission_order() noexcept;
    void refill(bool all) noexcept;
    void add_ready(record& done) noexcept;
    void kick_if_idle() noexcept;
    bool published_more() const noexcept;
    void vacate(record& done) noexcept;
    void give_back(record& vacant) noexcept;
    bool help(bool nested) noexcept;
    bool help_descendant() noexcept;
    pump* descendants_pump_locked() const noexcept;
    void set_helping(bool helping) noexcept;
    bool short_tasks() const noexcept;
    record* run_own_task(const wait_until& wait) noexcept;
    void sleep(std::optional<clock::time_point> until, bool nested, bool may_help) noexcept;
    bool spin_for_result() noexcept;
    bool doze(std::optional<clock::time_point> until) noexcept;
    bool result_visible() const noexcept;
    bool anything_to_do(bool nested, bool may_help) noexcept;
    bool rouse_consumer() noexcept;
    void wake_consumer();
    void yield();

    // The end: ending.cpp.
    void fail(record& task) noexcept;
    void expire() noexcept;
    bool all_accounted() const noexcept;
    bool at_end() noexcept;
    bool at_end_visible() const noexcept;
    record* next_at_deadline();
    record* conclude();
    bound_by bound(const stream_stats& now) const noexcept;

    struct stop_request {
        stream_engine& engine;
        void operator()() const noexcept { engine.request_stop(); }
    };

    // --- fixed
    const std::shared_ptr<cpu_lane> lane_;
    stream_source& source_;
    admission admission_;
    const std::size_t max_pumps_;
    const bool in_order_;
    const bool fail_fast_;
    const bool help_;
    const std::optional<clock::time_point> deadline_;
    const std::size_t fair_share_;  ///< no batch may be larger: the others are to find room too
    std::shared_ptr<lineage> lineage_;
    completion_queue queue_;
    /// Every pump that was ever made, the consumer's own at [max_pumps_]. A slot is set once; the engine deletes them.
    std::vector<sync::atomic<pump*>> pumps_;

    // --- read at every task's end, written seldom
    alignas(64) sync::atomic<std::uint32_t> attention_{places_idle};
    sync::atomic<bool> source_ended_{false};  ///< O4: released after the last write of pulled_ and of producer_error_
    /// The consumer helps once it has seen so many short tasks and no other; what runs on its thread holds up its loop.
    static constexpr std::uint32_t trust_to_help = 32;
    sync::atomic<std::uint32_t> trust_{0};  ///< that the next task will be short, see judge()
    sync::atomic<bool> consumer_helping_{false};
    majority tiny_to_take_;  ///< as the pumps find
    majority tiny_to_run_;   ///< as the consumer finds that runs them
    sync::atomic<std::size_t> fail_index_{SIZE_MAX};
    sync::atomic<record*> first_failed_{nullptr};
    sync::atomic<record*> awaited_{nullptr};  ///< submission order: what the parked consumer waits for

    // --- the producer's turn, and what its holder owns
    alignas(64) sync::atomic<bool> turn_{false};
    sync::atomic<std::size_t> pulled_{0};
    std::size_t ended_seen_ = 0;
    record* order_last_;  ///< the record pulled last
    std::exception_ptr producer_error_;           ///< O4; the consumer's once the source has ended
    sync::atomic<bool> producer_threw_{false};

    // --- from the consumer back to the turn's holder
    record_pool records_;

    // --- from the pumps to the consumer
    alignas(64) sync::atomic<std::size_t> published_{0};  ///< records pushed into queue_; in submission order only counted
    sync::atomic<std::size_t> doze_target_{0};

    // --- the consumer's
    alignas(64) sync::atomic<std::size_t> taken_{0};
    record* ready_first_ = nullptr;
    record* ready_last_ = nullptr;
    record* order_taken_;  ///< the record taken last: its link leads to the next
    std::size_t dequeued_ = 0;   ///< of published_
    pump* own_ = nullptr;        ///< the consumer's own pump, once it has helped
    /// The consumer looks for others' results only after every few tasks of its own.
    static constexpr unsigned own_tasks_in_a_row = 32;
    unsigned own_in_a_row_ = 0;  ///< how many it has run since
    clock::time_point last_look_{};
    long last_tick_ = 0;
    bool ticked_ = false;
    bool saw_stop_ = false;
    sync::atomic<bool> concluded_{false};
    bool joined_ = false;
    sync::parker consumer_;
    record order_stub_;

    // --- counters of what is rare
    alignas(64) sync::atomic<std::size_t> dropped_{0};  ///< never started
    sync::atomic<std::size_t> dropped_late_{0};         ///< finished and not delivered; written by the consumer
    sync::atomic<std::size_t> failed_{0};
    sync::atomic<std::size_t> cancelled_{0};
    sync::atomic<bool> expired_{false};
    sync::mutex error_mutex_;
    std::exception_ptr first_error_;  ///< guarded by error_mutex_

    // --- guarded by the lane's mutex (places_ may be read without)
    sync::atomic<std::size_t> places_{0};  ///< pumps that are ready or awake
    std::size_t inside_ = 0;               ///< pumps that are not in idle_pumps_
    std::size_t retiring_ = 0;             ///< pumps between giving up their place and leaving
    std::size_t recalls_ = 0;              ///< places that were given to retiring pumps, not yet found by them
    pump* idle_pumps_ = nullptr;
    bool closing_ = false;
    sync::parker* joiner_ = nullptr;
    sync::atomic<std::size_t> napping_{0};

    std::optional<std::stop_callback<stop_request>> stop_callback_;
};

// --- what runs for every task, in line

inline bool stream_engine::short_tasks() const noexcept { return trust_.load(std::memory_order_relaxed) >= trust_to_help; }

inline bool stream_engine::open() const noexcept {
    return !source_ended_.load(std::memory_order_acquire) && !(attention_.load() & (stopping | failing));
}

/// Every pulled task has been taken or dropped. I5: pulled_ is raised before dropped_ for a task that a stop cut off, and
/// read after it here: the sum is never reached too early.
inline bool stream_engine::all_accounted() const noexcept {
    const std::size_t accounted = taken_.load(std::memory_order_relaxed) + dropped_late_.load() + dropped_.load();
    return pulled_.load() == accounted;
}

/// Runs an admitted task, or drops it.
inline void stream_engine::start(pump& at, record& task) noexcept {
    if (attention_.load() & (stopping | failing) && !may_start(task)) [[unlikely]] return drop(task);
    task.state.load(std::memory_order_acquire);  // O1
    task.state.store(stage::running, std::memory_order_relaxed);
    source_.run(task);
    if (task.outcome != outcome::value) [[unlikely]] settle_error(task);
    // Before anybody can take the result: nothing is taken that has not ended.
    at.ended.store(at.ended.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    // What finishes after a failure that ends the stream is not delivered (C5); in submission order its place decides.
    if (attention_.load() & failing && !in_order_ && first_failed_.load() != &task) [[unlikely]] task.late = true;
    task.state.store(stage::finished, std::memory_order_release);  // O1
}

}  // namespace penstock::inline v0::detail
