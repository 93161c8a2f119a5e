// SPDX-License-Identifier: MIT
/// Marks what a shared build of the library exports; says nothing in a static build.
#pragma once

#if defined(PENSTOCK_SHARED)
#define PENSTOCK_EXPORT __attribute__((visibility("default")))
#else
#define PENSTOCK_EXPORT
#endif
