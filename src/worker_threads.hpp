// SPDX-License-Identifier: MIT
/// The threads of a lane: what differs between oneTBB and the reference backend.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace penstock::inline v0::detail {

/// A fixed number of threads that sleep until they are rung for.
class worker_threads {
public:
    /// Makes `count` threads. Each calls started(i) once, and then serve() for every ring() that reaches it.
    /// When the constructor returns all have started; an exception from started(i) or from making a thread leaves it.
    /// serve() must not throw.
    worker_threads(std::size_t count, const std::function<void(std::size_t)>& started, std::function<void()> serve);
    /// Joins. Nobody may ring any more, and all that were rung for must have returned from serve().
    ~worker_threads();
    worker_threads(const worker_threads&) = delete;
    worker_threads& operator=(const worker_threads&) = delete;

    /// Has one thread call serve(), once. At most as many rings as there are threads may be unanswered or in serve().
    /// Waits for memory if there is none.
    void ring() noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace penstock::inline v0::detail
