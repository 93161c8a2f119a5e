// SPDX-License-Identifier: MIT
/// One wait for a point in time.
#pragma once

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/export.hpp>

namespace penstock::inline v0::detail {

/// Has a frame wait until the time that it has in `until`, or for a stop. False if it need not, for that is over or the
/// stream has been asked to stop (then the frame is `stopped`). The frame may go on elsewhere before this returns.
/// Throws std::system_error.
PENSTOCK_EXPORT bool start_timer(suspended_frame& waiting);

}  // namespace penstock::inline v0::detail
