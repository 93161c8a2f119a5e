// SPDX-License-Identifier: MIT
#include "timeout_side.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <penstock/detail/saturating.hpp>

#include "timers.hpp"

namespace penstock::inline v0::detail {
namespace {

/// When another thread looks, if the one that looks is in the user's code.
constexpr auto relief = std::chrono::milliseconds(1);

std::chrono::steady_clock::duration checked(std::chrono::steady_clock::duration patience) {
    if (patience.count() < 0) throw std::invalid_argument("penstock: options::task_timeout must not be negative");
    return patience;
}

}  // namespace

timeout_side::timeout_side(stream_engine& stream, timers& timing, clock::duration patience)
    : timing_(timing), patience_(checked(patience)), wake_(stream, alarm::purpose::timeout) {}

const std::stop_token& timeout_side::prepare(record& task, const std::stop_source& of_stream, bool may_repeat,
                                             unsigned failures) {
    timed_attempt* prepared = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        prepared = &attempts_[&task];
    }
    prepared->task = &task;
    prepared->index = task.index;
    prepared->may_repeat = may_repeat;
    prepared->failures = failures;
    prepared->of_stream.reset();
    prepared->stop = std::stop_source();
    prepared->token = prepared->stop.get_token();
    prepared->of_stream.emplace(of_stream.get_token(), timed_attempt::relay{prepared->stop});
    prepared->stand_in = nullptr;
    prepared->ended = prepared->passed = prepared->gone = false;
    return prepared->token;
}

void timeout_side::begin(const record& task) noexcept {
    const sync::lock_guard guard(mutex_);
    timed_attempt& begun = attempts_.find(&task)->second;
    begun.began = clock::now();  // under the lock: so they come in order
    begun.until = saturating_deadline(patience_).value_or(clock::time_point::max());
    begun.is = timed_attempt::state::running;
    push_locked(running_, begun);
    arm_locked();
}

timeout_side::verdict timeout_side::end(const record& task) noexcept {
    verdict found = verdict::in_time;
    timed_attempt* ended = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        ended = &attempts_.find(&task)->second;
        switch (ended->is) {
        case timed_attempt::state::running:
            remove_locked(running_, *ended);
            if (clock::now() >= ended->until) found = verdict::late;
            break;
        case timed_attempt::state::undecided:
            ended->ended = true;
            return verdict::undecided;
        case timed_attempt::state::overdue:
        case timed_attempt::state::repeated:
            found = ended->is == timed_attempt::state::overdue ? verdict::overdue : verdict::repeated;
            if (std::exchange(ended->to_be_stopped, false)) remove_locked(to_stop_, *ended);
            break;
        case timed_attempt::state::idle:
            break;
        }
        ended->is = timed_attempt::state::idle;
    }
    // Waits for the callbacks of its token, if they are being called: without the lock.
    ended->of_stream.reset();
    return found;
}

bool timeout_side::recycle(record& task, bool in_order) noexcept {
    const sync::lock_guard guard(mutex_);
    timed_attempt& ended = attempts_.find(&task)->second;
    ended.gone = true;
    if (in_order && !ended.passed) return false;
    task.link.store(std::exchange(spare_, &task), std::memory_order_relaxed);
    spares_.fetch_add(1);
    return true;
}

const std::stop_token& timeout_side::token_of(const record& running) const noexcept {
    const sync::lock_guard guard(mutex_);
    return attempts_.find(&running)->second.token;
}

timeout_side::clock::time_point timeout_side::end_of(const record& running) const noexcept {
    const sync::lock_guard guard(mutex_);
    return attempts_.find(&running)->second.until;
}

timeout_side::clock::duration timeout_side::elapsed(const record& ended) const noexcept {
    const sync::lock_guard guard(mutex_);
    return clock::now() - attempts_.find(&ended)->second.began;
}

void timeout_side::add_spare(record& vacant) noexcept {
    const sync::lock_guard guard(mutex_);
    vacant.link.store(std::exchange(spare_, &vacant), std::memory_order_relaxed);
    spares_.fetch_add(1);
}

record* timeout_side::take_spare_locked() noexcept {
    record* taken = spare_;
    spare_ = taken->link.load(std::memory_order_relaxed);
    spares_.fetch_sub(1);
    return taken;
}

timed_attempt* timeout_side::take_due() noexcept {
    const sync::lock_guard guard(mutex_);
    timed_attempt* first = running_.first;
    if (!first || first->until > clock::now()) return nullptr;
    remove_locked(running_, *first);
    first->is = timed_attempt::state::undecided;
    return first;
}

void timeout_side::went_off() noexcept {
    const sync::lock_guard guard(mutex_);
    wake_is_set_ = false;
    arm_locked(clock::now() + relief);
}

void timeout_side::arm() noexcept {
    const sync::lock_guard guard(mutex_);
    arm_locked();
}

/// It is left where it is when the task that it was set for ends: it then goes off in vain once, and is not set for
/// every task anew. Without a thread for timers, tasks are told when the next can be had.
void timeout_side::arm_locked(clock::time_point not_before) noexcept {
    if (closed_ || !running_.first || running_.first->until == clock::time_point::max()) return;
    const clock::time_point when = std::max(running_.first->until, not_before);
    if (wake_is_set_ && wake_.until <= when) return;
    if (wake_is_set_ && !timing_.cancel(wake_)) return;  // it has gone off: who serves it will set it
    wake_.until = when;
    wake_is_set_ = timing_.set(wake_);
}

std::optional<std::stop_source> timeout_side::take_to_stop() noexcept {
    const sync::lock_guard guard(mutex_);
    timed_attempt* first = to_stop_.first;
    if (!first) return std::nullopt;
    remove_locked(to_stop_, *first);
    first->to_be_stopped = false;
    return first->stop;
}

record* timeout_side::stand_in(const record& timed_out) const noexcept {
    const sync::lock_guard guard(mutex_);
    return attempts_.find(&timed_out)->second.stand_in;
}

bool timeout_side::pass(const record& timed_out) noexcept {
    const sync::lock_guard guard(mutex_);
    timed_attempt& passed = attempts_.find(&timed_out)->second;
    passed.passed = true;
    return passed.gone;
}

void timeout_side::close() noexcept {
    const sync::lock_guard guard(mutex_);
    closed_ = true;
    if (wake_is_set_) timing_.cancel(wake_);
}

void timeout_side::push_locked(list& to, timed_attempt& added) noexcept {
    added.before = to.last;
    added.behind = nullptr;
    (to.last ? to.last->behind : to.first) = &added;
    to.last = &added;
}

void timeout_side::remove_locked(list& from, timed_attempt& removed) noexcept {
    (removed.before ? removed.before->behind : from.first) = removed.behind;
    (removed.behind ? removed.behind->before : from.last) = removed.before;
    removed.before = removed.behind = nullptr;
}

}  // namespace penstock::inline v0::detail
