// SPDX-License-Identifier: MIT
#include "file_digest.hpp"

#include "open_file.hpp"

#include <cstdint>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

struct interrupted {};

bool same_time(const timespec& one, const timespec& other) {
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

/// A folder is none either: reading it will say so.
bool is_stream(const struct ::stat& status) { return !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode); }

/// Reads from a file that does not make its readers wait. Some archives do all the same, or refuse with EAGAIN if they
/// must not; so they are asked again as such readers ask.
std::size_t read_some(int number, std::span<unsigned char> into) {
    constexpr int most_attempts = 10;
    for (int attempt = 1; attempt <= most_attempts; ++attempt) {
        if (const auto got = try_read(number, into)) {
            return *got;
        }
        pollfd readable{number, POLLIN, 0};
        if (::poll(&readable, 1, 0) == 0) {
            break;  // it does make them wait, as /proc/kmsg does, perhaps for ever
        }
        ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) & ~O_NONBLOCK);
    }
    throw_errno(EAGAIN);
}

/// Reads what comes next in a stream. Waits before the first read, too: that of a FIFO without a writer would tell the
/// end at once.
std::size_t read_when_there(int number, std::span<unsigned char> into, const interruption& until) {
    constexpr int most_attempts = 1000;
    for (int attempt = 1; until.wait_for_input(number); ++attempt) {
        if (const auto got = try_read(number, into)) {
            return *got;  // otherwise another reader of the stream was faster
        }
        if (attempt == most_attempts) {
            throw_errno(EAGAIN);
        }
    }
    throw interrupted{};
}

}  // namespace

sha256_value digest_regular_file(int number, const struct ::stat& before, meter& counted) {
    std::uint64_t total = 0;
    // To where reading says that the end is: the size that stat() tells is 0 for files of /proc. An end before that size
    // has to be told twice: one wrong answer must not make a part of the file pass for the whole.
    const sha256_value value = sha256_of([&](std::span<unsigned char> into) {
        std::size_t got = read_some(number, into);
        if (got == 0 && total < static_cast<std::uint64_t>(before.st_size)) {
            got = read_some(number, into);
        }
        total += got;
        counted.bytes += got;
        return got;
    });
    // The time of the last status change does not count: a new hard link or mode leaves the content as it is.
    const struct ::stat after = status_of(number);
    if (after.st_size != before.st_size || !same_time(after.st_mtim, before.st_mtim)) {
        throw std::runtime_error("file changed as we read it");
    }
    return value;
}

std::variant<sha256_value, not_regular> digest_named_file(const std::string& path, meter& counted) {
    // Asked before it is opened: a FIFO's writer takes any reader for the one that will read it.
    struct ::stat named;
    if (::stat(path.c_str(), &named) == 0 && is_stream(named)) {
        return not_regular{};
    }
    const descriptor file = open_named(path);
    const struct ::stat before = status_of(file.get());
    if (is_stream(before)) {
        return not_regular{};
    }
    try {
        return digest_regular_file(file.get(), before, counted);
    } catch (const std::system_error& failure) {
        if (failure.code().value() != EAGAIN) {
            throw;
        }
        return not_regular{};
    }
}

std::optional<sha256_value> digest_stream(const std::string& path, meter& counted, const interruption& until) {
    if (until.signal() != 0) {
        return std::nullopt;
    }
    const descriptor opened = path == "-" ? open_standard_input() : open_named(path);
    const int number = opened.get();
    const struct ::stat before = status_of(number);
    if (S_ISREG(before.st_mode) && path == "-") {
        return digest_regular_file(number, before, counted);
    }
    try {
        return sha256_of([&](std::span<unsigned char> into) {
            const std::size_t got = read_when_there(number, into, until);
            counted.bytes += got;
            return got;
        });
    } catch (const interrupted&) {
        return std::nullopt;
    }
}

}  // namespace penstock::cli
