// SPDX-License-Identifier: MIT
/// The blocking lane's threads, as the lane sees them.
#pragma once

#include <penstock/detail/sync.hpp>
#include <penstock/detail/ticket.hpp>

#include "blocking_lane.hpp"
#include "parker.hpp"

namespace penstock::inline v0::detail {

/// One thread, from before it is made until it has been joined.
struct blocking_lane::worker {
    sync::thread handle;  ///< guarded by handles_
    sync::parker woken;
    worker* below = nullptr;  ///< in idle_
    bool idle = false;        ///< in idle_
};

/// What a thread knows of itself.
struct blocking_thread {
    blocking_lane* lane = nullptr;  ///< whose thread it is
    bool announced = false;         ///< it counts as coming
    bool guest = false;             ///< it counts among guests_
    unsigned detours = 0;
    ticket* kept = nullptr;
};
/// The calling thread's this_thread_state.
extern constinit thread_local blocking_thread this_thread_state;

/// Whether a worker that has nothing to do may serve it, too: what is not for a thread that may block, but for any.
inline bool for_any_thread(const ticket& ready) noexcept {
    return ready.what() == ticket::kind::pump || ready.what() == ticket::kind::alarm;
}

/// Whether it is only to be dropped.
inline bool given_up(const ticket& ready) noexcept {
    const ticket_owner* of = ready.owner();
    return of && of->gives_up(ready);
}

}  // namespace penstock::inline v0::detail
