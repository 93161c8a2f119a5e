// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include "console.hpp"
#include "signal_action.hpp"

#include <algorithm>
#include <utility>

#include <csignal>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

/// Blocks what is to be caught, for this thread and those that it starts. A signal that is ignored is left alone: once
/// blocked it would be queued all the same.
sigset_t block_signals() {
    sigset_t caught;
    ::sigemptyset(&caught);
    for (const int signal_number : {SIGINT, SIGTERM}) {
        if (would_kill(signal_number)) {
            ::sigaddset(&caught, signal_number);
        }
    }
    ::pthread_sigmask(SIG_BLOCK, &caught, nullptr);
    return caught;
}

descriptor open_signals(const sigset_t& caught) { return opened(::signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK)); }

/// A timer is readable from its end on. Not an eventfd: the write() that it needs can fail where writes are made to
/// fail, and whoever waits for a wake-up that is lost waits for ever. Not a pipe whose write end is closed: that takes
/// two descriptors.
descriptor new_event() { return opened(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)); }

/// Ends the timer in so many nanoseconds; 0 is never, and takes an end that has come back. Fails only for wrong
/// arguments.
void set_timer(const descriptor& event, long nanoseconds) {
    itimerspec end{};
    end.it_value.tv_nsec = nanoseconds;
    static_cast<void>(::timerfd_settime(event.get(), 0, &end, nullptr));
}

void signal_event(const descriptor& event) { set_timer(event, 1); }

void clear_event(const descriptor& event) { set_timer(event, 0); }

/// timeout(1) and others signal the process and then its group, so that one wish arrives twice, by the same signal.
constexpr auto same_wish = std::chrono::milliseconds(30);

bool closed_pipe_would_kill() {
    struct stat status;
    return ::fstat(STDOUT_FILENO, &status) == 0 && S_ISFIFO(status.st_mode) && would_kill(SIGPIPE);
}

}  // namespace

interruption::interruption()
    : signals_(open_signals(block_signals())), stopped_(new_event()), changed_(new_event()),
      watcher_([this] { watch(); }) {}

interruption::~interruption() { end(); }

int interruption::end() {
    if (watcher_.joinable()) {
        over_ = true;
        signal_event(changed_);
        watcher_.join();
    }
    return signal_;
}

bool interruption::wait_for_input(int number) const {
    pollfd awaited[] = {{number, POLLIN, 0}, {stopped_.get(), POLLIN, 0}};
    retry_on_signal([&] { return ::poll(awaited, 2, -1); });
    return awaited[1].revents == 0;
}

void interruption::watch_reader() {
    if (!std::exchange(reader_asked_for_, true) && closed_pipe_would_kill()) {
        reader_watched_ = true;
        signal_event(changed_);
    }
}

void interruption::watch() {
    // Signals are looked for once more after the last word, so that none that came before it is lost.
    for (bool last = false; !last;) {
        // A negative number is skipped. A pipe reports the loss of its reader without being asked.
        pollfd awaited[] = {
            {signals_.get(), POLLIN, 0}, {changed_.get(), POLLIN, 0}, {reader_watched_ ? STDOUT_FILENO : -1, 0, 0}};
        if (retry_on_signal([&] { return ::poll(awaited, 3, patience()); }) < 0) {
            return;  // out of memory; the work goes on
        }
        if (awaited[1].revents != 0) {
            clear_event(changed_);
            last = over_;
        }
        if ((awaited[2].revents & POLLERR) != 0) {
            end_without_reader();
        }
        // Asked before the queue is emptied: only what comes after both was certainly sent too late for an echo. When a
        // signal is read tells nothing of when it was sent, as this thread may have been kept from running in between.
        const bool echo_over = signal_ != 0 && std::chrono::steady_clock::now() >= echo_end_;
        signalfd_siginfo received;
        while (::read(signals_.get(), &received, sizeof received) == sizeof received) {
            note(static_cast<int>(received.ssi_signo), received.ssi_code == SI_USER);
        }
        echo_over_ = echo_over;
    }
}

int interruption::patience() const {
    if (signal_ == 0 || echo_over_) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(echo_end_ - std::chrono::steady_clock::now());
    return std::max(static_cast<int>(left.count()), 0);
}

void interruption::note(int signal_number, bool sent_by_process) {
    if (signal_ != 0) {
        const bool echo = signal_number == signal_ && sent_by_process && !echo_over_;
        if (!echo) {
            die_of(signal_number);
        }
        return;
    }
    echo_end_ = std::chrono::steady_clock::now() + same_wish;
    signal_ = signal_number;
    signal_event(stopped_);
    stop_.request_stop();
}

}  // namespace penstock::cli
