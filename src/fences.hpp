// SPDX-License-Identifier: MIT
/// A pair of fences of which one side is nearly free, and the other pays for both.
#pragma once

#include <atomic>

namespace penstock::inline v0::sync {

/// For the side that passes all the time: keeps the compiler, but not the processor, from moving what comes before it behind
/// what comes after. Orders nothing by itself.
inline void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

/// For the side that passes hardly ever: of a light_fence() of any thread of this process and a heavy_fence(), one comes first,
/// with all that stands before it, as if both were fences of order seq_cst. Only where there_are_heavy_fences().
///
/// Cost: membarrier(2), that is some 0.4 us if no other thread of the process runs; otherwise 3 us, and an interrupt for each
/// core on which one does.
void heavy_fence() noexcept;

/// False where the kernel, or a container's filter, refuses them. Threads: any. Cost: a system call when first called.
bool there_are_heavy_fences() noexcept;

}  // namespace penstock::inline v0::sync
