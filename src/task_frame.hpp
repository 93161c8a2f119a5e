// SPDX-License-Identifier: MIT
/// What the calling thread is in the middle of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>


namespace penstock::inline v0::detail {

class cpu_lane;
class stream_engine;
struct record;

/// On the stack of a thread while it runs user code for an executor. Frames form a chain: a task that waits on a stream of
/// its own runs that stream's tasks on top of itself.
class task_frame {
public:
    /// `engine` is null for a posted task; `task` is, too, for whoever runs several in turn and none of which holds a permit.
    task_frame(const cpu_lane& lane, stream_engine* engine, const record* task = nullptr) noexcept
        : lane_(lane), engine_(engine), task_(task), outer_(std::exchange(innermost_, this)) {}
    task_frame(const task_frame&) = delete;
    task_frame& operator=(const task_frame&) = delete;
    ~task_frame() { innermost_ = outer_; }

    /// The innermost frame; null outside of every task.
    static const task_frame* innermost() noexcept { return innermost_; }

    stream_engine* engine() const noexcept { return engine_; }
    const cpu_lane& lane() const noexcept { return lane_; }
    const record* task() const noexcept { return task_; }
    const task_frame* outer() const noexcept { return outer_; }

private:
    const cpu_lane& lane_;
    stream_engine* const engine_;
    const record* const task_;
    const task_frame* const outer_;
    static inline constinit thread_local const task_frame* innermost_ = nullptr;
};

/// Whether the calling thread is a worker of any lane. It may run user code without a frame: a share of a parallel algorithm
/// that it took over from a task.
bool on_worker_thread() noexcept;

/// Tells this_worker() which worker of which lane the calling thread is. Called once by each worker thread.
void name_this_worker(const cpu_lane& lane, std::size_t index) noexcept;

}  // namespace penstock::inline v0::detail
