// SPDX-License-Identifier: MIT
/// A stream's tasks at a gate: how they pass, and what they lend. gates.md.
#include <array>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <penstock/observer.hpp>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock {
inline namespace v0 {

stream_observer::~stream_observer() = default;
void stream_observer::on_start(std::size_t) noexcept {}
void stream_observer::on_finish(std::size_t) noexcept {}
void stream_observer::on_error(std::size_t, std::exception_ptr) noexcept {}

}  // namespace v0
}  // namespace penstock

namespace penstock::inline v0::detail {
namespace {

std::exception_ptr too_heavy(std::size_t index, std::size_t weight, const gate_core::answer& refused) noexcept {
    try {
        return std::make_exception_ptr(std::invalid_argument(
            "penstock: task " + std::to_string(index) + " weighs " + std::to_string(weight) + ", more than the " +
            std::to_string(*refused.cap) +
            (refused.cap_is_loan ? " that the task which waits for it can lend" : " that may be in flight together")));
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace

bool gate_side::passes(const gate_core& asked) const noexcept {
    const gate_core* at = gate;
    while (at && at != &asked) at = at->parent();
    return at != nullptr;
}

gate_side::gate_side(stream_engine& stream, const options& settings, gate_core* shared)
    : gate(shared), place(stream, (shared ? shared->gates() : 0) + 1), asks_again(stream, alarm::purpose::gate) {
    if (settings.max_weight != unlimited) gate = &own.emplace(gate_limits{.weight = settings.max_weight}, shared);
}

std::unique_ptr<gate_side> stream_engine::make_gate_side(const options& settings) {
    if (!settings.shared && settings.max_weight == unlimited) return nullptr;
    gate_core* shared = settings.shared ? settings.shared->core_.get() : nullptr;
    return std::make_unique<gate_side>(*this, settings, shared);
}

/// Takes what has arrived, asks for its permits, and puts back what gets none. Once the stream ends nothing does.
bool stream_engine::admit(pump& at) noexcept {
    gate_side& side = *gate_;
    const bool resumes = retry_ && any_due();
    if (!resumes && arrived_.size() == 0) return false;
    if ((side.waits.load() && !ending()) || side.turn.exchange(true)) return false;
    std::size_t admitted = 0;
    if (resumes && !side.again.load()) side.again.store(retry_->take_due());
    if (record* again = side.again.load(); again && (!ending() || may_start(*again))) {
        admitted = ask_gate(&again, 1);
        if (admitted > 0) {
            side.again.store(nullptr);
            at.begin(&again, 1);
        }
    } else if (!ending()) {
        std::array<record*, pump::capacity> taken;
        std::size_t count = 0;
        const std::size_t most = std::min(batch_of(at), side.gate->batch());
        arrived_.take(most, [&](record& each) { taken[count++] = &each; });
        if (count > 0) {
            admitted = ask_gate(taken.data(), count);
            while (count > admitted) arrived_.put_back(*taken[--count]);
            if (admitted > 0) {
                at.begin(taken.data(), admitted);
                arrived_.settle(admitted);
            }
        }
    }
    if (ending()) give_up_at_gate();
    side.turn.store(false);
    const std::uint32_t bits = attention_.load();
    if (bits & (stopping | failing)) wake_consumer();  // I5: it must look again at what was put back
    call_for_help(bits, 0);                            // O2, with retire() and sleep(), who found the gate turn taken
    return admitted > 0;
}

/// With the gate turn. What has arrived comes behind whatever has failed, so none of it is wanted; what is to be run
/// again may come before it.
void stream_engine::give_up_at_gate() noexcept {
    record* again = gate_->again.load();
    if (again && !may_start(*again)) {
        gate_->again.store(nullptr);
        drop(*std::exchange(again, nullptr));
    }
    if (!again) {
        gate_core::leave(gate_->place);
        gate_->waits.store(false);  // what is to be run again later asks anew
    }
    drop_arrived();
}

/// With the gate turn. Returns how many of the tasks may start.
std::size_t stream_engine::ask_gate(record** tasks, std::size_t count) noexcept {
    gate_side& side = *gate_;
    record& first = *tasks[0];
    if (!first.runs()) return 1;  // it has failed already, and needs none
    const std::size_t weight = source_.weighs ? source_.weight_of(first) : 1;
    side.waits.store(true);  // before asking: who is called in between takes it back
    const bool borrows = side.loan.borrow();
    const gate_core::answer given = side.gate->ask({.place = &side.place,
                                                    .weight = weight,
                                                    .most = borrows ? 1 : count,
                                                    .lent_from = side.loan.is_settled() ? nullptr : side.lent_from,
                                                    .lent_weight = side.lent_weight,
                                                    .borrows = borrows});
    if (given.granted > 0) {
        side.waits.store(false);
        for (std::size_t i = 0; i < given.granted; ++i) tasks[i]->permitted = true;
        first.borrowed = borrows;
        return given.granted;
    }
    if (borrows) put_back_loan();
    if (given.cap) {
        side.waits.store(false);
        if (first.retried) retry_->discount(first);
        source_.fail(first, too_heavy(first.index, weight, given));
        return 1;
    }
    side.why.store(given.why);
    if (given.when && !ask_at(*given.when)) {
        // There is no thread for timers: this one looks at the clock.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        side.waits.store(false);
    }
    return 0;
}

/// With the gate turn. False: there is no thread for it.
bool stream_engine::ask_at(clock::time_point when) noexcept {
    gate_side& side = *gate_;
    if (when == clock::time_point::max()) return true;
    // If it is going off, then after `waits` was set: so it has the stream ask again.
    if (side.asks_again_is_set.load() && (side.asks_again.until <= when || !lane_->timing().cancel(side.asks_again))) return true;
    side.asks_again.until = when;
    side.asks_again_is_set.store(true);
    if (lane_->timing().set(side.asks_again)) return true;
    side.asks_again_is_set.store(false);
    return false;
}

/// There may be room: somebody is to ask. By who is inside, or holds the stream.
void stream_engine::gate_opened() noexcept {
    if (!gate_->waits.exchange(false)) return;
    call_for_help(attention_.load(), 0);  // O2, with retire() and sleep()
    if (napping_.load() > 0) lane_->wake_nappers();
}

/// Not under a lock, on a thread that may be none of this executor's.
void stream_engine::gate_opened_and_release() noexcept {
    const std::shared_ptr<cpu_lane> lane = lane_;
    gate_opened();
    leave_launched(*lane);
}

/// A task has ended, or will never run. What it holds is given back before anybody can see that. True: but for the
/// loan, which is to be returned when the result can be seen, for it is that for which the lender waits.
bool stream_engine::return_permit(record& task) noexcept {
    if (!task.permitted) return false;
    task.permitted = false;
    const std::size_t weight = source_.weighs ? source_.weight_of(task) : 1;
    gate_->gate->release(weight, task.borrowed ? gate_->lent_from : nullptr);
    return task.borrowed;
}

void stream_engine::return_loan() noexcept {
    gate_side& side = *gate_;
    gate_core* const from = side.lent_from;  // before: once it is settled, another may become the lender
    const std::size_t weight = side.lent_weight;
    if (side.loan.give_back()) return from->release(weight);
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();  // O2, with sleep(): it may go on
}

/// What was borrowed was of no use: something else is missing. Nobody else could want it.
void stream_engine::put_back_loan() noexcept {
    switch (gate_->loan.put_back()) {
    case loan::put_back_to::gates:
        return gate_->lent_from->release(gate_->lent_weight);
    case loan::put_back_to::lender:
        return wake_consumer();
    case loan::put_back_to::loan:
        break;
    }
}

/// By who joins. Nobody asks afterwards.
void stream_engine::close_gate() noexcept {
    gate_side& side = *gate_;
    drop_own();
    while (side.turn.exchange(true)) std::this_thread::yield();  // its holder waits for nobody
    give_up_at_gate();
    lane_->timing().cancel(side.asks_again);
}

/// Whether the consumer is a task that has permits to lend. Then it is the lender from now on.
bool stream_engine::lends_to_gate() noexcept {
    const task_frame* frame = task_frame::innermost();
    if (!frame || !frame->task() || !frame->task()->permitted) return false;
    gate_side& side = *gate_;
    const record& task = *frame->task();
    const stream_engine& theirs = *frame->engine();
    const bool known = side.lender == &task && side.lender_index == task.index && side.lenders_engine == &theirs;
    return known ? side.lent_from != nullptr : becomes_lender(task, theirs);
}

bool stream_engine::becomes_lender(const record& task, const stream_engine& theirs) noexcept {
    gate_side& side = *gate_;
    while (side.turn.exchange(true)) std::this_thread::yield();  // its holder waits for nobody
    const bool settled = side.loan.is_settled();
    if (settled) {
        side.lender = &task;
        side.lender_index = task.index;
        side.lenders_engine = &theirs;
        side.lent_weight = theirs.source_.weight_of(task);
        side.lent_from = side.gate;
        while (side.lent_from && !theirs.gate_->passes(*side.lent_from)) side.lent_from = side.lent_from->parent();
    }
    side.turn.store(false);
    call_for_help(attention_.load(), 0);  // O2, with retire(), who found the gate turn taken
    return settled && side.lent_from;
}

void stream_engine::lend() noexcept {
    if (gate_->loan.lend()) gate_opened();
}

/// The lender, before it goes on: whether it has its permits. If they are out, and there is a result, or it `must` go
/// on for another reason, others will do.
bool stream_engine::may_go_on(bool must) noexcept {
    gate_side& side = *gate_;
    if (side.loan.reclaim(false)) return true;
    if (!must && !result_there() && !at_end_visible()) return false;
    if (side.lent_from->ask({.weight = side.lent_weight}).granted == 0) return side.loan.reclaim(true);
    if (!side.loan.replace()) side.lent_from->release(side.lent_weight);
    return true;
}

bool stream_engine::waits_for_loan() const noexcept { return gate_ && gate_->loan.is_out(); }

/// Where more is to be done than to run a task.
void stream_engine::start_apart(pump& at, record& task) noexcept {
    if (launches_) return launch(task, std::exchange(at.launches_for_itself, false));
    {
        const task_frame frame(*lane_, this, &task);
        if (observer_) tell_start(task);
        source_.run(task);
        if (observer_) tell_end(task);
    }
    end_here<true>(at, task);
}

void stream_engine::tell_start(record& task) noexcept {
    if (!task.runs()) return;
    task.told = true;
    observer_->on_start(task.index);
}

void stream_engine::tell_end(record& task) noexcept {
    task.told = false;
    if (task.outcome == outcome::value) {
        observer_->on_finish(task.index);
    } else {
        observer_->on_error(task.index, source_.error_of(task));
    }
}

}  // namespace penstock::inline v0::detail
