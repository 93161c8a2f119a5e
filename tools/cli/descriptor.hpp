// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace penstock::cli {

/// Owns one open file descriptor, or none (-1).
class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() {
        // Not retried on EINTR: Linux has released the number by then, and another thread may own it already.
        if (number_ >= 0) {
            ::close(number_);
        }
    }

    int get() const noexcept { return number_; }
    int release() noexcept { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

/// The failure of a system call as an exception; callers add the file's name when they report it.
[[noreturn]] inline void throw_errno(int error) { throw std::system_error(error, std::generic_category()); }

/// What a system call has opened. Throws std::system_error if it has failed.
inline descriptor opened(int number) {
    if (number < 0) {
        throw_errno(errno);
    }
    return descriptor(number);
}

/// Calls `call` again for as long as a signal interrupts it.
template <class Call>
auto retry_on_signal(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) {
        result = call();
    }
    return result;
}

inline struct ::stat status_of(int number) {
    struct ::stat status;
    if (::fstat(number, &status) != 0) {
        throw_errno(errno);
    }
    return status;
}

/// Reads what is there, at most `into.size()` bytes: 0 at the end, nothing if the descriptor is non-blocking and there
/// is nothing yet. Throws std::system_error.
inline std::optional<std::size_t> try_read(int number, std::span<unsigned char> into) {
    const auto got = retry_on_signal([&] { return ::read(number, into.data(), into.size()); });
    if (got < 0 && errno != EAGAIN) {
        throw_errno(errno);
    }
    return got < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(got));
}

}  // namespace penstock::cli
