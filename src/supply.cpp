// SPDX-License-Identifier: MIT
/// Where tasks come from if not from a pump's own pull: a producer that is pulled on a blocking thread, and a feed.
/// README.md, "Producers that block" and "Feeds".
#include <utility>

#include <penstock/detail/feed_core.hpp>

#include "blocking_lane.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {

void puller::serve() noexcept { engine.serve_puller(); }
ticket_owner* puller::owner() const noexcept { return &engine; }
void puller::refuse(std::exception_ptr why) noexcept { engine.refuse_puller(std::move(why)); }

/// The puller's: whether to have it pull. What waits to be run is enough to go on with, so a thread is not woken for
/// each task that ends; but what is launched leaves nothing waiting, and must be replaced at once (C2).
bool stream_engine::worth_pulling() const noexcept {
    if (!open() || (retry_ && any_due())) return false;
    const std::size_t room = approx_room();
    return room > 0 && (launches_ || room >= admission_.limit() / 4 || arrived_.size() == 0);
}

/// There may be room for what the producer gives, and nobody has the turn: a blocking thread is to take it. By who is
/// inside the stream, or by the consumer. Not under a lock.
void stream_engine::call_puller() noexcept {
    if (!worth_pulling() || turn_.exchange(true)) return;
    attention_.fetch_and(~std::uint32_t{puller_idle});
    {
        const sync::lock_guard guard(lane_->mutex());
        if (closing_) return;
        ++inside_;
    }
    lane_->blocking().add(puller_);
}

/// On a blocking thread, with the turn. `most`: so many items, then others may have the thread.
void stream_engine::serve_puller(std::size_t most) noexcept {
    const task_frame frame(*lane_, this);
    do {
        while (pull_here()) {
            if (--most == 0 || lane_->blocking().approx_crowded())
                return lane_->blocking().add_for_this_thread(puller_);
        }
    } while (!retire_puller());
}

bool stream_engine::pull_here() noexcept {
    if (deadline_ && clock::now() >= *deadline_) expire();
    if (!open() || room(1) == 0) return false;
    record* pulled = pull_one();
    if (!pulled) {
        if (retry_) call_for_help(attention_.load(), 0);  // what is due has found no slot meanwhile
        return false;
    }
    if (source_.blocks && !gate_) {
        // C12: it gets its thread before the next pull may block this one, or this one goes to it.
        arrived_.any();  // I5: a section between pulled_ and the look for a stop, as pump::append() is
        if (attention_.load() & (stopping | failing) && !may_start(*pulled)) {
            drop(*pulled);
        } else {
            pulled->state.store(stage::running, std::memory_order_relaxed);
            launch(*pulled, false);
        }
        return true;
    }
    // Who took the last one that was there has told others of the rest, and will find this one behind it (I4).
    if (arrived_.append(*pulled)) call_for_help(attention_.load(), 1);  // O2, with retire() and sleep()
    if (attention_.load() & (stopping | failing)) wake_consumer();      // I5: it must look here again
    return true;
}

/// As retire(): gives up the turn first, looks for room then. Returns whether the puller has left; the stream may be
/// gone then.
bool stream_engine::retire_puller() noexcept {
    if (open()) {
        attention_.fetch_or(puller_idle);  // while it has the turn: who sees it too early finds the turn taken
        turn_.store(false);
        has_unstarted();  // O2, with run_batch() and taken(): what ended before is seen, or they see the announcement
        if (worth_pulling() && !turn_.exchange(true)) {
            attention_.fetch_and(~std::uint32_t{puller_idle});
            return false;
        }
    }
    leave_elsewhere();
    return true;
}

/// I6: the last thing that the puller, or who has entered from outside, does to the stream.
void stream_engine::leave_elsewhere() noexcept {
    const sync::lock_guard guard(lane_->mutex());
    if (--inside_ == 0) come_to_rest_locked();
}

/// There is no blocking thread, and none can be made.
void stream_engine::refuse_puller(std::exception_ptr why) noexcept {
    end_source(std::move(why));
    leave_elsewhere();
}

/// A pump takes what was pulled elsewhere.
bool stream_engine::fill_from_arrived(pump& at) noexcept {
    bool begun = false;  // with the first that is taken, and not before: more may arrive until then
    const std::size_t count = arrived_.take(batch_of(at), [&](record& task) {
        if (!std::exchange(begun, true)) at.clear();
        at.append(task);
    });
    arrived_.settle(count);
    call_for_help(attention_.load(), 0);  // O2, with retire_puller(); and what is left is others'
    return count > 0;
}

/// The consumer, or who has the gate turn, after a stop or a failure: nothing of what has arrived will be run.
void stream_engine::drop_arrived() noexcept {
    record* waiting = nullptr;
    while (arrived_.take(1, [&](record& task) { waiting = &task; }) > 0) {
        arrived_.settle(1);
        drop(*waiting);
    }
}

/// By who holds the feed's mutex while the stream is attached. False: the stream is being joined, and needs to know
/// nothing.
bool stream_engine::enter() noexcept {
    const sync::lock_guard guard(lane_->mutex());
    if (closing_) return false;
    ++inside_;
    return true;
}

void stream_engine::fed_and_leave() noexcept {
    const std::shared_ptr<cpu_lane> lane = lane_;  // this thread may be none of its own
    call_for_help(attention_.load(), 0);
    end_drained_feed();
    leave_elsewhere();
}

/// After whatever may have drained the feed, and by each holder of the turn when he has released it: who finds the turn
/// taken leaves it to him (O2).
void stream_engine::end_drained_feed() noexcept {
    while (fed_ && fed_->drained() && open() && !turn_.exchange(true)) {
        if (open() && fed_->drained()) end_source(nullptr);
        turn_.store(false);
    }
}

/// The consumer asks for a result and there is none: if nothing is in flight either, an empty feed ends. With the turn,
/// so that nothing is between feed and `pulled_`; every push of this stream's tasks and of its consumer has come
/// before.
bool stream_engine::end_empty_feed() noexcept {
    if (!fed_ || fed_->size() > 0 || !all_accounted() || any_overdue() || turn_.exchange(true)) return false;
    const bool ended = open() && all_accounted() && !any_overdue() && fed_->end_if_empty();
    if (ended) end_source(nullptr);
    turn_.store(false);
    if (!ended) call_for_help(attention_.load(), 0);  // O2, with retire(), who found the turn taken
    return ended;
}

/// Whether end_empty_feed() might find the end. Exact for who has announced himself as waiting (O2).
bool stream_engine::feed_may_end() const noexcept { return fed_ && fed_->size() == 0 && !turn_.load() && !any_overdue(); }

}  // namespace penstock::inline v0::detail
