// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace penstock::inline v0::detail {

/// What a consumer may run itself: tasks so short that no result has to wait for its attention, and yet so long that to wake it
/// for each would cost as much again as a tenth of them.
constexpr auto short_task = std::chrono::microseconds(200);

}  // namespace penstock::inline v0::detail
