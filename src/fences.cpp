// SPDX-License-Identifier: MIT
#include "fences.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace penstock::inline v0::sync {

void heavy_fence() noexcept { syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }

bool there_are_heavy_fences() noexcept {
    // What the process has registered for stays registered, so that no later call can fail.
    static const bool registered = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    return registered;
}

}  // namespace penstock::inline v0::sync
