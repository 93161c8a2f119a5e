// SPDX-License-Identifier: MIT
/// One stream's protocol: from the producer's turn to the consumer. README.md beside this file explains it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <penstock/detail/record.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/options.hpp>

#include "cpu_lane.hpp"
#include "gate_side.hpp"
#include "pump.hpp"
#include "retry_side.hpp"
#include "stream_fields.hpp"
#include "timeout_side.hpp"

namespace penstock::inline v0::detail {

struct resting;
struct consumer_progress;
/// Whom to tell, once the lane's lock is free, that a pump is ready.
enum class bell : std::uint8_t { nobody, workers, blocking_threads };

class stream_engine final : public ticket_owner, private stream_fields {
public:
    stream_engine(std::shared_ptr<cpu_lane> lane, const options& settings, stream_source& source);
    ~stream_engine();

    // --- the consumer (consumer.cpp, ending.cpp)
    record* next(const wait_until& wait);
    void taken(record& done) noexcept;
    unsigned attempts(const record& done) const noexcept;
    bool fail_in_transit(const record& done, std::exception_ptr error) noexcept;
    bool wait_async(suspended_frame& consumer, const std::stop_token& until);
    bool may_leave() noexcept { return !lends() || may_go_on(true); }
    void interrupt() noexcept;
    void woken() noexcept;
    bool done() const noexcept;
    void close(bool may_serve = true) noexcept;

    // --- any thread
    void request_stop() noexcept;
    stream_stats stats() const noexcept;

    // --- the lane's threads (pumping.cpp)
    void serve(pump& at) noexcept;

    // --- the blocking lane's threads (launching.cpp)
    void run_launched(record& task) noexcept;
    void refuse_launched(record& task, std::exception_ptr why) noexcept;
    void refuse(pump& at) noexcept;

    // --- the blocking lane's threads (supply.cpp)
    void serve_puller(std::size_t most = 0) noexcept;
    void refuse_puller(std::exception_ptr why) noexcept;

    // --- who pushes into the stream's feed (feed_core.cpp, supply.cpp)
    /// Whether something more may be pulled and started.
    bool open() const noexcept;
    /// Whether somebody may have to be told of a push.
    bool rests() const noexcept { return attention_.load() & (places_idle | consumer_nested); }
    bool enter() noexcept;
    void fed_and_leave() noexcept;

    // --- who has something to do for it and is not inside: it is not joined until leave_launched()
    void hold() noexcept { away_.fetch_add(1); }

    // --- gates (admitting.cpp), and the timers' thread (retrying.cpp), after hold()
    void gate_opened_and_release() noexcept;
    void retry_is_due_and_release() noexcept;

    // --- its alarms (ending.cpp): the timers' thread, after hold(); whoever serves it
    void go_off(alarm& due) noexcept;
    void serve_alarm(const alarm& due) noexcept;
    void refuse_alarm(alarm& due) noexcept;

    // --- whoever runs a coroutine (coroutines.cpp)
    void end_coroutine(task_root& ended) noexcept;
    record& record_of(task_root& begun) const noexcept { return source_.record_of(begun); }
    std::stop_token token_of(task_root& begun) const noexcept;
    std::chrono::steady_clock::time_point end_of(task_root& begun) const noexcept;  ///< when its time is up
    bool stops_tasks() const noexcept { return source_.stop.stop_requested(); }
    bool sleeps = false;  ///< a task of this stream has slept; guarded by the mutex of the timers
    cpu_lane& lane() const noexcept { return *lane_; }

    // --- the lanes
    void rouse_nested_locked() noexcept override;
    void rouse_nested() noexcept override;
    bool gives_up(const ticket& waiting) const noexcept override;
    bool may_run(const ticket& ready) const noexcept override;

    // --- the executor's destructor, under the lane's mutex
    bool over() const noexcept;                    ///< nothing is left to pull or to run
    bool has_live_parent_locked() const noexcept;  ///< a task of a live stream started this one
    bool at_rest_locked() const noexcept { return inside_ == 0 && away_.load() == 0; }  ///< no thread inside, no task away
    bool closing_locked() const noexcept { return closing_; }                           ///< somebody destroys it, or has
    const std::shared_ptr<lineage>& line() const noexcept { return lineage_; }
    stream_engine* next_live = nullptr;
    stream_engine* previous_live = nullptr;

private:
    // Pulling, running and publishing: pulling.cpp, pumping.cpp, stealing.cpp, pacing.cpp.
    bool work(pump& at) noexcept;
    bool fill(pump& at) noexcept;
    template <bool Tiny, class Put>
    std::size_t pull_some(std::size_t wanted, bool by_consumer, Put put) noexcept;
    std::size_t batch_of(const pump& at) const noexcept;
    template <bool Tiny>
    record* pull_record(bool by_consumer) noexcept;
    bool may_keep_more() noexcept;
    record* pull_one() noexcept;
    bool pull_into(record& vacant) noexcept;
    void drop_pulled(record& pulled) noexcept;
    record* vacant_record(bool by_consumer = false) noexcept;
    record* new_record() noexcept;
    std::nullptr_t give_up_reserved() noexcept;
    bool find_work(pump& at, clock::time_point now) noexcept;
    bool steal(pump& at) noexcept;
    bool steal_stuck(pump& at, clock::time_point now) noexcept;
    bool take_half(pump& at, pump& victim) noexcept;
    bool unstarted_anywhere() const noexcept;
    void call_for_help(std::uint32_t bits, std::uint32_t unstarted) noexcept;
    std::size_t run_batch(pump& at) noexcept;
    void start(pump& at, record& task) noexcept;
    bool may_start(const record& task) const noexcept;
    void settle_error(record& task) noexcept;
    void drop(record& task, bool in_flight = true) noexcept;
    void attend(pump& at, std::uint32_t bits, bool more) noexcept;
    void make_way(pump& at, void (stream_engine::*act)()) noexcept;
    void publish(pump& at) noexcept;
    void adapt(pump& at, clock::duration spent, std::size_t tasks) noexcept;
    void judge(clock::duration spent, std::size_t tasks) noexcept;
    void leave_unused(record& vacant) noexcept;
    void end_source(std::exception_ptr error) noexcept;
    std::size_t room(std::size_t wanted) noexcept;
    std::size_t ended_total() const noexcept;
    std::size_t approx_room() const noexcept;
    bool pullable() const noexcept;
    bool fillable() const noexcept;
    bool work_to_do() noexcept;
    bool has_unstarted() noexcept;

    // Through a gate: admitting.cpp.
    std::unique_ptr<gate_side> make_gate_side(const options& settings);
    bool fill_through_gate(pump& at) noexcept;
    bool admit(pump& at) noexcept;
    std::size_t ask_gate(record** tasks, std::size_t count) noexcept;
    void give_up_at_gate() noexcept;
    void return_loan() noexcept;
    void put_back_loan() noexcept;
    bool ask_at(clock::time_point when) noexcept;
    void gate_opened() noexcept;
    [[nodiscard]] bool return_permit(record& task) noexcept;
    void close_gate() noexcept;
    bool lends() noexcept { return gate_ && lends_to_gate(); }
    bool lends_to_gate() noexcept;
    bool becomes_lender(const record& task, const stream_engine& theirs) noexcept;
    void lend() noexcept;
    bool may_go_on(bool must) noexcept;
    bool waits_for_loan() const noexcept;
    void start_apart(pump& at, record& task) noexcept;
    void tell_start(record& task) noexcept;
    void tell_end(record& task) noexcept;
    template <bool Apart>
    void end_here(pump& at, record& task) noexcept;

    // Tasks that time out: timing_out.cpp.
    const std::stop_token* prepare_attempt(record& task) noexcept;
    bool end_in_time(record& task) noexcept;
    void finish_expired(record& task, bool repeated) noexcept;
    void end_overdue(record& task) noexcept;
    void deliver_stand_in(record& of, record& stand_in) noexcept;
    void expire_tasks() noexcept;
    bool keep_spares() noexcept;
    bool any_overdue() const noexcept { return timeouts_ && timeouts_->any_overdue(); }

    // Tasks that are run again: retrying.cpp.
    bool backs_off(record& task) noexcept;
    bool pauses(record& task) noexcept;
    bool resume(pump& at) noexcept;
    bool resumable() const noexcept;
    bool any_due() const noexcept;
    void end_back_offs() noexcept;
    void drop_retried(record& task, bool in_flight) noexcept;
    bool keep_pulled(record& pulled) noexcept;
    void offer_slot() noexcept;

    // Where tasks come from if not from a pump's own pull: supply.cpp.
    bool worth_pulling() const noexcept;
    void call_puller() noexcept;
    bool pull_here() noexcept;
    bool retire_puller() noexcept;
    void leave_elsewhere() noexcept;
    bool fill_from_arrived(pump& at) noexcept;
    void drop_arrived() noexcept;
    void end_drained_feed() noexcept;
    bool end_empty_feed() noexcept;
    bool feed_may_end() const noexcept;

    // Tasks that end elsewhere: launching.cpp.
    void launch(record& task, bool for_this_thread) noexcept;
    void land(record& task) noexcept;
    void land_ended(record& task, bool has_run) noexcept;
    void land_for_good(record& task, bool in_flight) noexcept;
    void tell_of_landed(const record& task) noexcept;
    void publish_landed(record& task, stage as) noexcept;
    void take_landed() noexcept;
    void refill_here() noexcept;
    void offer_room() noexcept;
    void leave_launched(cpu_lane& lane) noexcept;
    void drop_waiting() noexcept;
    pump* waiting_pump_locked() noexcept;

    // Places: who has one, who rests, who comes back: places.cpp, napping.cpp.
    void serve_once(pump& at) noexcept;
    void kick() noexcept;
    bool retire(pump& at) noexcept;
    void requeue(pump& at) noexcept;
    bool rest(resting& state) noexcept;
    bool nap(const pump& at, resting& state, std::uint32_t word) noexcept;
    consumer_progress progress_of_consumer() const noexcept;
    bool took_a_core_since(const consumer_progress& before, clock::duration each) const noexcept;
    void set_places_locked(std::size_t places) noexcept;
    bell schedule_locked(pump& ready) noexcept;
    static void ring(cpu_lane& lane, bell whom, pump& ready) noexcept;
    pump* fill_place_locked() noexcept;
    void leave_locked(pump& at, bool with_place) noexcept;
    void come_to_rest_locked() noexcept;
    pump* idle_pump_locked() noexcept;
    pump* make_pump(std::size_t number) noexcept;
    void join(bool may_serve) noexcept;
    void join_once(bool may_serve = true) noexcept;

    // The consumer: consumer.cpp, helping.cpp, waiting.cpp.
    record* take_ready(bool look) noexcept;
    record* take_in_completion_order(bool look) noexcept;
    record* take_in_submission_order() noexcept;
    void refill(bool all) noexcept;
    std::size_t pop_published() noexcept;
    void add_ready(record& done) noexcept;
    void kick_if_idle() noexcept;
    void vacate(record& done) noexcept;
    void leave_behind(record& taken) noexcept;
    void give_back(record& vacant) noexcept;
    bool help(bool nested) noexcept;
    void order_end_of_own() noexcept;
    bool help_descendant(bool on_worker = true) noexcept;
    bool ask_producer() noexcept;
    ticket* descendants_ticket_locked() const noexcept;
    void set_helping(bool helping) noexcept;
    record* next_of_all(const wait_until& wait);
    record* run_own_task() noexcept;
    record* run_tiny_task() noexcept;
    void run_own_task_timed(record& task) noexcept;
    record* deliver_own(record& done) noexcept;
    record* put_off(record& done) noexcept;
    void look_at_coarse_clock() noexcept;
    void sleep(std::optional<clock::time_point> until, bool nested, bool may_help, bool may_ask);
    void announce(std::uint32_t bits);
    bool spin_for_result() noexcept;
    bool doze(std::optional<clock::time_point> until);
    bool results_come_fast() noexcept;
    bool result_visible() const noexcept;
    bool result_there() const noexcept;
    bool anything_to_do(bool nested, bool may_help, bool asks) noexcept;
    bool rouse_consumer() noexcept;
    void rouse_nested_consumer_locked() noexcept;
    void wake_consumer();
    void yield();

    // The end: ending.cpp.
    void fail(record& task) noexcept;
    void stop_tasks() noexcept;
    void expire() noexcept;
    void withdraw_alarm_locked(alarm& unneeded) noexcept;
    bool at_end() noexcept;
    void drop_own() noexcept;
    bool at_end_visible() const noexcept;
    record* next_at_deadline();
    record* conclude();
    bound_by bound(const stream_stats& now, std::size_t resting) const noexcept;

    struct stop_request {
        stream_engine& engine;
        void operator()() const noexcept { engine.request_stop(); }
    };
    std::optional<std::stop_callback<stop_request>> stop_callback_;
};

}  // namespace penstock::inline v0::detail

#include "starting.hpp"
