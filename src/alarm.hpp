// SPDX-License-Identifier: MIT
/// A point in time at which something is to be done for a stream, though nobody of it is awake.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>

#include <penstock/detail/ticket.hpp>

namespace penstock::inline v0::detail {

class stream_engine;

/// Set on the executor's timers, and part of its stream. That of the deadline, or of the tasks' timeouts, becomes ready for
/// a worker when it goes off, or for a blocking thread if all workers are busy; whoever serves it tells the stream's tasks
/// and its consumer. That of the gate has the stream ask again, that of retries has it run what is due.
struct alarm final : ticket {
    enum class purpose : std::uint8_t { deadline, timeout, gate, retry };

    alarm(stream_engine& stream, purpose what_for, std::chrono::steady_clock::time_point at = {}) noexcept
        : engine(stream), why(what_for), until(at) {}

    void serve() noexcept override;
    void refuse(std::exception_ptr) noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::alarm; }

    stream_engine& engine;
    const purpose why;
    std::chrono::steady_clock::time_point until;  ///< changes only while it is not set
    bool off_workers = false;  ///< ready for a blocking thread; guarded by the lane's mutex

    // --- the timers'
    alarm* later = nullptr;
    alarm* earlier = nullptr;
    bool set = false;
};

}  // namespace penstock::inline v0::detail
