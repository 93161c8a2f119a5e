// SPDX-License-Identifier: MIT
/// Being told what a stream does, as it does it.
#pragma once

#include <cstddef>
#include <exception>

#include <penstock/detail/export.hpp>

namespace penstock {
inline namespace v0 {

/// What a stream calls for every task: on_start(), and when the task has ended on_finish() or on_error(); so for every
/// attempt, if options::retry runs it again. One that times out is told of when its time is up, on another thread. Derive
/// from it, and give options::observer its address. A task that is dropped is not told of. One that fails before it runs,
/// because it is too heavy or because moving it into the stream threw, is told of by on_error() alone. (One in a stream
/// of any_jobs that was to block, and finds the stream stopped before it has a thread, is dropped between on_start()
/// and on_error().)
///
/// Each is called on the thread that runs the task, by several threads at once, before the result can be taken. They
/// must not throw. A coroutine may end on another thread than it started on. Cost: two virtual calls for each task;
/// without an observer nothing.
class PENSTOCK_EXPORT stream_observer {
public:
    virtual ~stream_observer();
    /// `index`: the task's position in the producer, from 0.
    virtual void on_start(std::size_t index) noexcept;
    virtual void on_finish(std::size_t index) noexcept;
    virtual void on_error(std::size_t index, std::exception_ptr why) noexcept;
};

}  // namespace v0
}  // namespace penstock
