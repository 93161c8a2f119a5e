// SPDX-License-Identifier: MIT
/// The consumer's side: take what is finished, else help, else wait. README.md has the protocol.
#include <algorithm>
#include <array>
#include <ctime>
#include <thread>
#include <utility>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// The consumer helps once it has seen so many short tasks and no other; what runs on its thread holds up its loop.
constexpr std::uint32_t trust_to_help = 32;
/// It looks for others' results only after every few tasks of its own.
constexpr unsigned own_tasks_in_a_row = 16;
/// Within which so many of them must have been run and taken to be called tiny.
constexpr auto tiny_run = 16us;
/// Before parking: results of short tasks come sooner than a thread falls asleep and wakes.
constexpr auto spin_time = 10us;
constexpr auto longest_doze = 100us;
constexpr std::size_t most_to_doze_for = 32;

long coarse_tick() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec;
}

bool passed(const std::optional<sync::time_point>& time) { return time && sync::time_point::clock::now() >= *time; }

}  // namespace

record* stream_engine::next(const wait_until& wait) {
    if (own_ && own_in_a_row_ < own_tasks_in_a_row) {
        if (record* found = run_own_task(wait)) return found;
    }
    if (concluded_) return nullptr;
    const bool nested = task_frame::innermost() || on_worker_thread();
    const bool may_help = nested ? wait.may_wait : wait.may_help && help_ && !deadline_;
    // A consumer that is awake in a stream of tiny tasks takes a core, whether it helps at the moment or only takes.
    const bool busy = may_help || (wait.may_wait && tiny_to_take_);
    set_helping(!nested && busy && short_tasks());
    bool helped = false;
    for (;;) {
        if (record* found = take_ready(true)) return found;
        if (at_end()) return conclude();
        if (passed(deadline_)) return next_at_deadline();
        if (may_help && !(helped && passed(wait.time)) && help(nested)) {
            helped = true;
            continue;
        }
        if (!wait.may_wait || passed(wait.time)) {
            refill(true);
            if (record* found = take_ready(false)) return found;
            return at_end() ? conclude() : nullptr;
        }
        sleep(wait.time, nested, may_help);
    }
}

/// The short way, while the consumer helps with tiny tasks: the next of those it has pulled itself, if nothing else is to
/// be done. A look around only after every few of them.
record* stream_engine::run_own_task(const wait_until& wait) noexcept {
    const bool calm = !(attention_.load() & (stopping | failing | places_idle)) && !ready_first_ && !deadline_ &&
                      (in_order_ || !published_more());
    if (!calm || !wait.may_help || !short_tasks() || own_->approx_unstarted() == 0) return nullptr;
    if (in_order_) {
        if (record* found = take_in_submission_order()) return found;
    }
    const task_frame frame(*lane_, this);
    record* task = own_->advance();
    if (!task) return nullptr;
    start(*own_, *task);
    if (++own_in_a_row_ % 4 == 0) {
        // The coarse clock costs little and ticks every few milliseconds: if it has, the next task is looked at closely.
        const long tick = coarse_tick();
        if (std::exchange(last_tick_, tick) != tick) own_in_a_row_ = own_tasks_in_a_row;
    }
    if (attention_.load() != 0) [[unlikely]] kick_if_idle();
    if (in_order_) return take_in_submission_order();
    if (task->outcome == outcome::value && !task->late) [[likely]] return task;
    add_ready(*task);
    return nullptr;
}

void stream_engine::add_ready(record& done) noexcept {
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
    if (!(attention_.load() & places_idle)) return;
    if ((own_ && own_->approx_unstarted() > 0) || (open() && approx_room() > 0)) kick();
}

void stream_engine::taken(record& done) noexcept {
    vacate(done);
    taken_.store(taken_.load(std::memory_order_relaxed) + 1);
    if (attention_.load() & places_idle) [[unlikely]] kick_if_idle();  // O2, with retire(), who found no room
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
        if (at != stage::finished && at != stage::dropped) return nullptr;
        const bool beyond_failure = fail_fast_ && found->index >= fail_index_.load();
        // The link out of a record is written when its successor is pulled: it goes back only then.
        record* before = std::exchange(order_taken_, found);
        if (before != &order_stub_) give_back(*before);
        if (at == stage::dropped) continue;
        if (!beyond_failure) return found;
        if (found == first_failed_.load()) {
            // All that comes before has ended: now the rest may be asked to be quick.
            source_.stop.request_stop();
            taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        } else {
            dropped_late_.fetch_add(1);
        }
        source_.discard(*found);
    }
}

/// Links what is published behind ready_first_. `all`: also what is finished and not published; otherwise that only where
/// its pump has ended no task since the last look, for a pump that moves on publishes soon by itself.
void stream_engine::refill(bool all) noexcept {
    if (in_order_) return;
    std::array<record*, pump::capacity> found;
    const auto link = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) add_ready(*found[i]);
    };
    while (published_more()) {
        const std::size_t count = queue_.pop(found.data(), found.size());
        dequeued_ += count;
        for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(found[i], 1);  // all at once, not one by one
        link(count);
        if (count > 0 && !all) return;
    }
    for (std::size_t number = 0; number < max_pumps_; ++number) {
        pump* from = pumps_[number].load(std::memory_order_acquire);
        if (!from || (!all && from->approx_outbox() == 0)) continue;
        const std::size_t ended = from->ended.load(std::memory_order_relaxed);
        if (all || std::exchange(from->outbox_seen_at, ended) == ended) link(from->empty_outbox(found.data()));
    }
}

/// Records are pushed first and counted then, so the consumer may have popped more than are counted.
bool stream_engine::published_more() const noexcept {
    return static_cast<std::ptrdiff_t>(published_.load(std::memory_order_acquire) - dequeued_) > 0;
}

void stream_engine::vacate(record& done) noexcept {
    if (!in_order_) give_back(done);
}

void stream_engine::give_back(record& vacant) noexcept {
    vacant.state.store(stage::vacant, std::memory_order_relaxed);
    records_.give(vacant);
}

bool stream_engine::short_tasks() const noexcept {
    return trust_.load(std::memory_order_relaxed) >= trust_to_help;
}

/// Runs one task of this stream, or inside a task a batch of a stream that its tasks started. Returns whether it did.
/// One, because the consumer starts no task while it holds a result (C14).
bool stream_engine::help(bool nested) noexcept {
    const bool left_over = own_ && own_->approx_unstarted() > 0;
    // Its own it runs in any case; what others have pulled, if they are held up in the producer: there may be nobody else to.
    // Tasks that were tiny may have become long: then others' results go before them, those in outboxes too.
    if (left_over && !short_tasks()) {
        refill(true);
        if (ready_first_) return true;
    }
    const bool trusted = nested || left_over || short_tasks();
    if (!trusted && !(turn_.load() && unstarted_anywhere())) {
        set_helping(false);
        return false;
    }
    if (!own_ && !(own_ = make_pump(max_pumps_))) return false;
    const task_frame frame(*lane_, this);
    const auto begin = clock::now();
    const bool found = left_over || (trusted ? find_work(*own_, begin) : steal(*own_));
    if (!found) return nested && help_descendant();
    const std::uint32_t count = std::max(own_->approx_unstarted(), 1U);
    record* task = own_->advance();
    if (!task) return false;
    // In a run of tiny tasks one clock reading will do for all of them, if it tells that they were.
    const bool tiny = left_over && begin - std::exchange(last_look_, begin) < tiny_run;
    const auto pulled = tiny || left_over ? begin : clock::now();
    start(*own_, *task);
    own_in_a_row_ = 0;
    if (!tiny) {
        const auto each = (pulled - begin) / count + (clock::now() - pulled);
        adapt(*own_, each * own_->batch, own_->batch);
    }
    kick_if_idle();
    if (!in_order_) add_ready(*task);
    return true;
}

void stream_engine::set_helping(bool helping) noexcept {
    if (consumer_helping_.load(std::memory_order_relaxed) == helping) return;
    consumer_helping_.store(helping, std::memory_order_relaxed);
    // The pump that napped in the consumer's stead takes its place back.
    if (!helping) lane_->wake_nappers();
}

/// The first ready pump of a stream that was started by a task of this one, or by a task of such a stream.
pump* stream_engine::descendants_pump_locked() const noexcept {
    for (ticket* at = lane_->ready_locked().first(); at; at = at->behind) {
        const stream_engine* owner = at->stream();
        if (!owner || owner == this) continue;
        for (const lineage* above = owner->lineage_->parent.get(); above; above = above->parent.get()) {
            if (above == lineage_.get()) return static_cast<pump*>(at);
        }
    }
    return nullptr;
}

bool stream_engine::help_descendant() noexcept {
    pump* found = nullptr;
    {
        const sync::lock_guard guard(lane_->mutex());
        found = descendants_pump_locked();
        if (found) lane_->withdraw_locked(*found);
    }
    if (!found) return false;
    found->engine.serve_once(*found);
    return true;
}

/// Parks until there may be something to do, `until` at the latest.
void stream_engine::sleep(std::optional<clock::time_point> until, bool nested, bool may_help) noexcept {
    if (deadline_ && (!until || *deadline_ < *until)) until = deadline_;
    if (short_tasks()) {
        // Spinning is for a consumer that has a core: it helps, or takes as fast as tasks end.
        const bool has_core = may_help || tiny_to_take_;
        if (has_core && spin_for_result()) return;
        if (!may_help && doze(until)) return;
    }
    if (!nested) set_helping(false);
    const std::uint32_t bits =
        consumer_waits | (may_help ? consumer_helps : 0U) | (nested ? consumer_nested : 0U);
    awaited_.store(in_order_ ? order_taken_->link.load(std::memory_order_acquire) : nullptr);
    attention_.fetch_or(bits);
    // O2, with run_batch(), publish(), fill() and end_source(): what they did is seen now, or they see the announcement.
    if (!anything_to_do(nested, may_help)) consumer_.park(until);
    attention_.fetch_and(~(bits | consumer_roused));
}

/// Where short tasks end all the time, to be woken for each would cost more than the tasks. Sleeps until a good number of
/// results are published, but no longer than a nap; pumps look at it after a batch, not after a task. Returns whether
/// anything came.
bool stream_engine::doze(std::optional<clock::time_point> until) noexcept {
    const std::size_t published = published_.load();
    doze_target_.store(published + std::clamp<std::size_t>(fair_share_, 1, most_to_doze_for));
    attention_.fetch_or(consumer_dozes);
    const auto nap = clock::now() + longest_doze;
    if (published_.load() == published && !at_end_visible()) {  // O2, with publish() and end_source()
        consumer_.park(until ? std::min(*until, nap) : nap);
    }
    attention_.fetch_and(~(std::uint32_t{consumer_dozes} | consumer_roused));
    refill(true);
    return result_visible();
}

bool stream_engine::spin_for_result() noexcept {
    const auto until = clock::now() + spin_time;
    do {
        for (int look = 0; look < 4; ++look) {
            if (result_visible()) return true;
            for (int pauses = 0; pauses < 16; ++pauses) sync::pause();
        }
        // On a busy machine the results may be made on this very core.
        yield();
    } while (clock::now() < until);
    return false;
}

bool stream_engine::result_visible() const noexcept {
    if (ready_first_ || at_end_visible()) return true;
    if (!in_order_) return published_more();
    const record* awaited = order_taken_->link.load(std::memory_order_acquire);
    return awaited && awaited->state.load(std::memory_order_acquire) >= stage::finished;
}

/// Announced as waiting: exact (O2).
bool stream_engine::anything_to_do(bool nested, bool may_help) noexcept {
    const bool unstarted = has_unstarted();  // first of all: it visits every batch
    if (result_visible()) return true;
    refill(true);
    if (ready_first_) return true;
    if (may_help && turn_.load() && unstarted) return true;
    if (may_help && (nested || short_tasks()) && work_to_do()) return true;
    if (!nested) return false;
    const sync::lock_guard guard(lane_->mutex());
    return descendants_pump_locked() != nullptr;
}

/// Whoever has given the consumer something to do and sees that it waits. One of several wakes it; returns whether it was
/// this one.
bool stream_engine::rouse_consumer() noexcept {
    constexpr std::uint32_t waiting = consumer_waits | consumer_dozes | consumer_helps | consumer_nested;
    std::uint32_t bits = attention_.load();
    do {
        if (!(bits & (consumer_waits | consumer_dozes))) return false;
        // One that dozed is in no hurry: enough to make room for it once.
    } while (!attention_.compare_exchange_weak(bits, (bits & ~waiting) | (bits & consumer_waits ? consumer_roused : 0U)));
    consumer_.unpark();
    return true;
}

/// Not under a lock.
void stream_engine::wake_consumer() {
    // Waking a thread is not running it: make room for it on this core.
    if (rouse_consumer()) yield();
}

void stream_engine::yield() { std::this_thread::yield(); }

}  // namespace penstock::inline v0::detail
