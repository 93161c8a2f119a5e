// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include "console.hpp"
#include "signal_action.hpp"

#include <cstdint>
#include <utility>

#include <csignal>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
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

descriptor new_event() { return opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void signal_event(const descriptor& event) {
    const std::uint64_t one = 1;
    static_cast<void>(::write(event.get(), &one, sizeof one));  // can fail only if 2^64 are pending
}

void clear_event(const descriptor& event) {
    std::uint64_t count;
    static_cast<void>(::read(event.get(), &count, sizeof count));
}

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
        if (retry_on_signal([&] { return ::poll(awaited, 3, -1); }) < 0) {
            return;  // out of memory; the work goes on
        }
        if (awaited[1].revents != 0) {
            clear_event(changed_);
            last = over_;
        }
        if ((awaited[2].revents & POLLERR) != 0) {
            end_without_reader();
        }
        signalfd_siginfo received;
        while (::read(signals_.get(), &received, sizeof received) == sizeof received) {
            note(static_cast<int>(received.ssi_signo), received.ssi_code == SI_USER);
        }
    }
}

void interruption::note(int signal_number, bool sent_by_process) {
    // timeout(1) and others signal the process and then its group, so that one wish arrives twice.
    constexpr auto same_wish = std::chrono::milliseconds(30);
    const auto now = std::chrono::steady_clock::now();
    if (signal_ != 0 && sent_by_process && now - first_signal_ < same_wish) {
        return;
    }
    if (signal_ != 0) {
        die_of(signal_number);
    }
    first_signal_ = now;
    signal_ = signal_number;
    signal_event(stopped_);
    stop_.request_stop();
}

}  // namespace penstock::cli
