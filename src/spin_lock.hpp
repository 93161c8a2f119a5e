// SPDX-License-Identifier: MIT
/// A lock for sections of a few instructions that nearly always find it free.
#pragma once

#include <chrono>
#include <thread>

#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::sync {

/// Tells the processor that this is a spinning loop.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// One exchange to lock, one store to unlock: some 3 ns together when free, where a mutex takes 15. Sections must be short and
/// run no user code. Who finds it taken spins, then yields, then sleeps for a moment: its owner may have been preempted, and
/// may have the lower priority.
class spin_lock {
public:
    void lock() noexcept {
        while (taken_.exchange(true, std::memory_order_acquire)) wait();  // O3
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }  // O3

private:
    void wait() noexcept {
        for (unsigned looks = 1; taken_.load(std::memory_order_relaxed); ++looks) {
            pause();
            if (looks % 64 == 0) std::this_thread::yield();
            if (looks > 4096) std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
    atomic<bool> taken_{false};
};

}  // namespace penstock::inline v0::sync
