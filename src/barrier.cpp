// SPDX-License-Identifier: MIT
#include "barrier.hpp"

#if !defined(PENSTOCK_REFERENCE)

#include <mutex>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace penstock::inline v0::sync {
namespace {

bool membarrier(int command) noexcept { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool heavy_side_pays = false;

void settle_barriers() noexcept {
    static std::once_flag once;
    std::call_once(once, [] { heavy_side_pays = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); });
}

void heavy_barrier() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (heavy_side_pays) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

}  // namespace penstock::inline v0::sync

#endif
