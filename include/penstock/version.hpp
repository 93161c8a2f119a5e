// SPDX-License-Identifier: MIT
/// The version of penstock: the one place that states it. The builds read it from here.
#pragma once

#define PENSTOCK_VERSION_MAJOR 0
#define PENSTOCK_VERSION_MINOR 1
#define PENSTOCK_VERSION_PATCH 0
#define PENSTOCK_VERSION "0.1.0"
