// SPDX-License-Identifier: MIT
#include "open_file.hpp"

#include <climits>
#include <string_view>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

namespace penstock::cli {
namespace {

descriptor opened(int number) {
    if (number < 0) {
        throw_errno(errno);
    }
    return descriptor(number);
}

/// openat() that follows no link in `path`, neither at its end nor on the way.
int openat_without_links(int folder, const char* path, int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags);
    how.resolve = RESOLVE_NO_SYMLINKS;
    const auto number = retry_on_signal([&] { return ::syscall(SYS_openat2, folder, path, &how, sizeof how); });
    if (number >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return static_cast<int>(number);
    }
    // Old kernels have no openat2, and container sandboxes refuse it. What remains is that the last name is no link.
    return retry_on_signal([&] { return ::openat(folder, path, flags); });
}

int openat_without_waiting(int folder, const char* path, int flags) {
    const int number = openat_without_links(folder, path, flags | O_NONBLOCK);
    if (number >= 0 || errno != EWOULDBLOCK) {
        return number;
    }
    // A file on lease (a file server's) refuses O_NONBLOCK until its holder lets go, which the kernel bounds in time.
    // A FIFO never answers so, hence waiting is safe here.
    return openat_without_links(folder, path, flags);
}

}  // namespace

descriptor open_argument(const std::string& path) {
    return opened(retry_on_signal([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY); }));
}

descriptor open_walked(const std::string& path, std::size_t argument_length, int flags) {
    flags |= O_CLOEXEC | O_NOCTTY;
    const std::string argument = path.substr(0, argument_length);
    std::string_view rest = std::string_view(path).substr(argument_length);
    if (rest.empty()) {
        return opened(retry_on_signal([&] { return ::open(argument.c_str(), flags); }));
    }
    if (rest.front() == '/') {
        rest.remove_prefix(1);
    }

    constexpr int folder_only = O_PATH | O_DIRECTORY | O_CLOEXEC;
    descriptor folder = opened(retry_on_signal([&] { return ::open(argument.c_str(), folder_only); }));
    constexpr std::size_t longest = PATH_MAX - 1;  // the kernel counts the terminating NUL
    while (rest.size() > longest) {
        const std::size_t cut = rest.rfind('/', longest);
        if (cut == std::string_view::npos) {
            throw_errno(ENAMETOOLONG);
        }
        const std::string part(rest.substr(0, cut));
        folder = opened(openat_without_links(folder.get(), part.c_str(), folder_only | O_NOFOLLOW));
        rest.remove_prefix(cut + 1);
    }
    // `rest` ends where `path` ends, so it is terminated.
    return opened(openat_without_waiting(folder.get(), rest.data(), flags | O_NOFOLLOW));
}

}  // namespace penstock::cli
