// SPDX-License-Identifier: MIT
/// Looks at a stream from inside its producer: who calls, when, and how far ahead of the consumer.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

namespace support {

/// The consumer takes through next(), the producer announces each call with a `call`.
class pull_watch {
public:
    /// `window`: how far the pulled may be ahead of the taken.
    explicit pull_watch(std::size_t window) : window_(window) {}

    class call {
    public:
        explicit call(pull_watch& watch) : watch_(watch) { watch_.enter(); }
        call(const call&) = delete;
        call& operator=(const call&) = delete;
        ~call() { watch_.inside_.store(false); }
        /// An item is being given. Its position.
        std::size_t give() {
            watch_.pulled_.store(watch_.calls_);
            return watch_.calls_ - 1;
        }

    private:
        pull_watch& watch_;
    };

    template <class Stream>
    auto next(Stream& stream) {
        begun_.fetch_add(1);
        auto result = stream.next();
        if (result) returned_.fetch_add(1);
        return result;
    }

    std::size_t pulled() const { return pulled_.load(); }
    std::size_t excess() const { return excess_.load(); }      ///< calls beyond the window
    std::size_t overlaps() const { return overlaps_.load(); }  ///< calls during another

private:
    void enter() {
        if (inside_.exchange(true)) overlaps_.fetch_add(1);
        ++calls_;
        // A result counts as taken at some moment inside next(). On the consumer's own thread it has not been yet, or
        // the consumer would not be pulling; seen from another thread it may have been.
        const std::size_t taken = std::this_thread::get_id() == consumer_ ? returned_.load() : begun_.load();
        if (calls_ > taken + window_) excess_.fetch_add(1);
    }

    const std::size_t window_;
    const std::thread::id consumer_ = std::this_thread::get_id();
    std::size_t calls_ = 0;  ///< not atomic: the calls follow one another (C3), and ThreadSanitizer looks
    std::atomic<bool> inside_{false};
    std::atomic<std::size_t> pulled_{0}, begun_{0}, returned_{0}, excess_{0}, overlaps_{0};
};

}  // namespace support
