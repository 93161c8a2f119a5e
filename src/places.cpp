// SPDX-License-Identifier: MIT
/// Which pumps have a place: are awake, or will be as soon as a worker is free. README.md, "Places".
#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <thread>

#include "resting.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
void pump::serve() noexcept { engine.serve(*this); }
void pump::refuse(std::exception_ptr) noexcept { engine.refuse(*this); }
ticket_owner* pump::owner() const noexcept { return &engine; }

/// A worker with a pump's place. When requeue() or retire() says so, the pump and the stream with it may be gone.
void stream_engine::serve(pump& at) noexcept {
    const task_frame frame(*lane_, this);
    // Whose turn it is after a batch: of those who wait for this kind of thread, wherever this pump was ready.
    const bool on_worker = on_worker_thread();
    resting state;
    for (;;) {
        const std::uint32_t word = lane_->nap_word();  // before the reasons to nap are looked at, see cpu_lane::nap()
        if (state.not_displaced > 0) {
            --state.not_displaced;
        } else if (displaced() && !lane_->crowded() && nap(at, state, word)) {
            continue;
        }
        if (work(at)) {
            state.naps = 0;
            // Now the other streams' turn; this pump queues behind them.
            if (on_worker ? lane_->crowded() : lane_->blocking().approx_crowded()) return requeue(at);
        } else if (!rest(state) && retire(at)) {
            return;
        }
    }
}

/// A descendant's pump, by a thread that waits for an ancestor: one batch.
void stream_engine::serve_once(pump& at) noexcept {
    const task_frame frame(*lane_, this);
    if (work(at)) return requeue(at);
    while (!retire(at)) {
        if (work(at)) return requeue(at);
    }
}

/// There is work, and a place is free: one more pump. Cost: the lane's mutex, and a wake-up if a worker sleeps.
void stream_engine::kick() noexcept {
    pump* idle = nullptr;
    bell whom = bell::nobody;
    {
        const sync::lock_guard guard(lane_->mutex());
        idle = fill_place_locked();
        if (!idle) return;
        whom = schedule_locked(*idle);
    }
    ring(*lane_, whom, *idle);
}

/// Under the lane's mutex: gives a free place to a pump, and returns it; null if there is no place, or if a pump that
/// was on its way out has it now.
pump* stream_engine::fill_place_locked() noexcept {
    if (closing_ || places_.load() >= max_pumps_) return nullptr;
    pump* idle = nullptr;
    if (retiring_ > recalls_) {
        ++recalls_;
    } else if ((idle = idle_pump_locked())) {
        ++inside_;
    } else {
        return nullptr;
    }
    set_places_locked(places_.load() + 1);
    return idle;
}

/// Null without memory; then others carry on, and kick again.
pump* stream_engine::idle_pump_locked() noexcept {
    if (pump* idle = idle_pumps_) {
        idle_pumps_ = idle->next_idle;
        return idle;
    }
    for (std::size_t number = 0; number < max_pumps_; ++number) {
        if (!pumps_[number].load(std::memory_order_relaxed)) return make_pump(number);
    }
    return nullptr;
}

pump* stream_engine::make_pump(std::size_t number) noexcept {
    pump* made = new (std::nothrow) pump(*this, number, !launches_);
    pumps_[number].store(made, std::memory_order_release);
    return made;
}

/// Under the lane's mutex: makes the pump ready, and wakes consumers who could do its work where they wait: this
/// stream's and its ancestors'. The caller rings.
bell stream_engine::schedule_locked(pump& ready) noexcept {
    // C2: tasks that need no worker do not wait for one to launch them.
    ready.off_workers = source_.blocks && lane_->full_locked();
    if (ready.off_workers) return bell::blocking_threads;
    rouse_nested_locked();
    return lane_->add_locked(ready) ? bell::workers : bell::nobody;
}

/// Under the lane's mutex, when something of this stream's becomes ready: who waits for the stream on a worker's
/// thread, or for one that it descends from, may have to run it, as there may be no other thread.
void stream_engine::rouse_nested_locked() noexcept {
    for (const lineage* above = lineage_.get(); above; above = above->parent.get()) {
        stream_engine* waiting = above->engine;
        if (!waiting) continue;
        waiting->rouse_nested_consumer_locked();
        if (waiting->joiner_) waiting->joiner_->unpark();
    }
}

void stream_engine::rouse_nested() noexcept {
    const sync::lock_guard guard(lane_->mutex());
    rouse_nested_locked();
}

/// Not under a lock. The stream may be gone, unless the pump is for a blocking thread: then it is not ready before
/// this.
void stream_engine::ring(cpu_lane& lane, bell whom, pump& ready) noexcept {
    if (whom == bell::workers) lane.ring();
    if (whom != bell::blocking_threads) return;
    lane.blocking().add(ready);
    lane.offer_to_workers();
}

void stream_engine::set_places_locked(std::size_t places) noexcept {
    places_.store(places);
    if (places < max_pumps_) {
        attention_.fetch_or(places_idle);
    } else {
        attention_.fetch_and(~std::uint32_t{places_idle});
    }
}

void stream_engine::requeue(pump& at) noexcept {
    // The stream may be gone as soon as the lock is free; the lane is not, this thread is one of its.
    cpu_lane& lane = *lane_;
    bell whom = bell::nobody;
    {
        const sync::lock_guard guard(lane.mutex());
        if (closing_) {
            leave_locked(at, true);
        } else {
            whom = schedule_locked(at);
        }
    }
    ring(lane, whom, at);
}

/// I4: gives up the place first, looks for work then. Whoever makes work looks for a free place afterwards, so one of
/// the two sees the other. Returns whether the pump has left; the stream may be gone then.
bool stream_engine::retire(pump& at) noexcept {
    {
        const sync::lock_guard guard(lane_->mutex());
        ++retiring_;
        set_places_locked(places_.load() - 1);
    }
    const bool more = work_to_do();  // O2, with whoever makes work: fill(), run_batch(), taken()
    const sync::lock_guard guard(lane_->mutex());
    --retiring_;
    if (recalls_ > 0 && !closing_) {
        --recalls_;
        return false;
    }
    if (more && !closing_ && places_.load() < max_pumps_) {
        set_places_locked(places_.load() + 1);
        return false;
    }
    leave_locked(at, false);
    return true;
}

/// I6: the last thing that a pump does to its stream.
void stream_engine::leave_locked(pump& at, bool with_place) noexcept {
    if (with_place) set_places_locked(places_.load() - 1);
    at.next_idle = idle_pumps_;
    idle_pumps_ = &at;
    if (--inside_ == 0) come_to_rest_locked();
}

/// Nobody is inside, or no task away, any more: tells who joins the stream, and who destroys the executor.
void stream_engine::come_to_rest_locked() noexcept {
    if (joiner_) joiner_->unpark();
    lane_->note_rest_locked();
}

/// Waits until no thread is inside the stream, no task is away, and none will be. `may_serve`: on a thread of the
/// executor, runs what they wait for.
void stream_engine::join(bool may_serve) noexcept {
    sync::parker joined;
    attention_.fetch_or(leaving);
    const cpu_lane::wait_inside inside(*lane_);
    if (gate_) close_gate();
    if (fed_) fed_->detach();
    if (alarm_) lane_->timing().cancel(*alarm_);
    if (retry_) retry_->close();
    if (timeouts_) timeouts_->close();
    if (retry_) end_back_offs();
    sync::unique_lock lock(lane_->mutex());
    closing_ = true;
    for (const auto& slot : pumps_) {
        pump* made = slot.load(std::memory_order_relaxed);
        if (!made || made->off_workers || !made->queued) continue;
        lane_->withdraw_locked(*made);
        leave_locked(*made, true);
    }
    lane_->wake_nappers();
    joiner_ = &joined;
    // I6: who lets go of the stream last does so under the lock. When we have had it, that thread is out.
    for (;;) {
        if (alarm_) withdraw_alarm_locked(*alarm_);
        if (timeouts_) withdraw_alarm_locked(timeouts_->wake());
        if (inside_ == 0 && away_.load() == 0) break;
        lock.unlock();
        drop_waiting();
        const bool nested = task_frame::innermost() || on_worker_thread();
        if (!nested || !help_descendant(may_serve)) joined.park();
        lock.lock();
    }
    joiner_ = nullptr;
    lineage_->engine = nullptr;
    // Only now: a stream that is over may be joined while its executor is being destroyed, and has tasks that need it.
    lane_->forget_locked(*this);
    lane_->note_rest_locked();
}

}  // namespace penstock::inline v0::detail
