// SPDX-License-Identifier: MIT
/// What a call of as_completed can be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <stop_token>

#include <penstock/detail/export.hpp>

namespace penstock {
inline namespace v0 {

inline constexpr std::size_t unlimited = SIZE_MAX;
inline constexpr std::size_t auto_buffer = SIZE_MAX - 1;

class gate;
class stream_observer;

enum class order {
    completion,  ///< as tasks finish: exactly so for the tasks of one thread, about so across threads
    submission,  ///< in the order of the producer; a slow task holds back what follows it
};

enum class on_error {
    yield,  ///< an error is a result like any other
    stop,   ///< fail fast: stop pulling, drop what has not started, wait for the rest, throw the first error
};

/// How a job that fails is run again. Its element, or input, is kept for that; a function is called anew each time.
///
/// Before the n-th further attempt it waits first_delay * factor^(n-1), give or take the share `jitter` of that, at
/// random, and no longer than max_delay. Meanwhile it holds no place under options::limit, no permit of a gate and no
/// thread; it counts towards limit + buffer. Then it goes before whatever has not been pulled.
struct retry_policy {
    /// How often a job may be run in all. 0 is std::invalid_argument.
    unsigned attempts = 3;
    /// Negative ones are std::invalid_argument; nanoseconds::max() means never.
    std::chrono::nanoseconds first_delay = std::chrono::milliseconds(100);
    std::chrono::nanoseconds max_delay = std::chrono::minutes(1);
    /// Less than 1 is std::invalid_argument.
    double factor = 2;
    /// Outside of [0, 1] it is std::invalid_argument.
    double jitter = 0.1;
    /// Whether to run a job again that has thrown this; empty: whatever it was. One that throws says no. Called for each
    /// failure that leaves an attempt, by several threads at once.
    std::function<bool(std::exception_ptr)> again = {};
};

/// A plain value, read once when the stream is made.
struct options {
    /// How many tasks may be in flight: admitted and not ended. Exact. Must be given; 0 is std::invalid_argument.
    /// A huge limit costs nothing until it is used.
    std::size_t limit = 0;
    /// How many finished results may wait before admission pauses: pulled - taken <= limit + buffer always.
    /// auto_buffer: `limit` in completion order, 4 * `limit` in submission order. 0: nothing is pulled ahead of the
    /// consumer beyond the limit itself.
    std::size_t buffer = auto_buffer;
    penstock::order order = order::completion;
    penstock::on_error on_error = on_error::yield;
    /// Asks the stream to stop, as completion_stream::request_stop() does.
    std::stop_token stop = {};
    /// How long a task may take, from its own start (its attempt's, if it is run again). Then its result is delivered:
    /// the error timed_out. Its own stop token is triggered; it sleeps no more, nor waits for a completion_source. It
    /// keeps its place under `limit`, and its permits, until it has really ended; what it comes to then is nobody's.
    /// Each task has a stop token of its own for that, and shares its input with its result: so it must not change it.
    /// Zero: nothing ends in time. Negative: std::invalid_argument. Cost: some 500 ns and a few allocations a task; each
    /// task is started by itself.
    std::optional<std::chrono::steady_clock::duration> task_timeout = {};
    /// When next() stops waiting, for the whole stream. Results that are ready are delivered first. One that has passed
    /// already is legal. No task is helped with while a deadline is set, except inside a task.
    std::optional<std::chrono::steady_clock::time_point> deadline = {};
    /// What the weights of tasks in flight may come to, see weighted(); a job without a weight weighs 1. A task that is
    /// heavier fails with std::invalid_argument. 0 is std::invalid_argument.
    std::size_t max_weight = unlimited;
    /// A further gate, shared with other streams; it must outlive them. See gate.
    gate* shared = nullptr;
    /// Run a job again that throws, see retry_policy. What is delivered is the last outcome; completed<T>::attempts()
    /// tells how often it ran. What ends as `stopped` is not run again, nor is anything after a stop: what waits then is
    /// delivered with its last error. A job that can not be run twice, such as a task<T> or a function of rvalues, is
    /// std::invalid_argument; in an any_job, such a one and every coroutine is run once. Cost: some 40 ns a task more;
    /// each task is started by itself.
    std::optional<retry_policy> retry = {};
    /// Is told of every task's start and end; it must outlive the stream.
    stream_observer* observer = nullptr;
    /// A consumer that waits in next() may run short tasks (and the producer) itself, of up to some 200 us; as long as one
    /// takes, what others finish may wait. this_worker() is SIZE_MAX in them. Inside a task a waiting consumer always
    /// helps. Blocking jobs and coroutines are not its to run.
    bool help = true;
    /// Fill completed<T>::elapsed(): two clock readings a task, some 40 ns.
    bool measure = false;
};

/// What holds a stream back at the moment.
enum class bound_by {
    none,          ///< nothing: it is over, or has just begun
    producer,      ///< a thread is inside the producer
    workers,       ///< every worker that the stream may use is busy with it
    limit,         ///< options::limit tasks are in flight
    buffer,        ///< finished results wait for the consumer
    gate,          ///< a shared gate's count
    weight,        ///< a sum of weights
    rate,          ///< a rate of starts
    retry,         ///< tasks that wait to be run again
    head_of_line,  ///< submission order: finished results wait for an earlier task
};

/// A reading of a stream's counters. Each is right at some moment between the call and the return;
/// running + ready + taken + dropped <= pulled always.
struct stream_stats {
    std::size_t pulled = 0;   ///< items that the producer has given
    std::size_t running = 0;  ///< admitted and not ended
    std::size_t ready = 0;    ///< finished and not taken
    std::size_t taken = 0;    ///< given to the consumer
    std::size_t failed = 0;   ///< outcomes that are errors, but for those that are `stopped`
    std::size_t stopped = 0;  ///< outcomes of tasks that ended because a stop was requested
    std::size_t dropped = 0;  ///< pulled, and never to be delivered
    std::size_t overdue = 0;  ///< delivered as timed out, and still running
    bound_by bound = bound_by::none;
};

}  // namespace v0
}  // namespace penstock
