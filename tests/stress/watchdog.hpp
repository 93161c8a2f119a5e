// SPDX-License-Identifier: MIT
/// Ends a test that has stopped making progress, and says where everybody stands.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <unistd.h>

#include "stress/environment.hpp"

namespace stress {

/// I5. While it lives, something must call progress() again and again; otherwise it prints `state()` and the stacks of
/// all threads (if there is a gdb), and aborts. A hang can not be left to the test's timeout: that would tell nothing.
class watchdog {
public:
    explicit watchdog(std::function<std::string()> state) : state_(std::move(state)), thread_([this] { watch(); }) {}
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;
    ~watchdog() {
        {
            const std::lock_guard guard(mutex_);
            over_ = true;
        }
        ended_.notify_all();
        thread_.join();
    }

    /// Cheap: may be called at every step of every thread.
    static void progress() noexcept { steps.fetch_add(1, std::memory_order_relaxed); }

private:
    static inline std::atomic<std::uint64_t> steps{0};

    void watch() {
        const auto patience =
            std::chrono::seconds(number_from_environment("PENSTOCK_HANG_SECONDS", 30) * (under_tsan   ? 20
                                                                                         : under_asan ? 4
                                                                                                      : 1));
        std::uint64_t seen = steps.load();
        auto since = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex_);
        while (!ended_.wait_for(lock, std::chrono::milliseconds(500), [this] { return over_; })) {
            const std::uint64_t now = steps.load();
            if (now != seen) {
                seen = now;
                since = std::chrono::steady_clock::now();
            } else if (std::chrono::steady_clock::now() - since > patience) {
                report();
            }
        }
    }

    [[noreturn]] void report() {
        std::fprintf(stderr, "HANG: no progress; process %d\n%s\n", static_cast<int>(getpid()), state_().c_str());
        const std::string gdb = "command -v gdb >/dev/null && gdb -p " + std::to_string(getpid()) +
                                " -batch -ex 'thread apply all bt' >&2 2>/dev/null";
        if (std::system(gdb.c_str()) != 0) std::fputs("(no gdb)\n", stderr);
        std::abort();
    }

    std::function<std::string()> state_;
    std::mutex mutex_;
    std::condition_variable ended_;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace stress
