// SPDX-License-Identifier: MIT
#include "console.hpp"

#include "descriptor.hpp"
#include "signal_action.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

/// Returns 0 or the error. A write may be short, interrupted, or refused because whoever shares the terminal or pipe
/// with us has made it non-blocking; none of these may lose a part of a line.
int write_whole(int number, std::string_view text) noexcept {
    while (!text.empty()) {
        const auto written = retry_on_signal([&] { return ::write(number, text.data(), text.size()); });
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd writable{number, POLLOUT, 0};
            ::poll(&writable, 1, -1);
        } else {
            return errno;
        }
    }
    return 0;
}

/// The parts as one, in one write as far as that goes: messages of several processes on one terminal do not mix.
/// Allocates nothing, as what it tells may be that there is no memory. Returns 0 or the error.
template <std::size_t Count>
int write_parts(int number, std::array<std::string_view, Count> parts) noexcept {
    std::array<iovec, Count> vectors;
    for (std::size_t part = 0; part < Count; ++part) {
        vectors[part] = {const_cast<char*>(parts[part].data()), parts[part].size()};
    }
    const auto written = retry_on_signal([&] { return ::writev(number, vectors.data(), Count); });
    if (written < 0 && errno != EAGAIN) {
        return errno;
    }
    std::size_t gone = written < 0 ? 0 : static_cast<std::size_t>(written);
    for (std::string_view part : parts) {
        const std::size_t skipped = std::min(gone, part.size());
        gone -= skipped;
        if (const int error = write_whole(number, part.substr(skipped)); error != 0) {
            return error;
        }
    }
    return 0;
}

/// Held by whoever writes: the status line is drawn by a thread of its own.
std::timed_mutex& console_turn() {
    static std::timed_mutex turn;
    return turn;
}

// Guarded by console_turn().
bool status_shown = false;
bool in_middle_of_line = false;  // of what stdout shows on the terminal
bool status_over = false;        // the message that ends the program is the last that the terminal shows

/// Whether the terminal is ours to draw on; a job in the background would spoil what the user types. One that is not
/// our controlling terminal has no background.
bool in_foreground() {
    const pid_t foreground = ::tcgetpgrp(STDERR_FILENO);
    return foreground < 0 || foreground == ::getpgrp();
}

/// Erases the status line, if there is one. The caller holds console_turn().
void make_room() {
    if (std::exchange(status_shown, false) && in_foreground()) {
        write_whole(STDERR_FILENO, "\r\x1b[K");
    }
}

bool stdout_is_terminal() {
    static const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    return is_terminal;
}

/// Whether what is written to stdout stands among what is written to stderr.
bool stdout_is_shared() {
    static const bool is_shared = stdout_is_terminal() || [] {
        struct stat output, messages;
        return ::fstat(STDOUT_FILENO, &output) == 0 && ::fstat(STDERR_FILENO, &messages) == 0 &&
               output.st_dev == messages.st_dev && output.st_ino == messages.st_ino;
    }();
    return is_shared;
}

bool stdin_closed = false;  // set before there are other threads

/// To be reopened by no name (/dev/stdin), and neither read nor written. Where there is no /proc there are no such
/// names.
int open_filler() {
    const int filler = ::open("/proc/self/exe", O_PATH | O_NOFOLLOW);
    return filler >= 0 ? filler : ::open("/dev/null", O_PATH);
}

}  // namespace

void prepare_console() {
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(number, F_GETFD) < 0) {
            // open() takes the lowest free number, which is this one, as those below are taken.
            static_cast<void>(open_filler());
            stdin_closed = stdin_closed || number == STDIN_FILENO;
        }
    }
    remember_signal_mask();
    sigset_t closed_pipe;
    ::sigemptyset(&closed_pipe);
    ::sigaddset(&closed_pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &closed_pipe, nullptr);
}

bool stdin_was_closed() { return stdin_closed; }

void write_output(std::string_view text) {
    std::unique_lock turn(console_turn(), std::defer_lock);
    if (stdout_is_shared()) {  // otherwise the status goes on while a reader keeps us waiting
        turn.lock();
    }
    if (stdout_is_terminal() && !text.empty()) {
        make_room();
        in_middle_of_line = text.back() != '\n';
    }
    if (const int error = write_whole(STDOUT_FILENO, text); error != 0) {
        if (error == EPIPE) {
            turn = {};
            end_without_reader();
        }
        throw output_error{error};
    }
}

void end_without_reader() {
    // Whoever holds the turn may be drawing, or waiting for a reader of stderr, for ever. Long enough for the former on
    // a machine that is busy.
    const std::unique_lock turn(console_turn(), std::chrono::seconds(2));
    if (turn.owns_lock()) {
        make_room();
    }
    die_of(SIGPIPE);
}

void close_output() {
    // EINTR is no failure: Linux has closed it by then. One that was closed from the start concerns only who writes.
    if (::close(STDOUT_FILENO) != 0 && errno != EINTR && errno != EBADF) {
        throw output_error{errno};
    }
}

void complain(std::string_view message) {
    const std::lock_guard turn(console_turn());
    make_room();
    in_middle_of_line = false;
    if (write_parts(STDERR_FILENO, std::array<std::string_view, 3>{"penstock: ", message, "\n"}) == EPIPE) {
        die_of(SIGPIPE);
    }
}

void complain_of_output(const output_error& failure) {
    const std::lock_guard turn(console_turn());
    status_over = true;  // until the process has ended there is time to draw once more
    make_room();
    write_parts(STDERR_FILENO,
                std::array<std::string_view, 3>{"penstock: write error: ", ::strerror(failure.error), "\n"});
}

void show_status(std::string_view text) {
    const std::lock_guard turn(console_turn());
    if (!status_over && !in_middle_of_line && in_foreground()) {
        write_parts(STDERR_FILENO, std::array<std::string_view, 3>{"\r", text, "\x1b[K"});
        status_shown = true;
    }
}

void erase_status() {
    const std::lock_guard turn(console_turn());
    make_room();
}

void write_last_status(std::string_view text) {
    const std::lock_guard turn(console_turn());
    if (!status_over && (!can_redraw() || in_foreground())) {
        make_room();
        write_parts(STDERR_FILENO, std::array<std::string_view, 2>{text, "\n"});
    }
}

bool can_redraw() {
    const char* const terminal = std::getenv("TERM");
    const std::string_view name = terminal == nullptr ? "" : terminal;
    return ::isatty(STDERR_FILENO) == 1 && !name.empty() && name != "dumb";
}

}  // namespace penstock::cli
