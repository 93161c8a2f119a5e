// SPDX-License-Identifier: MIT
/// Which pumps have a place: are awake, or will be as soon as a worker is free. README.md, "Places".
#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <thread>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto spin_time = 8us;        ///< before a pump without work gives up its place
constexpr auto long_spin_time = 50us;  ///< where tasks are tiny, and the consumer does nothing but take
constexpr auto shortest_nap = 200us;
constexpr unsigned longest_nap_doublings = 2;
constexpr auto slowest_loop = 4us;  ///< a consumer that takes a result less often does not count as a worker
constexpr unsigned batches_until_asked_again = 256;
constexpr std::size_t fast_progress = 16;  ///< pulls and takes within spin_time that make a stream fast

}  // namespace

/// What a pump that serves remembers from one look around to the next.
struct resting {
    unsigned not_displaced = 0;  ///< for so many batches more: the consumer was found gone, or slow
    unsigned naps = 0;           ///< in a row
};

void pump::serve() noexcept { engine.serve(*this); }

/// A worker with a pump's place. When requeue() or retire() says so, the pump and the stream with it may be gone.
void stream_engine::serve(pump& at) noexcept {
    const task_frame frame(*lane_, this);
    resting state;
    for (;;) {
        const std::uint32_t word = lane_->nap_word();  // before the reasons to nap are looked at, see cpu_lane::nap()
        if (state.not_displaced > 0) {
            --state.not_displaced;
        } else if (displaced() && !lane_->crowded() && nap(state, word)) {
            continue;
        }
        if (work(at)) {
            state.naps = 0;
            // Now the other streams' turn; this pump queues behind them.
            if (lane_->crowded()) return requeue(at);
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

/// Whether the consumer runs tasks in this pump's stead: then there are as many awake as there are to be.
bool stream_engine::displaced() const noexcept {
    return consumer_helping_.load(std::memory_order_relaxed) && !(attention_.load() & leaving) &&
           places_.load() - napping_.load() >= awake_enough();
}

/// How many pumps are enough beside a consumer that takes a core.
std::size_t stream_engine::awake_enough() const noexcept {
    return tiny_to_run_ ? 1 : max_pumps_;
}

/// Keeps the place, for the moment the helping consumer is found gone. Returns whether it was still there.
bool stream_engine::nap(resting& state, std::uint32_t word) noexcept {
    const bool needless = places_.load() - napping_.fetch_add(1) >= awake_enough();
    const std::size_t before = taken_.load();
    const auto begin = clock::now();
    if (needless) lane_->nap(word, begin + shortest_nap * (1U << std::min(state.naps++, longest_nap_doublings)));
    napping_.fetch_sub(1);
    if (!needless) return false;
    // Whoever takes fewer than this is busy with what it took: then this pump had better work itself, for a good while.
    if (taken_.load() - before >= static_cast<std::size_t>((clock::now() - begin) / slowest_loop)) return true;
    state.not_displaced = batches_until_asked_again;
    state.naps = 0;
    return false;
}

/// Nothing to do at the moment. Returns whether to look again; false: give up the place.
bool stream_engine::rest(resting& state) noexcept {
    const auto progress = [this] { return pulled_.load(std::memory_order_relaxed) + taken_.load(std::memory_order_relaxed); };
    const std::size_t before = progress();
    const std::uint32_t word = lane_->nap_word();
    const auto until = clock::now() + (tiny_to_take_ && !help_ ? long_spin_time : spin_time);
    // Spins without yielding: whoever gets the core then has it for milliseconds.
    bool last_look = false;
    do {
        // Preempted, it may have been away for longer than it wanted to spin: it looks once more in any case.
        last_look = clock::now() >= until;
        if (attention_.load() & leaving) return false;
        if (open() && !turn_.load(std::memory_order_relaxed) && approx_room() > 0) return true;
        // A look takes cache lines away from those who work: seldom enough.
        for (int pauses = 0; pauses < 16; ++pauses) sync::pause();
    } while (!last_look);
    if (lane_->crowded()) return false;
    if (progress() - before >= fast_progress) {
        // The stream is fast without this pump, and would only wake it for nothing again and again. But somebody must be
        // at hand if a task turns out long.
        napping_.fetch_add(1);
        lane_->nap(word, clock::now() + shortest_nap * (1U << std::min(state.naps++, longest_nap_doublings)));
        napping_.fetch_sub(1);
        return true;
    }
    return unstarted_anywhere();
}

/// There is work, and a place is free: one more pump. Cost: the lane's mutex, and a wake-up if a worker sleeps.
void stream_engine::kick() noexcept {
    bool wake = false;
    {
        const sync::lock_guard guard(lane_->mutex());
        if (closing_ || places_.load() >= max_pumps_) return;
        if (retiring_ > recalls_) {
            ++recalls_;  // one that is on its way out comes back
        } else if (pump* idle = idle_pump_locked()) {
            ++inside_;
            wake = schedule_locked(*idle);
        } else {
            return;
        }
        set_places_locked(places_.load() + 1);
    }
    if (wake) lane_->ring();
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
    pump* made = new (std::nothrow) pump(*this, number);
    pumps_[number].store(made, std::memory_order_release);
    return made;
}

/// Under the lane's mutex: makes the pump ready, and wakes consumers who could do its work where they wait: this stream's
/// and its ancestors'.
bool stream_engine::schedule_locked(pump& ready) noexcept {
    for (const lineage* above = lineage_.get(); above; above = above->parent.get()) {
        stream_engine* waiting = above->engine;
        if (waiting && waiting->attention_.load() & consumer_nested) waiting->rouse_consumer();
    }
    return lane_->add_locked(ready);
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
    bool wake = false;
    {
        const sync::lock_guard guard(lane.mutex());
        if (closing_) {
            leave_locked(at, true);
        } else {
            wake = schedule_locked(at);
        }
    }
    if (wake) lane.ring();
}

/// I4: gives up the place first, looks for work then. Whoever makes work looks for a free place afterwards, so one of the
/// two sees the other. Returns whether the pump has left; the stream may be gone then.
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
    if (--inside_ == 0 && joiner_) joiner_->unpark();
}

/// Waits until no thread is inside the stream, and none will be.
void stream_engine::join() noexcept {
    sync::parker joined;
    attention_.fetch_or(leaving);
    {
        const sync::lock_guard guard(lane_->mutex());
        closing_ = true;
        lineage_->engine = nullptr;
        for (const auto& slot : pumps_) {
            pump* made = slot.load(std::memory_order_relaxed);
            if (!made || !made->queued) continue;
            lane_->withdraw_locked(*made);
            leave_locked(*made, true);
        }
        lane_->forget_locked(*this);
        if (inside_ == 0) return;
        joiner_ = &joined;
        lane_->wake_nappers();
    }
    joined.park();
    // Who woke us did so under the lock: when we have had it, that thread is out.
    const sync::lock_guard guard(lane_->mutex());
    joiner_ = nullptr;
}

}  // namespace penstock::inline v0::detail
