// SPDX-License-Identifier: MIT
/// Pumps that keep their place and sleep, because the consumer does their work, or the stream is fast without them. README.md,
/// "Places".
#include <algorithm>
#include <chrono>

#include "pacing.hpp"
#include "resting.hpp"
#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto spin_time = 8us;        ///< before a pump without work gives up its place
constexpr auto long_spin_time = 50us;  ///< where tasks are tiny, and the consumer does nothing but take
constexpr auto shortest_nap = 200us;
constexpr auto longest_nap = 800us;
constexpr unsigned longest_nap_doublings = 2;
constexpr auto slowest_loop = 4us;  ///< a consumer that takes a result less often does not count as a worker
constexpr unsigned batches_until_asked_again = 256;
constexpr std::size_t fast_progress = 16;  ///< pulls and takes within spin_time that make a stream fast

}  // namespace

/// Keeps the place, for the moment the helping consumer is found gone. Returns whether it was still there.
bool stream_engine::nap(const pump& at, resting& state, std::uint32_t word) noexcept {
    bool present = false;
    if (places_.load() - napping_.fetch_add(1) >= awake_enough()) {
        // It counts as napping while it looks around. Otherwise another would nap now, perhaps one that has a core to
        // itself, where this one takes the consumer's.
        do {
            const consumer_progress before = progress_of_consumer();
            const clock::duration length = shortest_nap * (1U << std::min(state.naps++, longest_nap_doublings));
            lane_->nap(word, before.at + std::clamp<clock::duration>(4 * at.each, length, longest_nap));
            present = took_a_core_since(before, at.each);
        } while (present && lane_->nap_word() == word && consumer_counts() && !lane_->crowded() &&
                 places_.load() - napping_.load() + 1 >= awake_enough());
        if (!present) {
            state.not_displaced = batches_until_asked_again;
            state.naps = 0;
        }
    }
    napping_.fetch_sub(1);
    return present;
}

consumer_progress stream_engine::progress_of_consumer() const noexcept {
    const pump* own = pumps_[max_pumps_].load(std::memory_order_acquire);
    return {.at = clock::now(), .taken = taken_.load(), .ended = own ? own->ended.load(std::memory_order_relaxed) : 0};
}

/// Whether the consumer ran tasks, `each` so long, or as long as one that it may run, most of the time, or took results as fast as tiny ones end. Else it is busy
/// with what it took: then a pump had better work itself, for a good while.
bool stream_engine::took_a_core_since(const consumer_progress& before, clock::duration each) const noexcept {
    const consumer_progress now = progress_of_consumer();
    const auto elapsed = now.at - before.at;
    return now.taken - before.taken >= static_cast<std::size_t>(elapsed / slowest_loop) ||
           static_cast<std::int64_t>(now.ended - before.ended) * std::min<clock::duration>(each, short_task) >= elapsed / 2;
}

/// Nothing to do at the moment. Returns whether to look again; false: give up the place.
bool stream_engine::rest(resting& state) noexcept {
    if (gate_ && gate_->waits.load()) return false;  // others' tasks are what it waits for
    const auto progress = [this] {
        return pulled_.load(std::memory_order_relaxed) + taken_.load(std::memory_order_relaxed);
    };
    const std::size_t before = progress();
    const std::uint32_t word = lane_->nap_word();
    const auto until = clock::now() + (tiny_to_take_ && !help_ ? long_spin_time : spin_time);
    // Spins without yielding: whoever gets the core then has it for milliseconds.
    bool last_look = false;
    do {
        // Preempted, it may have been away for longer than it wanted to spin: it looks once more in any case.
        last_look = clock::now() >= until;
        if (attention_.load() & leaving) return false;
        if (fillable()) return true;
        // A look takes cache lines away from those who work: seldom enough.
        for (int pauses = 0; pauses < 16; ++pauses) sync::pause();
    } while (!last_look);
    if (lane_->crowded()) return false;
    if (!launches_ && (tiny_to_take_ || tiny_to_run_) && progress() - before >= fast_progress) {
        // The stream is fast without this pump, and would only wake it for nothing again and again. But somebody must be
        // at hand if a task turns out long.
        const bool supplied = pulls_elsewhere_ || fed_;
        const bool last = napping_.fetch_add(1) + 1 >= places_.load();
        // What comes from elsewhere must find a pump awake, or a place free and so a reason to wake one.
        if (!supplied || !last) {
            lane_->nap(word, clock::now() + shortest_nap * (1U << std::min(state.naps++, longest_nap_doublings)));
        }
        napping_.fetch_sub(1);
        if (!supplied || !last) return true;
    }
    return unstarted_anywhere();
}

}  // namespace penstock::inline v0::detail
