// SPDX-License-Identifier: MIT
#include <penstock/detail/feed_core.hpp>

#include <utility>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

/// The stream is told without the mutex, for that may wake threads, and make one. Having entered the stream under it,
/// this thread keeps it alive (I6).
bool feed_core::push(feed_link& item) noexcept {
    stream_engine* told = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        if (closed_.load() || (stream_ && !stream_->open())) return false;
        item.behind = nullptr;
        (first_ ? last_->behind : first_) = &item;
        last_ = &item;
        size_.store(size_.load(std::memory_order_relaxed) + 1);
        if (stream_ && stream_->rests() && stream_->enter()) told = stream_;  // O2, with retire() and sleep()
    }
    if (told) told->fed_and_leave();
    return true;
}

void feed_core::close() noexcept {
    stream_engine* told = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        if (closed_.exchange(true)) return;
        if (stream_ && stream_->enter()) told = stream_;
    }
    if (told) told->fed_and_leave();
}

bool feed_core::attach(stream_engine& stream) noexcept {
    const sync::lock_guard guard(mutex_);
    if (std::exchange(had_stream_, true)) return false;
    stream_ = &stream;
    return true;
}

void feed_core::detach() noexcept {
    const sync::lock_guard guard(mutex_);
    stream_ = nullptr;
    closed_.store(true);
}

feed_link* feed_core::pop() noexcept {
    const sync::lock_guard guard(mutex_);
    feed_link* popped = first_;
    if (!popped) return nullptr;
    first_ = popped->behind;
    size_.store(size_.load(std::memory_order_relaxed) - 1);
    return popped;
}

bool feed_core::end_if_empty() noexcept {
    const sync::lock_guard guard(mutex_);
    if (first_) return false;
    closed_.store(true);
    return true;
}

}  // namespace penstock::inline v0::detail
