// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <system_error>
#include <utility>

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

/// Calls `call` again for as long as a signal interrupts it.
template <class Call>
auto retry_on_signal(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) {
        result = call();
    }
    return result;
}

}  // namespace penstock::cli
