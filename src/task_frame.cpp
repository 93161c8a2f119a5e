// SPDX-License-Identifier: MIT
#include "task_frame.hpp"

#include <penstock/executor.hpp>

namespace penstock::inline v0::detail {
namespace {

thread_local const cpu_lane* worker_lane = nullptr;
thread_local std::size_t worker_index = SIZE_MAX;

}  // namespace

bool on_worker_thread() noexcept { return worker_lane != nullptr; }

void name_this_worker(const cpu_lane& lane, std::size_t index) noexcept {
    worker_lane = &lane;
    worker_index = index;
}

}  // namespace penstock::inline v0::detail

namespace penstock {
inline namespace v0 {

std::size_t this_worker() noexcept {
    // A worker that waits inside a task helps with tasks of other executors too; to those it is a stranger, whose index
    // could be out of their range.
    const detail::task_frame* frame = detail::task_frame::innermost();
    if (frame && &frame->lane() != detail::worker_lane) return SIZE_MAX;
    return detail::worker_index;
}

}  // namespace v0
}  // namespace penstock
