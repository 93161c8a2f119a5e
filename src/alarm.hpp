// SPDX-License-Identifier: MIT
/// A stream's deadline, for when nobody of the stream is awake to see it pass.
#pragma once

#include <chrono>
#include <exception>

#include <penstock/detail/ticket.hpp>

namespace penstock::inline v0::detail {

class stream_engine;

/// Set on the executor's timers, and part of its stream. When it goes off it becomes ready for a worker, or for a blocking
/// thread if all workers are busy; whoever serves it tells the stream's tasks and its consumer.
struct alarm final : ticket {
    alarm(stream_engine& stream, std::chrono::steady_clock::time_point at) noexcept : engine(stream), until(at) {}

    void serve() noexcept override;
    void refuse(std::exception_ptr) noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::alarm; }

    stream_engine& engine;
    const std::chrono::steady_clock::time_point until;
    bool off_workers = false;  ///< ready for a blocking thread; guarded by the lane's mutex

    // --- the timers'
    alarm* later = nullptr;
    alarm* earlier = nullptr;
    bool set = false;
};

}  // namespace penstock::inline v0::detail
