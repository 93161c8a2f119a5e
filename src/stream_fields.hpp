// SPDX-License-Identifier: MIT
/// Every word of a stream, by who owns it. README.md beside this file says when it changes hands.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include <penstock/detail/feed_core.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/options.hpp>

#include "admission.hpp"
#include "alarm.hpp"
#include "completion_queue.hpp"
#include "intake.hpp"
#include "majority.hpp"
#include "parker.hpp"
#include "pump.hpp"
#include "record_pool.hpp"

namespace penstock::inline v0::detail {

class cpu_lane;
class retry_side;
class timeout_side;
struct gate_side;

/// Which stream's task started a stream. Outlives both, so that a thread that waits can ask whose descendant a pump is.
struct lineage {
    std::shared_ptr<const lineage> parent;
    stream_engine* engine;  ///< null once it is closed; guarded by the lane's mutex
};

struct stream_fields {
    stream_fields(stream_engine& engine, std::shared_ptr<cpu_lane> lane, const options& settings,
                  stream_source& source);
    ~stream_fields();
    stream_fields(const stream_fields&) = delete;
    stream_fields& operator=(const stream_fields&) = delete;

    /// Why a thread that passes must do more than go on. Bits of attention_, the one word that every task's end looks
    /// at.
    enum attention : std::uint32_t {
        consumer_waits = 1,    ///< the consumer is parked or about to be
        consumer_helps = 2,    ///< and would run short tasks if it were woken
        consumer_nested = 4,   ///< and it must be woken for tickets too: it is inside a task, or may ask the producer
        consumer_roused = 8,   ///< it was woken and has not run yet
        places_idle = 16,      ///< fewer pumps than max_pumps_ have a place
        stopping = 32,         ///< nothing more is pulled or started
        failing = 64,          ///< a task failed, with on_error::stop
        leaving = 128,         ///< the stream is being joined
        consumer_dozes = 256,  ///< it is parked for a moment, until doze_target_ results are published
        puller_idle = 512,     ///< the producer is pulled on blocking threads, and none is at it
        for_every_task =
            consumer_waits | consumer_nested | consumer_roused | places_idle | stopping | failing | puller_idle,
    };
    using clock = std::chrono::steady_clock;

    // --- what the fields below say
    bool ending() const noexcept { return attention_.load() & (stopping | failing | leaving); }
    bool is_own(const pump& at) const noexcept { return at.number == max_pumps_; }
    bool short_tasks() const noexcept {
        return trust_.load(std::memory_order_relaxed) >= trust_to_help_.load(std::memory_order_relaxed);
    }
    /// Records are pushed first and counted then, so the consumer may have popped more than are counted. O2, with publish().
    bool published_more() const noexcept { return static_cast<std::ptrdiff_t>(published_.load() - dequeued_) > 0; }
    /// Every pulled task has been taken or dropped. I5: pulled_ is raised before dropped_ for a task that a stop cut off,
    /// and read after it here: the sum is never reached too early.
    bool all_accounted() const noexcept {
        const std::size_t accounted = taken_.load(std::memory_order_relaxed) + dropped_late_.load() + dropped_.load();
        return pulled_.load() == accounted;
    }
    /// Whether the consumer says that it takes a core. It may have gone since, see stream_engine::nap().
    bool consumer_counts() const noexcept {
        return consumer_helping_.load(std::memory_order_relaxed) && !(attention_.load() & leaving);
    }
    /// How many pumps are enough beside such a consumer.
    std::size_t awake_enough() const noexcept { return tiny_to_run_ ? 1 : max_pumps_; }
    /// Whether it runs tasks in the stead of a pump that is awake: then there are as many awake as there are to be.
    bool displaced() const noexcept { return consumer_counts() && places_.load() - napping_.load() >= awake_enough(); }

    // --- fixed
    const std::shared_ptr<cpu_lane> lane_;
    stream_source& source_;
    admission admission_;
    const std::size_t max_pumps_;
    const bool in_order_;
    const bool fail_fast_;
    const bool launches_;         ///< tasks may end elsewhere than where they were started, or not for good
    /// Starting a task is more than to run it: it is launched, has passed a gate, or an observer is told.
    const bool apart_;
    stream_observer* const observer_;
    const bool pulls_elsewhere_;  ///< the producer is pulled on blocking threads; pumps take what has arrived
    feed_core* const fed_;        ///< which the producer is, or null
    const bool help_;
    const bool may_be_biased_;  ///< the consumer's own batch: nobody visits it all the time
    const bool asks_;  ///< the consumer may ask the producer, if nobody else does and nothing is in flight
    const std::optional<clock::time_point> deadline_;
    const std::size_t fair_share_;  ///< no batch may be larger: the others are to find room too
    std::shared_ptr<lineage> lineage_;
    std::unique_ptr<gate_side> gate_;
    std::unique_ptr<retry_side> retry_;
    std::unique_ptr<timeout_side> timeouts_;
    completion_queue queue_;
    /// Every pump that was ever made, the consumer's own at [max_pumps_]. A slot is set once; the engine deletes them.
    std::vector<sync::atomic<pump*>> pumps_;

    // --- read at every task's end, written seldom
    alignas(64) sync::atomic<std::uint32_t> attention_{places_idle};
    sync::atomic<bool> source_ended_{false};  ///< O4: released after the last write of pulled_ and of producer_error_
    /// The consumer helps once it has seen so many short tasks and no other; what runs on its thread holds up its loop.
    static constexpr std::uint32_t least_trust_to_help = 32;
    sync::atomic<std::uint32_t> trust_to_help_{least_trust_to_help};
    sync::atomic<std::uint32_t> trust_{0};  ///< that the next task will be short, see judge()
    sync::atomic<bool> consumer_helping_{false};
    majority tiny_to_take_;   ///< as the pumps find
    majority short_to_take_;  ///< the same
    majority tiny_to_run_;   ///< as the consumer finds that runs them
    sync::atomic<std::size_t> fail_index_{SIZE_MAX};
    sync::atomic<record*> first_failed_{nullptr};
    sync::atomic<record*> awaited_{nullptr};  ///< submission order: what the parked consumer waits for

    // --- the producer's turn, and what its holder owns
    alignas(64) sync::atomic<bool> turn_{false};
    sync::atomic<std::size_t> pulled_{0};
    std::size_t ended_seen_ = 0;
    record* order_last_;                 ///< the record pulled last
    std::exception_ptr producer_error_;  ///< O4; the consumer's once the source has ended
    sync::atomic<bool> producer_threw_{false};

    // --- from the turn's holder to the pumps, if it is no pump, or if the gate is between them
    puller puller_;
    intake arrived_;

    // --- from the consumer back to the turn's holder
    record_pool records_;

    // --- from the pumps to the consumer
    alignas(64) sync::atomic<std::size_t> published_{
        0};  ///< records pushed into queue_; in submission order only counted
    sync::atomic<std::size_t> doze_target_{0};
    sync::atomic<record*> landed_{nullptr};  ///< tasks that ended elsewhere, the newest first
    sync::atomic<std::size_t> ended_elsewhere_{0};

    // --- the consumer's
    alignas(64) sync::atomic<std::size_t> taken_{0};
    record* ready_first_ = nullptr;
    record* ready_last_ = nullptr;
    record* order_taken_;       ///< the record taken last: its link leads to the next
    std::size_t dequeued_ = 0;  ///< of published_
    pump* own_ = nullptr;       ///< the consumer's own pump, once it has helped
    /// The consumer looks for others' results only after every few tasks of its own.
    static constexpr unsigned own_tasks_in_a_row = 32;
    unsigned own_run_left_ = 0;  ///< how many it may run before that; none while a result of others is ready
    bool own_run_is_tiny_ = false;
    static constexpr unsigned tasks_for_a_coarse_look = 8;
    unsigned until_coarse_look_ = tasks_for_a_coarse_look;
    clock::time_point last_look_{};
    static constexpr unsigned batches_for_a_look = 4;
    unsigned untimed_batches_ = 0;
    clock::time_point last_sleep_{};
    unsigned fast_sleeps_ = 0;
    long last_tick_ = 0;
    bool ticked_ = false;
    bool saw_stop_ = false;
    sync::atomic<bool> concluded_{false};
    bool joined_ = false;
    sync::parker consumer_;
    /// Of a consumer that is a coroutine: from announcing itself to going on it is `announcing`, until it has looked
    /// once more, then its frame's address; who rouses it makes it `roused`, and makes the frame ready if there was
    /// one.
    static constexpr std::uintptr_t no_coroutine = 0, announcing = 1, roused = 2;
    sync::atomic<std::uintptr_t> async_{no_coroutine};
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
    std::size_t inside_ = 0;               ///< pumps that are not in idle_pumps_, and who comes from elsewhere
    std::size_t retiring_ = 0;             ///< pumps between giving up their place and leaving
    std::size_t recalls_ = 0;              ///< places that were given to retiring pumps, not yet found by them
    pump* idle_pumps_ = nullptr;
    bool closing_ = false;
    sync::parker* joiner_ = nullptr;
    sync::atomic<std::size_t> napping_{0};
    /// Tasks launched and not landed, and the alarm that has gone off; raised inside or by the timers, lowered to 0
    /// under the mutex.
    sync::atomic<std::size_t> away_{0};
    std::optional<alarm> alarm_;
    bool alarm_is_set_ = false;  ///< the consumer's: once it is, it need not be set again
};

}  // namespace penstock::inline v0::detail
