// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

namespace penstock::cli {

/// What ends the program before its work is done: SIGINT, SIGTERM, or that nobody reads its output any more.
///
/// The first signal triggers token() and ends every wait_for_input(); what is in flight may come to its end. The second
/// ends the process, as if signals were not caught, unless it is the same one and comes so soon that it may be the
/// first one's echo. A signal that was ignored when the program started stays ignored.
///
/// To be constructed before any other thread is started, as threads inherit its signal mask. One at a time.
/// Cost: one thread that sleeps, three descriptors.
class interruption {
public:
    /// Throws std::system_error.
    interruption();
    ~interruption();

    /// Triggered by the first signal. Threads: any.
    std::stop_token token() const noexcept { return stop_.get_token(); }

    /// The first signal that came, or 0. Threads: any.
    int signal() const noexcept { return signal_.load(); }

    /// Returns the first signal that came until now, or 0. From here on signals have no effect at all: the program is
    /// to end.
    int end();

    /// Waits until `number` can be read, or has come to its end; false if a signal came first. Threads: any.
    bool wait_for_input(int number) const;

    /// From now on the process ends by SIGPIPE as soon as stdout is a pipe that nobody reads, not only when it next
    /// writes: that may be a large file later. To be called when something has been written; before that, it may be
    /// that nothing ever will be, and then a closed pipe is no reason to end. Threads: one at a time. Cost: none after
    /// the first call.
    void watch_reader();

private:
    void watch();
    int patience() const;  // how long poll() may wait until the time of echoes is over
    void note(int signal_number, bool sent_by_process);

    std::stop_source stop_;
    std::chrono::steady_clock::time_point echo_end_{};  // the watcher's, as the next
    bool echo_over_ = false;                            // what is read now was sent behind that time
    std::atomic<int> signal_{0};
    bool reader_asked_for_ = false;  // used by the callers of watch_reader() only
    std::atomic<bool> reader_watched_{false};
    std::atomic<bool> over_{false};
    descriptor signals_;
    descriptor stopped_;  // readable for ever from the first signal on
    descriptor changed_;  // tells watch() to look at the flags again
    std::thread watcher_;
};

}  // namespace penstock::cli
