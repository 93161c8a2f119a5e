// SPDX-License-Identifier: MIT
/// The workers that run tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <penstock/detail/export.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {
class cpu_lane;
class stream_core;

/// One posted task, linked into the lane's ready list without a further allocation.
struct PENSTOCK_EXPORT posted_task {
    virtual ~posted_task();
    virtual void run() = 0;
};
}  // namespace detail

/// How many CPUs this process may keep busy: those in its affinity mask, or ceil(quota) of its cgroup (v1 or v2) or of a
/// group above it if that is less; at least 1. (oneTBB and std::thread::hardware_concurrency look at the mask only.)
/// Threads: any. Cost: reads some small files of /proc and /sys each time.
PENSTOCK_EXPORT std::size_t usable_cpus();

struct executor_options {
    /// How many threads run CPU tasks. 0: usable_cpus().
    std::size_t workers = 0;
    /// How many threads may run blocking jobs at a time. They are made when they are needed and end when they were idle
    /// for some seconds. 0 is std::invalid_argument.
    std::size_t max_blocking_threads = 512;
    /// Worker i's thread is named thread_name/i, cut so that the number fits the 15 bytes that Linux keeps.
    std::string thread_name = "penstock";
    /// Called on each worker's own thread before it runs anything: affinity, priority, thread locals. An exception from
    /// it leaves the executor's constructor.
    std::function<void(std::size_t worker)> on_thread_start = {};
};

/// A fixed number of worker threads inside a oneTBB arena of their own: parallel algorithms of oneTBB that a task calls
/// are shared among the idle ones. Idle workers sleep. What the host program allows oneTBB does not limit them.
///
/// Threads: every member may be called from any thread, tasks included. Cost: a thread for each worker, some 30 us and a
/// stack each, made once. Must outlive its live streams; destroying it earlier, or inside one of its own tasks, is
/// reported on stderr and terminates.
///
/// Only streams help. A task that waits for a future of another task of the same executor, `ex.submit(f).get()`, can
/// wait for ever when all workers do so, as with every pool of futures. Iterate over a stream instead.
class PENSTOCK_EXPORT executor {
public:
    /// One worker for each usable CPU.
    executor();
    /// 0 means: choose. Throws std::system_error if a thread can not be made.
    explicit executor(std::size_t workers);
    explicit executor(executor_options settings);
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    /// Runs what was posted, joins.
    ~executor();

    std::size_t workers() const noexcept;

    /// Runs f() once on a worker. What it returns or throws arrives in the future. Two allocations.
    template <class F>
    auto submit(F f) -> std::future<std::invoke_result_t<F&>> {
        std::packaged_task<std::invoke_result_t<F&>()> task(std::move(f));
        auto result = task.get_future();
        post(std::move(task));
        return result;
    }

    /// Runs f() once on a worker. An exception from it terminates, as one from a thread does. One allocation.
    template <class F>
    void post(F f) {
        static_assert(std::is_invocable_v<F&>, "penstock: post() takes a function without parameters");
        struct task final : detail::posted_task {
            explicit task(F&& function) : function_(std::move(function)) {}
            void run() override { std::invoke(function_); }
            F function_;
        };
        enqueue(std::make_unique<task>(std::move(f)));
    }

private:
    friend class detail::stream_core;
    void enqueue(std::unique_ptr<detail::posted_task> task);

    std::shared_ptr<detail::cpu_lane> lane_;  ///< shared with streams that outlive the executor, but not its threads
};

/// The index of the worker whose task is running on this thread, 0 <= index < workers(), for scratch memory per worker;
/// SIZE_MAX on every other thread, a consumer that helps among them.
PENSTOCK_EXPORT std::size_t this_worker() noexcept;

}  // namespace v0
}  // namespace penstock
