// SPDX-License-Identifier: MIT
#include "standard_descriptors.hpp"

#include "descriptor.hpp"

#include <cstddef>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

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

}  // namespace

void reserve_standard_descriptors() {
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(number, F_GETFD) >= 0) {
            continue;
        }
        // The wrong way round on purpose: reading stdin or writing stdout then fails with EBADF, as if it were closed.
        // open() takes the lowest free number, which is this one, as those below are taken.
        const int refusing = number == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        static_cast<void>(::open("/dev/null", refusing));
    }
}

void write_output(std::string_view text) {
    if (const int error = write_whole(STDOUT_FILENO, text); error != 0) {
        throw output_error{error};
    }
}

void complain(std::string_view message) {
    // One write per message: messages of several processes on one terminal do not mix.
    write_whole(STDERR_FILENO, fmt::format("penstock: {}\n", message));
}

}  // namespace penstock::cli
