// SPDX-License-Identifier: MIT
/// How a stream begins and ends: stop, failure, deadline, join; and what can be seen of it meanwhile.
#include <algorithm>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

#include <penstock/errors.hpp>

#include "misuse.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {

stream_engine::stream_engine(std::shared_ptr<cpu_lane> lane, const options& settings, stream_source& source)
    : stream_fields(*this, std::move(lane), settings, source) {
    gate_ = make_gate_side(settings);
    if (settings.retry) {
        retry_ = std::make_unique<retry_side>(*this, lane_->timing(), *settings.retry, admission_.in_flight());
    }
    if (source.times_out) {
        timeouts_ = std::make_unique<timeout_side>(*this, lane_->timing(), *settings.task_timeout);
    }
    idle_pumps_ = make_pump(0);
    if (!idle_pumps_) throw std::bad_alloc();
    if (fed_ && !fed_->attach(*this)) {
        delete idle_pumps_;
        throw std::logic_error("penstock: a feed serves one stream, and this one has, or had, another");
    }
    if (pulls_elsewhere_) attention_.fetch_or(puller_idle);
    {
        const sync::lock_guard guard(lane_->mutex());
        lane_->enlist_locked(*this);
    }
    if (settings.stop.stop_possible()) stop_callback_.emplace(settings.stop, stop_request{*this});
    if (deadline_ && clock::now() >= *deadline_) expire();
    if (open()) {
        if (pulls_elsewhere_) {
            call_puller();
        } else {
            kick();
        }
    }
    // Last of all: nothing throws any more.
    if (deadline_ && *deadline_ != clock::time_point::max() && open()) {
        alarm_is_set_ = lane_->timing().set(alarm_.emplace(*this, alarm::purpose::deadline, *deadline_));
    }
}

stream_engine::~stream_engine() {
    close();
    for (auto& slot : pumps_) delete slot.load();
}

void stream_engine::request_stop() noexcept {
    attention_.fetch_or(stopping);
    stop_tasks();
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();
}

/// Tells the tasks that run: by their token, and those that sleep by waking them.
void stream_engine::stop_tasks() noexcept {
    source_.stop.request_stop();
    if (launches_) lane_->timing().stop(*this);
}

void stream_engine::expire() noexcept {
    expired_.store(true);
    attention_.fetch_or(stopping);
    stop_tasks();
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();
}

void alarm::serve() noexcept { engine.serve_alarm(*this); }
void alarm::refuse(std::exception_ptr) noexcept { engine.refuse_alarm(*this); }
ticket_owner* alarm::owner() const noexcept { return &engine; }

/// On the timers' thread, which runs nothing of the user's. The stream may be gone when the alarm is ready.
void stream_engine::go_off(alarm& due) noexcept {
    if (due.why == alarm::purpose::gate) {
        gate_->asks_again_is_set.store(false);
        return gate_opened_and_release();
    }
    if (due.why == alarm::purpose::retry) return retry_is_due_and_release();
    cpu_lane& lane = *lane_;
    bool busy = false;
    {
        const sync::lock_guard guard(lane.mutex());
        // Workers may be busy with tasks of this very stream, which wait for their token.
        busy = due.off_workers = lane.full_locked();
        if (!busy) {
            rouse_nested_locked();
            static_cast<void>(lane.add_locked(due));  // there is a worker for it
        }
    }
    busy ? lane.blocking().add(due) : lane.ring();  // which finds a thread for it, whatever the others do
}

void stream_engine::serve_alarm(const alarm& due) noexcept {
    cpu_lane& lane = *lane_;
    {
        const task_frame frame(lane, this);
        due.why == alarm::purpose::timeout ? expire_tasks() : expire();
    }
    leave_launched(lane);
}

/// There is no blocking thread for it, and none can be made: a worker will have to do.
void stream_engine::refuse_alarm(alarm& due) noexcept {
    cpu_lane& lane = *lane_;
    bool wake = false;
    {
        const sync::lock_guard guard(lane.mutex());
        due.off_workers = false;
        rouse_nested_locked();
        wake = lane.add_locked(due);
    }
    if (wake) lane.ring();
}

/// By who joins, and does not need it any more.
void stream_engine::withdraw_alarm_locked(alarm& unneeded) noexcept {
    if (unneeded.off_workers || !unneeded.queued) return;
    lane_->withdraw_locked(unneeded);
    away_.fetch_sub(1);
}

bool stream_engine::fail_in_transit(const record& done, std::exception_ptr error) noexcept {
    failed_.fetch_add(1);
    if (!fail_fast_) return false;
    {
        const sync::lock_guard guard(error_mutex_);
        if (!first_error_ || in_order_) first_error_ = std::move(error);
        fail_index_.store(std::min(fail_index_.load(), done.index));
        attention_.fetch_or(failing);
    }
    stop_tasks();
    return true;
}

/// With on_error::stop, by the thread that ran the task. In submission order the lowest failing index counts, and what
/// comes before it goes on undisturbed; in completion order the first failure counts.
void stream_engine::fail(record& task) noexcept {
    {
        const sync::lock_guard guard(error_mutex_);
        const bool counts = in_order_ ? task.index < fail_index_.load() : !first_error_;
        if (!counts) return;
        first_error_ = source_.error_of(task);
        first_failed_.store(&task);
        fail_index_.store(task.index);
        attention_.fetch_or(failing);  // under the lock: whoever fails next finds that it is late
    }
    if (!in_order_) stop_tasks();
}

bool stream_engine::at_end_visible() const noexcept { return (!open() || feed_may_end()) && all_accounted(); }

bool stream_engine::at_end() noexcept {
    if (open() && !end_empty_feed()) return false;
    if (!source_ended_.load(std::memory_order_acquire) && !std::exchange(saw_stop_, true)) {
        // O2, with fill(): what was pulled by somebody who did not see the stop is counted by now.
        has_unstarted();
    }
    drop_waiting();
    const std::uint32_t bits = attention_.load();
    if (bits & stopping || (bits & failing && !in_order_)) drop_own();
    return all_accounted();
}

/// The consumer, after a stop or a failure: what it has pulled and not run, nobody else may ever look at.
void stream_engine::drop_own() noexcept {
    for (record* left = nullptr; own_ && (left = own_->advance());) start(*own_, *left);
}

record* stream_engine::next_at_deadline() {
    expire();
    drop_waiting();
    drop_own();
    refill(true);
    if (record* found = take_ready(false)) return found;
    return conclude();
}

/// Nothing more is delivered: says, once, why.
record* stream_engine::conclude() {
    const bool whole = source_ended_.load(std::memory_order_acquire) && all_accounted();
    // What the deadline has cut off and is no result has been dropped, too.
    const bool cut_off = !whole || dropped_.load() > 0 || (expired_.load() && dropped_late_.load() > 0);
    const std::uint32_t bits = attention_.load();
    concluded_ = true;
    // Otherwise a thread may still be inside the producer, or in a task beyond the deadline or its timeout: the
    // destructor waits for that.
    if (whole && !any_overdue()) join_once();
    if (expired_.load() && !all_accounted()) throw timed_out();
    if (bits & failing) {
        sync::unique_lock lock(error_mutex_);
        const std::exception_ptr error = std::exchange(first_error_, nullptr);
        lock.unlock();
        std::rethrow_exception(error);
    }
    if (source_ended_.load(std::memory_order_acquire) && producer_error_) {
        std::rethrow_exception(std::exchange(producer_error_, nullptr));
    }
    if (expired_.load() && cut_off) throw timed_out();
    if (bits & stopping && cut_off) throw stopped();
    return nullptr;
}

bool stream_engine::done() const noexcept {
    if (concluded_) return true;
    const bool whole = source_ended_.load(std::memory_order_acquire) && all_accounted();
    return whole && !producer_threw_.load() && !(attention_.load() & failing) && dropped_.load() == 0;
}

bool stream_engine::over() const noexcept {
    if (concluded_) return true;
    const std::size_t overdue_ended = timeouts_ ? timeouts_->overdue_ended() : 0;
    const std::size_t overdue = timeouts_ ? timeouts_->overdue() - overdue_ended : 0;  // has its outcome
    const std::size_t ended = ended_total() + dropped_.load() + overdue;
    return source_ended_.load(std::memory_order_acquire) && pulled_.load() <= ended;
}

bool stream_engine::has_live_parent_locked() const noexcept {
    const lineage* above = lineage_->parent.get();
    while (above && !above->engine) above = above->parent.get();
    return above != nullptr;
}

void stream_engine::close(bool may_serve) noexcept {
    if (joined_) return;
    for (const task_frame* frame = task_frame::innermost(); frame; frame = frame->outer()) {
        if (frame->engine() == this) {
            misuse("a stream was destroyed inside one of its own tasks, for which it would have to wait");
        }
    }
    // First the callback: it must not find the stream half gone. It waits for one that is running.
    stop_callback_.reset();
    request_stop();
    join_once(may_serve);
    concluded_ = true;
}

void stream_engine::join_once(bool may_serve) noexcept {
    if (std::exchange(joined_, true)) return;
    join(may_serve);
    stop_callback_.reset();
}

stream_stats stream_engine::stats() const noexcept {
    stream_stats now;
    now.failed = failed_.load();
    now.stopped = cancelled_.load();
    // In this order: taken <= ended <= pulled at every instant, so what is read first can not come out the larger.
    now.taken = taken_.load();
    const std::size_t late = dropped_late_.load();
    const std::size_t unstarted = dropped_.load();
    // And what has become in flight before what is so no more: running <= limit.
    const std::size_t resumed = retry_ ? retry_->resumed() : 0;
    const std::size_t overdue_ended = timeouts_ ? timeouts_->overdue_ended() : 0;
    now.pulled = pulled_.load();
    const std::size_t ended_so_far = ended_total();
    const std::size_t overdue = timeouts_ ? timeouts_->overdue() : 0;
    const std::size_t ended = std::min(ended_so_far + unstarted + (overdue - overdue_ended), now.pulled);
    now.overdue = timeouts_ ? overdue - std::min(overdue, timeouts_->overdue_ended()) : 0;
    const std::size_t paused = retry_ ? retry_->paused() : 0;
    const std::size_t resting = std::min(paused - std::min(paused, resumed), now.pulled - ended);
    now.running = now.pulled - ended - resting;
    const std::size_t gone = std::min(now.taken + late + unstarted, ended);
    now.ready = ended - gone;
    now.dropped = late + unstarted;
    if (concluded_) now.dropped += std::exchange(now.ready, 0);
    now.bound = bound(now, resting);
    return now;
}

bound_by stream_engine::bound(const stream_stats& now, std::size_t resting) const noexcept {
    if (gate_ && (arrived_.size() > 0 || gate_->again.load()) && gate_->waits.load()) return gate_->why.load();
    const bool window_full = admission_.window_room(now.pulled, now.taken) == 0;
    if (resting > 0 && now.running == 0 && now.ready == 0 && (!open() || window_full)) return bound_by::retry;
    if (!open()) return bound_by::none;
    if (window_full && now.ready > 0) {
        const record* head = in_order_ ? awaited_.load() : nullptr;
        return head && head->state.load() < stage::finished ? bound_by::head_of_line : bound_by::buffer;
    }
    const std::size_t threads = source_.blocks     ? lane_->blocking().most_threads()
                                : source_.launches ? unlimited
                                                   : max_pumps_;
    if (now.running + now.overdue >= std::min(admission_.limit(), threads)) {
        return admission_.limit() <= threads ? bound_by::limit : bound_by::workers;
    }
    return turn_.load() || (fed_ && fed_->size() == 0) ? bound_by::producer : bound_by::none;
}

}  // namespace penstock::inline v0::detail
