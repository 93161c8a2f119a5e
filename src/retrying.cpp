// SPDX-License-Identifier: MIT
/// A stream's tasks that have failed and are run again. attempts.md.
#include <array>
#include <chrono>
#include <exception>
#include <thread>

#include <penstock/errors.hpp>
#include <penstock/observer.hpp>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

/// By whoever has ended an attempt. False: it was the last.
bool stream_engine::backs_off(record& task) noexcept {
    if (task.outcome != outcome::error) return false;
    if (ending() && !may_start(task)) return false;
    if (!source_.runs_again(task)) return false;
    const unsigned failures = task.retried ? retry_->failures(task) : 0;
    // In a statement of its own: nobody but the next owner of the task is to have its exception when that is paused.
    const bool again = retry_->wants_again(task, failures, source_.error_of(task));
    return again && pauses(task);
}

/// It is to be run again. False: not any more.
bool stream_engine::pauses(record& task) noexcept {
    if (ending() && !may_start(task)) {
        retry_->take_back(task);
        return false;
    }
    const bool owes_loan = return_permit(task);
    if (const auto when = retry_->put(task)) {
        while (clock::now() < *when && !ending()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        retry_->look();
    }
    if (owes_loan) return_loan();
    // I5: whoever has looked for what waits after the stop, or the failure, did not find this one.
    if (ending()) end_back_offs();
    return true;
}

/// A pump runs again what is due. Its slot is taken with it.
bool stream_engine::resume(pump& at) noexcept {
    record* task = retry_->take_due();
    if (!task) return false;
    at.begin(&task, 1);
    call_for_help(attention_.load(), 0);  // O2, with retire() and sleep(): there may be more
    return true;
}

/// After a stop or a failure: what waits has started, and is delivered with its last error; or it has been pulled and
/// had no slot, and is dropped.
void stream_engine::end_back_offs() noexcept {
    std::array<record*, 256> found;
    std::size_t count = 0;
    do {
        count = retry_->take_given_up(found, [this](const record& each) { return !may_start(each); });
        for (std::size_t i = 0; i < count; ++i) drop(*found[i], false);
    } while (count == found.size());
}

/// A stop cuts off an attempt that was about to begin.
void stream_engine::drop_retried(record& task, bool in_flight) noexcept {
    if (observer_ && task.told) observer_->on_error(task.index, std::make_exception_ptr(stopped()));
    task.late = expired_.load();  // C5: it has not ended before the deadline
    land_for_good(task, in_flight);
    if (in_flight) offer_slot();
}

/// By whom a task has been dropped, and its slot given back: in submission order others may go on.
void stream_engine::offer_slot() noexcept {
    if (resumable()) call_for_help(attention_.load(), 0);  // O2, with retire() and sleep()
}

/// Holding the turn: what has been pulled is in flight; or it waits, if what is due has taken its slot meanwhile.
bool stream_engine::keep_pulled(record& pulled) noexcept {
    if (retry_->keep_reserved()) return true;
    retry_->put_pulled(pulled);
    if (ending()) end_back_offs();  // I5
    return false;
}

/// The timers' thread.
void stream_engine::retry_is_due_and_release() noexcept {
    cpu_lane& lane = *lane_;
    retry_->went_off();
    call_for_help(attention_.load(), 0);  // O2, with retire() and sleep()
    if (napping_.load() > 0) lane.wake_nappers();
    leave_launched(lane);
}

unsigned stream_engine::attempts(const record& done) const noexcept {
    const unsigned failures = retry_->failures(done);
    return done.again ? failures : failures + 1;
}

}  // namespace penstock::inline v0::detail
