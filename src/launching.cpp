// SPDX-License-Identifier: MIT
/// Tasks that begin on a worker and end elsewhere. README.md, "Tasks that end elsewhere".
#include <utility>

#include "blocking_lane.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {

ticket_owner* blocking_ticket::owner() const noexcept { return engine; }

void blocking_ticket::serve() noexcept { engine->run_launched(*carried); }

void blocking_ticket::refuse(std::exception_ptr why) noexcept { engine->refuse_launched(*carried, std::move(why)); }

/// By a pump, by a consumer that helps, or by the puller: starts a task. It may have ended, and its record have been
/// recycled, before this returns. `for_this_thread`: a blocking one, that will be back at once.
void stream_engine::launch(record& task, bool for_this_thread) noexcept {
    away_.fetch_add(1);  // I6: while this thread is inside, so nobody has joined yet
    const task_frame frame(*lane_, this, &task);
    const bool runs = task.runs();
    if (observer_ && !source_.blocks) tell_start(task);
    const std::stop_token* const own = timeouts_ && runs ? prepare_attempt(task) : nullptr;
    if (own && !source_.starts_elsewhere(task)) timeouts_->begin(task);
    switch (source_.launch(task, own)) {
    case launched::ended:
        if (!own || end_in_time(task)) land_ended(task, runs && (own || !timeouts_));
        away_.fetch_sub(1);
        break;
    case launched::blocking: {
        blocking_ticket& ready = *source_.ticket_of(task);
        ready.engine = this;
        ready.carried = &task;
        if (for_this_thread) {
            lane_->blocking().add_for_this_thread(ready);
        } else {
            lane_->blocking().add(ready);
        }
        // I5: whoever has looked for what waits after the stop, or the failure, must look again.
        if (attention_.load() & (stopping | failing)) wake_consumer();
        break;
    }
    case launched::begun: {
        task_root& root = *source_.root_of(task);
        root.engine = this;
        root.resume(source_.frame_of(task));
        break;
    }
    }
}

/// On a blocking thread.
void stream_engine::run_launched(record& task) noexcept {
    cpu_lane& lane = *lane_;  // outlives its threads
    const task_frame frame(lane, this);
    if (attention_.load() & (stopping | failing) && !may_start(task)) {
        drop(task);  // it had a slot, but no thread yet
    } else {
        {
            const task_frame inner(lane, this, &task);  // ends before the task: the producer may be called below
            if (observer_ && source_.blocks) tell_start(task);
            if (timeouts_) timeouts_->begin(task);
            source_.run_blocking(task, timeouts_ ? &timeouts_->token_of(task) : nullptr);
        }
        if (!timeouts_ || end_in_time(task)) {
            // Unless it failed, for then the user's callbacks may be called.
            if (task.outcome == outcome::value) lane.blocking().announce_return();
            land_ended(task, true);
        }
        if (attention_.load() & puller_idle) call_puller();
        if (source_.blocks) {
            refill_here();
        } else {
            offer_room();  // what comes next may be for a worker
        }
    }
    leave_launched(lane);
}

void stream_engine::refuse_launched(record& task, std::exception_ptr why) noexcept {
    cpu_lane& lane = *lane_;
    if (task.retried) retry_->discount(task);
    source_.fail(task, std::move(why));
    land_ended(task, false);
    offer_room();
    leave_launched(lane);
}

/// A launched task has its outcome: it ends, and is published. Whoever calls must see to it that its slot is filled
/// again.
void stream_engine::land(record& task) noexcept {
    if (!timeouts_ || end_in_time(task)) land_ended(task, true);
}

/// Not `has_run`: it had failed before it could.
void stream_engine::land_ended(record& task, bool has_run) noexcept {
    if (observer_) tell_end(task);
    if (retry_ && has_run && backs_off(task)) return;
    land_for_good(task, true);
}

/// `in_flight`: until now; otherwise it was waiting to be run again.
void stream_engine::land_for_good(record& task, bool in_flight) noexcept {
    if (task.outcome != outcome::value) settle_error(task);
    if (retry_) source_.release(task);
    ended_elsewhere_.fetch_add(1);  // before anybody can take the result: nothing is taken that has not ended
    if (retry_ && in_flight) retry_->return_slot();
    const bool owes_loan = return_permit(task);
    if (attention_.load() & failing && !in_order_ && first_failed_.load() != &task) task.late = true;
    publish_landed(task, stage::finished);
    tell_of_landed(task);
    if (owes_loan) return_loan();
}

/// O2, with sleep() and doze().
void stream_engine::tell_of_landed(const record& task) noexcept {
    const std::uint32_t bits = attention_.load();
    if (bits & consumer_waits) {
        const record* awaited = awaited_.load();
        if (!in_order_ || !awaited || awaited == &task || bits & (stopping | failing)) wake_consumer();
    } else if (bits & consumer_dozes && published_.load() >= doze_target_.load()) {
        wake_consumer();
    }
}

/// O1, and for the order of completion a list from which the consumer takes all at once. Pushed first and counted then.
void stream_engine::publish_landed(record& task, stage as) noexcept {
    if (in_order_) {
        task.state.store(as, std::memory_order_release);  // O1
    } else {
        record* newest = landed_.load(std::memory_order_relaxed);
        task.state.store(as, std::memory_order_release);  // O1
        do {
            task.link.store(newest, std::memory_order_relaxed);
        } while (!landed_.compare_exchange_weak(newest, &task));  // O2
    }
    published_.fetch_add(1);  // O2
}

/// The consumer: links what has landed behind ready_first_, oldest first.
void stream_engine::take_landed() noexcept {
    record* newest = landed_.exchange(nullptr);  // O2
    record* oldest = nullptr;
    while (newest) {
        record* older = newest->link.load(std::memory_order_relaxed);
        newest->link.store(oldest, std::memory_order_relaxed);
        oldest = std::exchange(newest, older);
    }
    while (oldest) {
        record* next = oldest->link.load(std::memory_order_relaxed);
        add_ready(*oldest);
        ++dequeued_;
        oldest = next;
    }
}

/// The blocking thread whose job has ended fills the slot that this has made free, for all workers may be busy with
/// other streams (C2). One task, which it then runs itself. Not if somebody waits for this very thread, for the
/// producer may block (C12): then whoever is free next does it.
void stream_engine::refill_here() noexcept {
    if (!work_to_do()) return;  // O2, with retire() and sleep(), who found no room
    if (lane_->blocking().approx_crowded()) return call_for_help(attention_.load(), 1);
    pump* at = nullptr;
    {
        const sync::lock_guard guard(lane_->mutex());
        at = fill_place_locked();
        if (!at) at = waiting_pump_locked();
    }
    if (!at) return call_for_help(attention_.load(), 1);
    if (!lane_->blocking().revoke_return()) return requeue(*at);
    const bool filled = fill(*at);
    at->launches_for_itself = filled;
    if (filled) run_batch(*at);
    at->launches_for_itself = false;
    if (!retire(*at)) requeue(*at);
}

/// Under the lane's mutex: takes back a pump that waits for a worker.
pump* stream_engine::waiting_pump_locked() noexcept {
    for (const auto& slot : pumps_) {
        pump* made = slot.load(std::memory_order_acquire);
        if (!made || made->off_workers || !made->queued) continue;
        lane_->withdraw_locked(*made);
        return made;
    }
    return nullptr;
}

/// A slot has become free on a thread that does not fill it.
void stream_engine::offer_room() noexcept {
    const std::uint32_t bits = attention_.load();  // O2, with retire(), retire_puller() and sleep(), who found no room
    if (bits & puller_idle) call_puller();
    if (bits & (places_idle | consumer_nested) && work_to_do()) call_for_help(bits, 1);
}

/// There is no blocking thread for the pump, and none can be made: a worker will have to do.
void stream_engine::refuse(pump& at) noexcept {
    cpu_lane& lane = *lane_;
    bool wake = false;
    {
        const sync::lock_guard guard(lane.mutex());
        at.off_workers = false;
        if (closing_) {
            leave_locked(at, true);
        } else {
            rouse_nested_locked();
            wake = lane.add_locked(at);
        }
    }
    if (wake) lane.ring();
}

/// After a stop or a failure: what waits for a blocking thread will not be run, and need not wait for one.
void stream_engine::drop_waiting() noexcept {
    if (!(launches_ || pulls_elsewhere_ || alarm_ || gate_) || !(attention_.load() & (stopping | failing | leaving))) return;
    if (pulls_elsewhere_) drop_arrived();
    if (gate_ && !gate_->turn.exchange(true)) {  // else its holder does it
        give_up_at_gate();
        gate_->turn.store(false);
        if (retry_ && resumable()) call_for_help(attention_.load(), 0);  // O2, with who found the gate turn taken
    }
    if (retry_) end_back_offs();
    while (ticket* waiting = lane_->blocking().withdraw(*this)) {
        if (waiting->what() == ticket::kind::record) {
            drop(*static_cast<blocking_ticket*>(waiting)->carried);
            leave_launched(*lane_);
        } else if (waiting->what() == ticket::kind::puller) {
            leave_elsewhere();
        } else if (waiting->what() == ticket::kind::alarm) {
            leave_launched(*lane_);
        } else {
            const sync::lock_guard guard(lane_->mutex());
            leave_locked(*static_cast<pump*>(waiting), true);
        }
    }
}

bool stream_engine::gives_up(const ticket& waiting) const noexcept {
    switch (waiting.what()) {
    case ticket::kind::pump:
        return attention_.load() & (stopping | leaving);
    case ticket::kind::record:
        return attention_.load() & (stopping | failing) &&
               !may_start(*static_cast<const blocking_ticket&>(waiting).carried);
    case ticket::kind::puller:
        return !open() || attention_.load() & leaving;
    case ticket::kind::alarm:
        return attention_.load() & leaving;
    case ticket::kind::frame:
        break;  // has begun
    }
    return false;
}

/// I6: the last thing that a launched task does to its stream. Only who may be the last needs the lock.
void stream_engine::leave_launched(cpu_lane& lane) noexcept {
    std::size_t away = away_.load();
    while (away > 1) {
        if (away_.compare_exchange_weak(away, away - 1)) return;
    }
    const sync::lock_guard guard(lane.mutex());
    if (away_.fetch_sub(1) == 1) come_to_rest_locked();
}

}  // namespace penstock::inline v0::detail
