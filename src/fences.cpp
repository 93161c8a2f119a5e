// SPDX-License-Identifier: MIT
#include "fences.hpp"

#include "misuse.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace penstock::inline v0::sync {

void heavy_fence() noexcept {
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return;
    detail::misuse("the kernel refuses membarrier(2), which it allowed when the first stream was made; filter it before that, "
                   "or not at all");
}

bool there_are_heavy_fences() noexcept {
    // What the process has registered for stays registered.
    static const bool registered = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    return registered;
}

}  // namespace penstock::inline v0::sync
