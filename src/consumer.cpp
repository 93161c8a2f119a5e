// SPDX-License-Identifier: MIT
/// The consumer's side: take what is finished, else help (the short way here, the long one in
/// helping.cpp), else wait (waiting.cpp).
#include <array>
#include <ctime>
#include <utility>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

/// From here on reading the clock twice costs little beside the task.
constexpr auto worth_timing = std::chrono::microseconds(2);

bool passed(const std::optional<sync::time_point>& time) { return time && sync::time_point::clock::now() >= *time; }

long coarse_tick() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

}  // namespace

record* stream_engine::next_of_all(const wait_until& wait) {
    const bool lent = lends();
    if (concluded_) return nullptr;
    const bool nested = task_frame::innermost() || on_worker_thread();
    const bool may_help = nested ? wait.may_wait : wait.may_help && help_ && !deadline_;
    const bool may_ask = !nested && wait.may_help && asks_ && !deadline_;
    // A consumer that is awake in a stream of tiny tasks takes a core, whether it helps at the moment or only takes.
    const bool busy = may_help || (wait.may_wait && tiny_to_take_);
    set_helping(!nested && busy && short_tasks());
    bool helped = false;
    for (;;) {
        if (!lent || may_go_on(!wait.may_wait || passed(wait.time) || passed(deadline_))) {
            if (record* found = take_ready(true)) return found;
            if (at_end()) return conclude();
            if (passed(deadline_)) return next_at_deadline();
        }
        if (lent && wait.may_wait) lend();
        if (may_help && !(helped && passed(wait.time) && !waits_for_loan()) && help(nested)) {
            helped = true;
            continue;
        }
        if (!wait.may_wait || passed(wait.time)) {
            if (!lent || may_go_on(true)) {
                refill(true);
                if (record* found = take_ready(false)) return found;
                return at_end() ? conclude() : nullptr;
            }
            if (!wait.may_wait) return nullptr;
        }
        if (may_ask && ask_producer()) continue;
        sleep(wait.time, nested, may_help, may_ask);
    }
}

/// The short way, while the consumer helps: the next of those tasks that it has pulled itself, if nothing else is to be
/// done. A look around only after every few of them.
record* stream_engine::run_own_task() noexcept {
    if (attention_.load() & (stopping | failing | places_idle)) return nullptr;
    if (in_order_) {
        if (record* found = take_in_submission_order()) return found;
    } else if (published_more()) {
        return nullptr;
    }
    record* const task = own_->advance();
    if (!task) return nullptr;
    --own_run_left_;
    if (--until_coarse_look_ == 0) look_at_coarse_clock();
    if (own_->each >= worth_timing) {
        run_own_task_timed(*task);
    } else {
        const task_frame frame(*lane_, this);
        start(*own_, *task);
    }
    order_end_of_own();
    if (in_order_) {
        kick_if_idle();
        return take_in_submission_order();
    }
    return deliver_own(*task);
}

/// The same where nothing but tiny tasks is to be thought of.
record* stream_engine::run_tiny_task() noexcept {
    if (attention_.load() & (stopping | failing | places_idle) || published_more()) return nullptr;
    record* const task = own_->advance_alone();
    if (!task) return nullptr;
    --own_run_left_;
    if (--until_coarse_look_ == 0) look_at_coarse_clock();
    {
        const task_frame frame(*lane_, this);
        source_.run(*task);
    }
    end_here<false>(*own_, *task);
    sync::light_fence();  // O7: taken() looks for who waits for room, at once
    return deliver_own(*task);
}

/// Whether it is a result like any other; else it is looked at closely, and what it was to hold up goes first.
inline record* stream_engine::deliver_own(record& done) noexcept {
    if (done.outcome == outcome::value && !done.late) [[likely]]
        return &done;
    return put_off(done);
}

record* stream_engine::put_off(record& done) noexcept {
    kick_if_idle();
    add_ready(done);
    return nullptr;
}

/// Where reading the clock twice costs little beside the task.
void stream_engine::run_own_task_timed(record& task) noexcept {
    const auto begin = clock::now();
    {
        const task_frame frame(*lane_, this);
        start(*own_, task);
    }
    judge(clock::now() - begin, 1);
    if (!short_tasks()) own_run_left_ = 0;
}

/// It costs little and ticks every few milliseconds: if it has, or the pumps have seen long tasks, the next is looked at closely.
void stream_engine::look_at_coarse_clock() noexcept {
    until_coarse_look_ = tasks_for_a_coarse_look;
    const long tick = coarse_tick();
    ticked_ = std::exchange(last_tick_, tick) != tick;
    if (ticked_ || !short_tasks()) own_run_left_ = 0;
}

void stream_engine::add_ready(record& done) noexcept {
    own_run_left_ = 0;  // it goes before what could be run
    done.link.store(nullptr, std::memory_order_relaxed);
    if (ready_first_) {
        ready_last_->link.store(&done, std::memory_order_relaxed);
    } else {
        ready_first_ = &done;
    }
    ready_last_ = &done;
}

/// The consumer, having pulled tasks into its own pump, or made room.
void stream_engine::kick_if_idle() noexcept {
    const std::uint32_t bits = attention_.load();
    if (bits & puller_idle) call_puller();
    if (!(bits & places_idle)) return;
    if ((own_ && own_->approx_unstarted() > 0) || pullable()) kick();
}

/// `look`: also at what others have published since.
record* stream_engine::take_ready(bool look) noexcept {
    return in_order_ ? take_in_submission_order() : take_in_completion_order(look);
}

record* stream_engine::take_in_completion_order(bool look) noexcept {
    for (;;) {
        if (!ready_first_ && look) refill(false);
        record* found = ready_first_;
        if (!found) return nullptr;
        ready_first_ = found->link.load(std::memory_order_relaxed);
        if (found->state.load(std::memory_order_acquire) == stage::dropped) {  // O1
            vacate(*found);
        } else if (found == first_failed_.load()) {
            // It is thrown when the stream ends, and counts as taken.
            source_.discard(*found);
            vacate(*found);
            taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        } else if (found->late) {
            source_.discard(*found);
            vacate(*found);
            dropped_late_.fetch_add(1);
        } else {
            return found;
        }
    }
}

/// Records are linked in the order in which they were pulled (O5); the next to take is behind the one taken last.
record* stream_engine::take_in_submission_order() noexcept {
    for (;;) {
        record* found = order_taken_->link.load(std::memory_order_acquire);  // O5
        if (!found) return nullptr;
        const stage at = found->state.load(std::memory_order_acquire);  // O1
        if (at < stage::finished) return nullptr;
        const bool beyond_failure = fail_fast_ && found->index >= fail_index_.load();
        // The link out of a record is written when its successor is pulled: it goes back only then.
        record* before = std::exchange(order_taken_, found);
        if (before != &order_stub_) leave_behind(*before);
        if (at == stage::dropped) continue;
        if (at == stage::overdue) found = timeouts_->stand_in(*found);
        if (!beyond_failure && !found->late) return found;
        if (found == first_failed_.load()) {
            // All that comes before has ended: now the rest may be asked to be quick.
            stop_tasks();
            taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        } else {
            dropped_late_.fetch_add(1);
        }
        source_.discard(*found);
        vacate(*found);
    }
}

/// In submission order: a record that the consumer needs no more. Its task may still run.
void stream_engine::leave_behind(record& taken) noexcept {
    const bool overdue = taken.state.load(std::memory_order_relaxed) == stage::overdue;
    if (!overdue || timeouts_->pass(taken)) give_back(taken);
}

/// Links what is published behind ready_first_. `all`: also what is finished and not published; otherwise that only
/// where its pump has ended no task since the last look, for a pump that moves on publishes soon by itself.
void stream_engine::refill(bool all) noexcept {
    if (in_order_) return;
    if (launches_) return take_landed();
    while (published_more()) {
        if (pop_published() > 0 && !all) return;
    }
    std::array<record*, pump::capacity> found;
    for (std::size_t number = 0; number < max_pumps_; ++number) {
        pump* from = pumps_[number].load(std::memory_order_acquire);
        if (!from || (!all && from->approx_outbox() == 0)) continue;
        const std::size_t ended = from->ended.load(std::memory_order_relaxed);
        if (!all && std::exchange(from->outbox_seen_at, ended) != ended) continue;
        // What this pump has pushed, it had finished before what is in its outbox. Others may have pushed and not
        // counted: so not as long as the count says, but as long as there is something. Who pushes just now looks at
        // attention_ afterwards (O2).
        const std::size_t pushed = from->pushed.load(std::memory_order_acquire);
        while (pop_published() > 0 || published_more()) {
        }
        const std::size_t count = from->empty_outbox(found.data(), pushed);
        for (std::size_t i = 0; i < count; ++i) add_ready(*found[i]);
    }
}

std::size_t stream_engine::pop_published() noexcept {
    std::array<record*, pump::capacity> found;
    const std::size_t count = queue_.pop(found.data(), found.size());
    dequeued_ += count;
    for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(found[i], 1);  // all at once, not one by one
    for (std::size_t i = 0; i < count; ++i) add_ready(*found[i]);
    return count;
}

}  // namespace penstock::inline v0::detail
