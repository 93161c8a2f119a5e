// SPDX-License-Identifier: MIT
/// The part of a stream that does not depend on any type of the user's. Its protocol is written down in src/README.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>

#include <penstock/detail/export.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/options.hpp>

namespace penstock {
inline namespace v0 {
class executor;
}
}  // namespace penstock

namespace penstock::inline v0::detail {

class stream_engine;

/// What the typed part of a stream supplies: the only ways in which the protocol reaches user code.
/// pull() is called by the holder of the producer's turn, run() by whoever started the record, the others by whoever owns
/// the record at the time.
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
    /// Destroys whatever a record still holds: a task that never ran, or a result that nobody takes.
    virtual void discard(record& task) noexcept = 0;
    /// The exception of a record whose outcome is one.
    virtual std::exception_ptr error_of(const record& task) const noexcept = 0;

    /// Set by the typed part if a job or the producer takes a token.
    std::stop_source stop{std::nostopstate};
};

/// Who waits, and how long.
struct wait_until {
    /// No later than this; nullopt: as long as it takes.
    std::optional<std::chrono::steady_clock::time_point> time;
    bool may_wait = true;  ///< false: take what is there
    bool may_help = true;  ///< false: run no task, except inside a task
};

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
    /// A record's value could not be moved out: it failed after all. Returns whether that ends the stream, so that the error
    /// is to be thrown by a later next() and not delivered.
    bool fail_in_transit(const record& done, std::exception_ptr error) noexcept;

    void request_stop() noexcept;
    bool done() const noexcept;
    stream_stats stats() const noexcept;

    /// Stops pulling, drops what has not started, waits until no thread is inside the stream, destroys what was not
    /// taken. Afterwards next() finds nothing.
    void close() noexcept;

private:
    std::unique_ptr<stream_engine> engine_;
};

}  // namespace penstock::inline v0::detail
