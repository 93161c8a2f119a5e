// SPDX-License-Identifier: MIT
/// What a stream itself throws, beside the exceptions of the user's own tasks and producer.
#pragma once

#include <exception>

#include <penstock/detail/export.hpp>

namespace penstock {
inline namespace v0 {

/// Thrown once by next() when a stop cut the stream short: the source had not been seen to end, or a pulled task was
/// dropped. A task that was asked to stop may throw it as well; its outcome then counts as stopped, not as failed.
struct PENSTOCK_EXPORT stopped : std::exception {
    const char* what() const noexcept override;
};

/// Thrown once by next() when options::deadline has passed before the stream was over. And the error of a task that took
/// longer than options::task_timeout.
struct PENSTOCK_EXPORT timed_out : std::exception {
    const char* what() const noexcept override;
};

/// Thrown by the wait for a completion_source that was destroyed before it was set.
struct PENSTOCK_EXPORT broken_task : std::exception {
    const char* what() const noexcept override;
};

}  // namespace v0
}  // namespace penstock
