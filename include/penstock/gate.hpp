// SPDX-License-Identifier: MIT
/// The admission gate: caps on count, weight and rate, shared by any number of streams.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include <penstock/detail/export.hpp>
#include <penstock/options.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {
class gate_core;
class stream_engine;
}  // namespace detail

/// At most burst + T * count / per starts in every window of length T, wherever the window begins; in the long run
/// `count` each `per`. What is not used while nothing starts is saved up to `burst` and no further.
///
/// A start that comes late, as threads do by some 0.1 ms, is caught up on within the burst alone: for a long-run rate
/// near `count` each `per`, burst * per / count should be some milliseconds or more.
struct rate {
    std::size_t count;             ///< at least 1
    std::chrono::nanoseconds per;  ///< positive
    std::size_t burst = 1;         ///< how many may start at once after a pause; at least 1
};

/// Each is a cap of its own; a task starts when all of them have room.
struct gate_limits {
    /// How many tasks may have been admitted and not ended; at least 1.
    std::size_t in_flight = unlimited;
    /// What the weights of those may come to, at least 1. See weighted(); a job without a weight weighs 1.
    std::size_t weight = unlimited;
    /// How often tasks may start.
    std::optional<rate> starts = {};
};

/// A cap that streams share: any number of them, on any threads, of any executors. Tell each by options::shared. The
/// streams' own limits hold as well.
///
///     penstock::gate files(200);  // descriptors, whoever opens them
///     auto one = penstock::as_completed(ex, jobs, {.limit = 64, .shared = &files});
///
/// What a gate grants is taken all at once, its parent's share too, by the thread that then starts the task (or hands
/// it over to a blocking thread, of which there should be enough); it is given back when the task has ended. At most
/// one task of each stream waits at the gate when it is full (a few more may if others were faster by a hair), and
/// nothing of that stream passes it. (A blocking_producer is pulled up to the limits all the same.)
///
/// Streams that want more than there is get equal numbers of starts: who has had fewer comes first, then who waits
/// longer. A light task may pass a heavy one that does not fit yet, 16 times; then nobody does. Who has been told that
/// there is room, and gets no thread for 2 ms, holds up nobody.
///
/// A task that waits, in next(), next_for() or async_next(), for a stream under the same gate lends it what it holds
/// meanwhile: so streams may be nested to any depth under a gate of 1. It goes on when it has it back, or when there is
/// room again. Where weights are capped, a task that is heavier than what is lent fails with std::invalid_argument.
/// What a task holds is not passed on through a stream in between that is not under all of its gates, so give it those,
/// too; and a task that is under none should not block a worker to wait for a stream that is.
///
/// Threads: any. Cost: one atomic operation for each task, and one for each batch; under contention, or with weights,
/// rates or a parent, a mutex for each. No thread of its own. Must outlive its streams, and a parent its gates.
class PENSTOCK_EXPORT gate {
public:
    /// Throws std::invalid_argument for 0.
    explicit gate(std::size_t in_flight);
    /// Throws std::invalid_argument if in_flight, weight, or the count, the time or the burst of the rate is not
    /// positive.
    explicit gate(gate_limits limits);
    /// What passes this gate passes `parent` as well.
    gate(gate_limits limits, gate& parent);
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;
    ~gate();

    /// From now on, all of them: to change one, begin with limits(). Larger ones admit at once what waits; smaller ones
    /// cancel nothing, but nothing is admitted until there is room under them. Throws as the constructor does, and then
    /// changes nothing. Threads: any, tasks included.
    void set_limits(gate_limits limits);
    gate_limits limits() const;

    /// How many tasks hold a permit at the moment, and what their weights come to.
    std::size_t in_flight() const noexcept;
    std::size_t weight_in_flight() const noexcept;

private:
    friend class detail::stream_engine;
    std::unique_ptr<detail::gate_core> core_;
};

}  // namespace v0
}  // namespace penstock
