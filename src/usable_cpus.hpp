// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace penstock::inline v0::detail {

/// How many CPUs this process may keep busy: those in its affinity mask, or ceil(quota) of its cgroup (v1 or v2) or of a
/// group above it if that is less; at least 1. (oneTBB and std::thread::hardware_concurrency look at the mask only.)
std::size_t usable_cpus();

}  // namespace penstock::inline v0::detail
