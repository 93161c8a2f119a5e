// SPDX-License-Identifier: MIT
/// Work that a pump has and does not get to. README.md, "Places".
#include <algorithm>
#include <array>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// A thief goes without what moves on by itself within this many looks, some microseconds.
constexpr int looks_before_stealing = 64;
/// While it has enough to do, it lets a pump stand still for so long.
constexpr auto watch_interval = 50us;

}  // namespace

/// Whether an idle thread would find something to do: unstarted tasks anywhere, or room and nobody at the producer.
bool stream_engine::work_to_do() noexcept {
    return has_unstarted() || fillable();
}

/// Whether a pump would find something to take or to pull. May be stale.
bool stream_engine::fillable() const noexcept {
    if (retry_ && resumable()) return !(gate_ && gate_->turn.load());
    if (arrived_.size() > 0) return pullable() && !(gate_ && gate_->turn.load());
    return !pulls_elsewhere_ && !turn_.load() && pullable();
}

/// Visits every batch: exact (O2). What waits at a gate does not wait for a thread.
bool stream_engine::has_unstarted() noexcept {
    bool found = (pulls_elsewhere_ || gate_) && arrived_.any() && pullable();
    for (const auto& slot : pumps_) {
        pump* other = slot.load();
        if (other && other->has_unstarted()) found = true;
    }
    return found;
}

/// May be stale.
bool stream_engine::unstarted_anywhere() const noexcept {
    if (arrived_.size() > 0 && pullable()) return true;
    return std::any_of(pumps_.begin(), pumps_.end(), [](const auto& slot) {
        const pump* other = slot.load(std::memory_order_acquire);
        return other && other->approx_unstarted() > 0;
    });
}

/// C8: with nothing else to do, takes from a pump that does not move on.
bool stream_engine::steal(pump& at) noexcept {
    for (const auto& slot : pumps_) {
        pump* victim = slot.load(std::memory_order_acquire);
        if (!victim || victim == &at || victim->approx_unstarted() == 0) continue;
        const std::size_t ended = victim->ended.load(std::memory_order_relaxed);
        bool moved = false;
        for (int look = 0; look < looks_before_stealing && !moved; ++look) {
            sync::pause();
            moved = victim->ended.load(std::memory_order_relaxed) != ended || victim->approx_unstarted() == 0;
        }
        if (!moved && take_half(at, *victim)) return true;
    }
    return false;
}

/// What has been pulled goes before what could be pulled: a pump in a long task, or a consumer that is away, must not keep
/// its batch while others find enough to do. Looks seldom, at one pump after the other, for it costs that pump a cache miss.
bool stream_engine::steal_stuck(pump& at, clock::time_point now) noexcept {
    if (now < at.next_watch) return false;
    at.next_watch = now + watch_interval;
    if (std::exchange(at.watching, false)) {
        pump& watched = *pumps_[at.watched].load(std::memory_order_acquire);
        const bool stuck = watched.ended.load(std::memory_order_relaxed) == at.watched_ended;
        if (stuck && watched.approx_unstarted() > 0 && take_half(at, watched)) return true;
    }
    for (std::size_t step = 0; step < pumps_.size() && !at.watching; ++step) {
        at.watched = (at.watched + 1) % pumps_.size();
        const pump* next = pumps_[at.watched].load(std::memory_order_acquire);
        if (!next || next == &at || next->approx_unstarted() == 0) continue;
        at.watched_ended = next->ended.load(std::memory_order_relaxed);
        at.watching = true;
    }
    return false;
}

bool stream_engine::take_half(pump& at, pump& victim) noexcept {
    std::array<record*, pump::capacity> taken;
    const std::uint32_t count = victim.steal(taken.data());
    if (count == 0) return false;
    at.clear();
    for (std::uint32_t i = 0; i < count; ++i) at.append(*taken[i]);
    return true;
}

}  // namespace penstock::inline v0::detail
