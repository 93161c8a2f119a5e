// SPDX-License-Identifier: MIT
/// The part of a stream that does not depend on any type of the user's. Its protocol is written down in src/README.md.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/export.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/ticket.hpp>
#include <penstock/options.hpp>

namespace penstock {
inline namespace v0 {
class executor;
}
}  // namespace penstock

namespace penstock::inline v0::detail {

class feed_core;
class stream_engine;

/// How far launch() got with a task.
enum class launched : std::uint8_t {
    ended,     ///< it has an outcome, and all that it held is destroyed
    blocking,  ///< the rest is to run on a thread that may block: run_blocking()
    begun,     ///< it is a coroutine, which is to be resumed: root_of() and frame_of(); settle() when it has ended
};

/// What the typed part of a stream supplies: the only ways in which the protocol reaches user code.
/// pull() is called by the holder of the producer's turn, run() by whoever started the record, the others by whoever
/// owns the record at the time.
class PENSTOCK_EXPORT stream_source {
public:
    virtual ~stream_source();

    /// A new vacant record, which lives as long as the source. Throws std::bad_alloc.
    virtual record* make_record() = 0;
    /// Pulls one item into a vacant record; false when the producer has ended. What the producer throws leaves; what
    /// moving the item throws becomes the record's outcome, for run() to find.
    virtual bool pull(record& into) = 0;
    /// Runs an admitted record's task and leaves an outcome in it. All that the task itself held is destroyed.
    virtual void run(record& task) noexcept = 0;
    /// In place of run(), where tasks may end elsewhere or not for good: runs what may run on a worker, leaves the rest
    /// to others.
    /// `own`: the task's token, if it has one of its own.
    virtual launched launch(record& task, const std::stop_token* own) noexcept;
    /// Whether launch() is going to leave the task to a thread that may block, so that it starts there.
    virtual bool starts_elsewhere(const record& task) const noexcept;
    /// Runs the rest of what launch() called blocking, and leaves an outcome. All that the task held is destroyed.
    virtual void run_blocking(record& task, const std::stop_token* own) noexcept;
    /// The same for what can not be run; or in place of the outcome that it has.
    virtual void fail(record& task, std::exception_ptr why, std::chrono::nanoseconds elapsed = {}) noexcept;
    /// Leaves an error as the outcome of a vacant record: `why`, or one that carries the input of the task, which still
    /// runs.
    virtual void time_out(const record& running, record& stand_in, std::exception_ptr why,
                          std::chrono::nanoseconds elapsed) noexcept;
    /// What the frames of a coroutine share, and its outermost frame.
    virtual task_root* root_of(record& task) noexcept;
    virtual std::coroutine_handle<> frame_of(record& task) noexcept;
    /// The other way round.
    virtual record& record_of(task_root& begun) noexcept;
    /// Takes over the outcome of a coroutine that has ended. All that the task held is destroyed.
    virtual void settle(record& task) noexcept;
    /// What carries the record to the blocking lane.
    virtual blocking_ticket* ticket_of(record& task) noexcept;
    /// Whether a task that has failed can be run again. Set `retries` for that: then a task that has failed keeps what
    /// it needs until release() destroys it, or launch() is called again.
    virtual bool runs_again(const record& task) const noexcept;
    virtual void release(record& task) noexcept;
    /// Destroys whatever a record still holds: a task that never ran, or a result that nobody takes.
    virtual void discard(record& task) noexcept = 0;
    /// What the task weighs at a gate.
    virtual std::size_t weight_of(const record& task) const noexcept;
    /// The exception of a record whose outcome is one.
    virtual std::exception_ptr error_of(const record& task) const noexcept = 0;

    /// Set by the typed part if a job or the producer takes a token.
    std::stop_source stop{std::nostopstate};
    /// Set by the typed part if tasks may end elsewhere than where they were started.
    bool launches = false;
    /// And if all of them are for threads that may block, beyond the function that gives them.
    bool blocks = false;
    /// Set by the typed part: what has failed is kept. All tasks are launched then.
    bool retries = false;
    /// Set by the typed part: tasks have tokens of their own, and inputs that can be shared. All are launched then.
    bool times_out = false;
    /// Set by the typed part: tasks may weigh other than 1.
    bool weighs = false;
    /// Set by the typed part: pull() may block, and is to be called on a thread that may.
    bool pull_blocks = false;
    /// And if its end may be that it was told to stop.
    bool pull_heeds_stop = false;
    /// And the feed that it pulls from, if it is one. Then pull() is called only when something is there.
    feed_core* fed = nullptr;
};

/// Throws std::invalid_argument: jobs that can not be run twice are to be.
[[noreturn]] PENSTOCK_EXPORT void refuse_retry();

/// Throws std::invalid_argument: the weight of a job was given as this negative number.
[[noreturn]] PENSTOCK_EXPORT void refuse_negative(std::size_t weight);

/// Who waits, and how long.
struct wait_until {
    /// No later than this; nullopt: as long as it takes.
    std::optional<std::chrono::steady_clock::time_point> time;
    bool may_wait = true;  ///< false: take what is there
    bool may_help = true;  ///< false: run no task, except inside a task
};
inline constexpr wait_until wait_as_long_as_it_takes{};

/// The consumer's side of a stream, for one thread at a time; request_stop() and stats() for any thread.
class PENSTOCK_EXPORT stream_core {
public:
    /// Starts the stream. Throws std::invalid_argument for a limit of 0, std::bad_alloc.
    stream_core(executor& ex, const options& settings, stream_source& source);
    /// close(), if it has not been called.
    ~stream_core();

    /// The next finished record, in the stream's order; null if there is none (yet), see done(). Throws, once, what
    /// ended the stream early. The record must be given back with taken() when its content has been moved out.
    record* next(const wait_until& wait);
    void taken(record& done) noexcept;
    /// How often the task of a record that was `retried` has run.
    unsigned attempts(const record& done) const noexcept;
    /// A record's value could not be moved out: it failed after all. Returns whether that ends the stream, so that the
    /// error is to be thrown by a later next() and not delivered.
    bool fail_in_transit(const record& done, std::exception_ptr error) noexcept;

    /// The consumer is a coroutine that has found nothing: has it made ready when it should look again. False: it
    /// should at once. A stop that `until` sees is something to look at. Throws std::logic_error if somebody waits
    /// already.
    bool wait_async(suspended_frame& consumer, const std::stop_token& until);
    /// Has it look again: that stop has been requested. Threads: any.
    void interrupt() noexcept;
    /// It has been made ready, and goes on.
    void woken() noexcept;
    /// The consumer wants to go on without a result: whether it has back what it lends. Otherwise it is made ready when
    /// it has.
    bool may_leave() noexcept;

    void request_stop() noexcept;
    bool done() const noexcept;
    stream_stats stats() const noexcept;

    /// Stops pulling, drops what has not started, waits until no thread is inside the stream, destroys what was not
    /// taken. Afterwards next() finds nothing.
    void close() noexcept;
    /// The same on a thread that is not to run any of the stream's tasks that need a worker.
    void close_elsewhere() noexcept;

private:
    std::unique_ptr<stream_engine> engine_;
};

}  // namespace penstock::inline v0::detail
