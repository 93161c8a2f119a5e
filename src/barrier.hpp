// SPDX-License-Identifier: MIT
/// An asymmetric pair of full barriers: free for the thread that passes often, dear for the one that passes seldom.
///
/// O2: of two threads, one that stores A, passes light_barrier() and loads B, and one that stores B, passes
/// heavy_barrier() and loads A, at least one sees the other's store. The heavy side interrupts every running thread of the
/// process with membarrier(2) (0.2-5 us); the light side then only keeps the compiler from reordering. Where the kernel
/// refuses membarrier, both are fences. Two light or two heavy sides give no such promise in the first case: pair them.
///
/// Source: Dice, Huang, Yang, "Asymmetric Dekker Synchronization", 2001; membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED.
#pragma once

#include <atomic>

namespace penstock::inline v0::sync {

#if defined(PENSTOCK_REFERENCE)

/// A read-modify-write of one word by both sides orders them in the language's own terms, which a race detector knows.
inline std::atomic<unsigned> barrier_word{0};
inline void light_barrier() noexcept { barrier_word.fetch_add(1, std::memory_order_seq_cst); }
inline void heavy_barrier() noexcept { barrier_word.fetch_add(1, std::memory_order_seq_cst); }
inline void settle_barriers() noexcept {}

#else

/// Whether the kernel lets the heavy side pay for the light one. Written once, by settle_barriers().
extern bool heavy_side_pays;

inline void light_barrier() noexcept {
    if (heavy_side_pays) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
}
void heavy_barrier() noexcept;
/// To be called before the first thread that uses either barrier is made; again does nothing.
void settle_barriers() noexcept;

#endif

/// Tells the processor that this is a spinning loop.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace penstock::inline v0::sync
