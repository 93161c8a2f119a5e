// SPDX-License-Identifier: MIT
/// The record of one pulled task: made when the task is pulled, recycled when its result has been taken.
/// src/README.md follows it through its stages.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>

#include <penstock/detail/slot.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// Where a record is, and so who owns it.
enum class stage : std::uint8_t {
    vacant,    ///< no task in it; owned by the free list, so by the holder of the producer's turn or by the consumer
    admitted,  ///< pulled, not started; owned by the pump in whose batch it is, or by those that have arrived
    running,   ///< owned by the thread that runs it
    finished,  ///< has an outcome; owned by the pump's outbox, then by the completion queue, then by the consumer
    dropped,   ///< will never run; owned as if finished
    overdue,   ///< submission order: another record is delivered in its stead; its task still runs
};

enum class outcome : std::uint8_t {
    none,
    value,
    error,
    cancelled,  ///< threw penstock::stopped after a stop was requested
};

/// The part that the protocol handles; it never looks at values. Small, so that with a small result the whole record
/// fits a cache line: a record crosses from core to core twice in its life.
struct record {
    /// In submission order the record pulled next (O5). Otherwise a link of whichever list the owner keeps.
    sync::atomic<record*> link{nullptr};
    std::size_t index = 0;  ///< position in the producer, from 0
    /// O1: stored with release by whoever moves the record on, loaded with acquire by whoever takes it over. The values
    /// in the record are handed over by this pair alone, whatever queue carried the pointer.
    sync::atomic<stage> state{stage::vacant};
    detail::outcome outcome = detail::outcome::none;
    // The owner's, in one byte.
    bool late : 1 = false;           ///< finished after what ends the stream, or cut off by it: never delivered
    bool holds_element : 1 = false;  ///< the job, or the input, is there
    bool holds_rest : 1 = false;     ///< what was begun and is to go on elsewhere is there
    bool permitted : 1 = false;      ///< it holds permits of the stream's gates
    bool borrowed : 1 = false;       ///< some of them were lent by the task that waits for the stream
    bool told : 1 = false;           ///< the observer knows that it has started
    bool retried : 1 = false;        ///< it has failed before, and was kept to be run again
    bool again : 1 = false;          ///< its outcome is that of an earlier attempt, and the next has not begun
    bool shares_input : 1 = false;   ///< the input lies outside, where a result may share it
    bool stands_in : 1 = false;      ///< for the record of a task that still runs

    bool failed() const noexcept { return outcome > detail::outcome::value; }
    /// Before it is run: it has not failed for good already.
    bool runs() const noexcept { return outcome == detail::outcome::none || again; }
};

/// The part that a completed<T, In> is made from.
template <class T, class In>
struct result_record : record {
    slot<In> input;                       // first: a small one fits beside the flags above
    std::chrono::nanoseconds elapsed{0};  ///< while the task runs, when it began
    union {
        slot<T> result;                  ///< outcome::value
        slot<std::exception_ptr> error;  ///< outcome::error and ::cancelled
    };

    result_record() noexcept {}
    ~result_record() {}

    /// Destroys the outcome.
    void clear() noexcept {
        if (outcome == detail::outcome::value) {
            result.destroy();
        } else if (failed()) {
            error.destroy();
        }
        outcome = detail::outcome::none;
    }
};

}  // namespace penstock::inline v0::detail
