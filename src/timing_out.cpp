// SPDX-License-Identifier: MIT
/// A stream's tasks that time out: their results are delivered while they still run. attempts.md.
#include <exception>
#include <optional>
#include <utility>

#include <penstock/errors.hpp>
#include <penstock/observer.hpp>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

/// One for each: who reads one does not share it with threads of which it knows nothing.
std::exception_ptr its_time_is_up() noexcept { return std::make_exception_ptr(timed_out()); }

}  // namespace

/// An attempt is about to begin; its own token, null if it has failed instead.
const std::stop_token* stream_engine::prepare_attempt(record& task) noexcept {
    try {
        if (retry_) retry_->expect(task);  // it may stand in for another one day
        const unsigned failures = task.retried ? retry_->failures(task) : 0;
        return &timeouts_->prepare(task, source_.stop, retry_ && source_.runs_again(task), failures);
    } catch (...) {
        source_.fail(task, std::current_exception());
        return nullptr;
    }
}

/// An attempt has ended. False: it has timed out and is delivered, or is left to who delivers it.
bool stream_engine::end_in_time(record& task) noexcept {
    switch (timeouts_->end(task)) {
    case timeout_side::verdict::in_time:
        return true;
    case timeout_side::verdict::late:
        source_.fail(task, its_time_is_up(), timeouts_->elapsed(task));
        return true;
    case timeout_side::verdict::undecided:
        break;
    case timeout_side::verdict::overdue:
        finish_expired(task, false);
        break;
    case timeout_side::verdict::repeated:
        finish_expired(task, true);
        break;
    }
    return false;
}

/// An attempt has really ended after its time was up.
void stream_engine::finish_expired(record& task, bool repeated) noexcept {
    task.told = false;
    if (!repeated) return end_overdue(task);
    source_.fail(task, its_time_is_up(), timeouts_->elapsed(task));
    if (pauses(task)) return;
    land_for_good(task, true);
}

std::stop_token stream_engine::token_of(task_root& begun) const noexcept {
    return timeouts_ ? timeouts_->token_of(record_of(begun)) : source_.stop.get_token();
}

stream_engine::clock::time_point stream_engine::end_of(task_root& begun) const noexcept {
    return timeouts_ ? timeouts_->end_of(record_of(begun)) : clock::time_point::max();
}

/// Its outcome is nobody's any more.
void stream_engine::end_overdue(record& task) noexcept {
    source_.discard(task);
    const bool owes_loan = return_permit(task);
    ended_elsewhere_.fetch_add(1);  // first: it is not to be counted as running again
    timeouts_->note_overdue_ended();
    if (retry_) retry_->return_slot();
    timeouts_->recycle(task, in_order_);
    if (owes_loan) return_loan();
    // O2, with sleep(): the feed that it might have pushed into may end now.
    if (fed_ && attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();
}

/// On a thread that may run the user's code: an observer, a predicate, what hangs on the tasks' tokens. First all that
/// are due are delivered, then they are told.
void stream_engine::expire_tasks() noexcept {
    timeouts_->went_off();
    while (timed_attempt* due = timeouts_->take_due()) {
        record& task = *due->task;
        if (observer_) observer_->on_error(due->index, its_time_is_up());
        const bool repeated = due->may_repeat && !(ending() && !may_start(task)) &&
                              retry_->wants_again(task, due->failures, its_time_is_up());
        const unsigned failures = due->failures;
        record* stand_in = nullptr;
        const bool ended = timeouts_->decide(*due, repeated, [&](record& filled) {
            filled.index = due->index;
            filled.late = expired_.load();
            filled.told = filled.permitted = filled.borrowed = filled.again = false;
            filled.stands_in = true;
            filled.retried = failures > 0;
            if (filled.retried) retry_->set_failures(filled, failures);
            source_.time_out(task, filled, its_time_is_up(), timeout_side::clock::now() - due->began);
            stand_in = &filled;
        });
        if (stand_in) deliver_stand_in(task, *stand_in);
        if (ended) {
            static_cast<void>(end_in_time(task));  // nobody else does
            offer_room();
        }
    }
    timeouts_->arm();
    while (std::optional<std::stop_source> told = timeouts_->take_to_stop()) told->request_stop();
}

/// As land_for_good(), for a task that goes on running. In submission order its own record keeps its place.
void stream_engine::deliver_stand_in(record& of, record& stand_in) noexcept {
    settle_error(stand_in);
    if (attention_.load() & failing && !in_order_ && first_failed_.load() != &stand_in) stand_in.late = true;
    if (in_order_) {
        publish_landed(of, stage::overdue);
    } else {
        publish_landed(stand_in, stage::finished);
    }
    tell_of_landed(of);
}

/// Holding the turn: sees to it that for each task in flight, and the next, there is a record to stand in for it.
/// False: there is no memory.
bool stream_engine::keep_spares() noexcept {
    const std::size_t needed = pulled_.load(std::memory_order_relaxed) - ended_total() + 1;
    while (timeouts_->spares() < needed) {
        record* spare = vacant_record();
        if (!spare) return false;
        try {
            if (retry_) retry_->expect(*spare);
        } catch (...) {
            records_.put_back(*spare);
            if (all_accounted()) end_source(std::current_exception());  // as vacant_record()
            return false;
        }
        timeouts_->add_spare(*spare);
    }
    return true;
}

}  // namespace penstock::inline v0::detail
