// SPDX-License-Identifier: MIT
/// How tests wait: for a condition, with a generous bound; for a length of time only where something must not happen.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

namespace support {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define PENSTOCK_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define PENSTOCK_TEST_SANITIZED 1
#endif
#endif
#ifdef PENSTOCK_TEST_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Longer than anything that is going to happen takes; shorter than the watchdog's.
inline constexpr std::chrono::seconds patience{sanitized ? 200 : 20};

/// Whether `condition` has come true.
template <class Condition>
bool eventually(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

/// Time for what must not happen; nothing depends on its length but what a fault would show.
inline void let_it_go_wrong(std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); }

/// Holds whoever comes until it is opened.
class latch {
public:
    void open() {
        const std::lock_guard guard(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    /// False: nobody opened it.
    [[nodiscard]] bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

/// Holds whoever comes until `size` are there at once; then all of them go, and it begins anew.
class rendezvous {
public:
    explicit rendezvous(std::size_t size) : size_(size) {}
    /// False: the others did not come.
    [[nodiscard]] bool arrive() {
        std::unique_lock lock(mutex_);
        const std::size_t mine = met_;
        if (++waiting_ == size_) {
            waiting_ = 0;
            ++met_;
            changed_.notify_all();
            return true;
        }
        return changed_.wait_for(lock, patience, [&] { return met_ != mine; });
    }
    /// Waits from outside until they have met for the first time.
    [[nodiscard]] bool happened() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return met_ > 0; });
    }

private:
    const std::size_t size_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t waiting_ = 0;
    std::size_t met_ = 0;
};

/// Opens a latch at the end of its life, whatever has failed: to be declared after the stream whose tasks, or whose
/// producer, wait for it.
class opened_at_last {
public:
    explicit opened_at_last(latch& closed) : closed_(closed) {}
    opened_at_last(const opened_at_last&) = delete;
    opened_at_last& operator=(const opened_at_last&) = delete;
    ~opened_at_last() { closed_.open(); }

private:
    latch& closed_;
};

/// Adds up the weights of those who are inside. Shares no code with the library. The sum and its maximum are one word:
/// whoever sees a sum sees a maximum that is no less.
class meter {
public:
    class visit {
    public:
        explicit visit(meter& m, long weight = 1) : meter_(m), weight_(static_cast<std::uint64_t>(weight)) {
            std::uint64_t seen = meter_.word_.load();
            std::uint64_t next = 0;
            do {
                const std::uint64_t now = (seen & inside_mask) + weight_;
                next = std::max(seen >> most_shift, now) << most_shift | now;
            } while (!meter_.word_.compare_exchange_weak(seen, next));
        }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit() { meter_.word_.fetch_sub(weight_); }

    private:
        meter& meter_;
        const std::uint64_t weight_;
    };

    long inside() const { return static_cast<long>(word_.load() & inside_mask); }
    long most() const { return static_cast<long>(word_.load() >> most_shift); }

private:
    static constexpr int most_shift = 32;
    static constexpr std::uint64_t inside_mask = 0xffff'ffff;
    std::atomic<std::uint64_t> word_{0};
};

/// Keeps the processor busy for about this long, as a task does that calculates.
inline void spin_for(std::chrono::nanoseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
}

}  // namespace support
