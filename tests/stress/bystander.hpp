// SPDX-License-Identifier: MIT
/// How other threads than the consumer's reach a stream: to stop it, and to read its counters.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "stress/observer.hpp"

namespace stress {

/// The door for other threads to a stream that lives on its consumer's.
class stream_door {
public:
    template <class Stream>
    void open(Stream& stream) {
        const std::lock_guard guard(mutex_);
        request_stop_ = [&stream] { stream.request_stop(); };
        look_ = [&stream] { return std::pair(stream.stats(), stream.done()); };
    }
    /// While `move` runs, nobody else is at the stream.
    template <class Move>
    void while_closed(Move move) {
        const std::lock_guard guard(mutex_);
        request_stop_ = nullptr;
        look_ = nullptr;
        move();
    }
    void close() {
        while_closed([] {});
    }
    /// False when there is no stream (yet, or any more).
    bool request_stop(observer& seen) {
        const std::lock_guard guard(mutex_);
        if (!request_stop_) return false;
        seen.stop_requested();
        request_stop_();
        seen.stop_has_returned();
        return true;
    }
    void inspect(const observer& seen) {
        const std::lock_guard guard(mutex_);
        if (!look_) return;
        const auto [stats, done] = look_();
        if (stats.running + stats.ready + stats.taken + stats.dropped > stats.pulled)
            seen.violation("stats: more than pulled");
        if (stats.running > seen.plan.limit) seen.violation("stats: running above the limit");
        if (done && stats.taken + stats.dropped > stats.pulled) seen.violation("stats: done, and still counting");
    }

private:
    std::mutex mutex_;
    std::function<void()> request_stop_;
    std::function<std::pair<penstock::stream_stats, bool>()> look_;
};

inline void request_by_token(observer& seen) {
    seen.stop_requested();
    // A second request returns before the first has had its effect: it promises nothing.
    if (seen.stop.request_stop()) seen.stop_has_returned();
}

/// Stops the stream when it has made so many steps, and reads its counters meanwhile.
class bystander {
public:
    bystander(observer& seen, stream_door& door) : seen_(seen), door_(door), thread_([this] { stand_by(); }) {}
    ~bystander() {
        over_ = true;
        thread_.join();
    }

private:
    void stand_by() {
        const stream_plan& plan = seen_.plan;
        const bool stops = plan.stop == stop_kind::token || plan.stop == stop_kind::method;
        bool stopped = false;
        while (!over_) {
            if (stops && !stopped && seen_.steps() >= plan.stop_at) {
                stopped = true;
                if (plan.stop == stop_kind::token) request_by_token(seen_);
                if (plan.stop == stop_kind::method) stopped = door_.request_stop(seen_);
            }
            door_.inspect(seen_);
            if (stops && !stopped) {
                std::this_thread::yield();
            } else {
                std::this_thread::sleep_for(std::chrono::microseconds(100));
            }
        }
    }
    observer& seen_;
    stream_door& door_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

}  // namespace stress
