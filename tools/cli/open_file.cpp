// SPDX-License-Identifier: MIT
#include "open_file.hpp"

#include <atomic>
#include <climits>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

/// openat() that follows no link in `path`, neither at its end nor on the way, one folder after the other.
int openat_step_by_step(int folder, std::string_view path, int flags) {
    descriptor reached;
    for (;;) {
        const int from = reached.get() < 0 ? folder : reached.get();
        const std::size_t end = path.find('/');
        const std::string name(path.substr(0, end));
        const bool last = end == std::string_view::npos;
        const int now = last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        const int number = retry_on_signal([&] { return ::openat(from, name.c_str(), now); });
        if (number < 0 || last) {
            return number;
        }
        reached = descriptor(number);
        path.remove_prefix(end + 1);
    }
}

/// Whether the kernel has openat2(). Old ones do not, and container sandboxes refuse it.
std::atomic<bool> has_openat2{true};

/// openat() that follows no link in `path`, if they are refused.
int openat_with(links met, int folder, const char* path, int flags) {
    if (met == links::followed) {
        return retry_on_signal([&] { return ::openat(folder, path, flags); });
    }
    if (has_openat2) {
        open_how how{};
        how.flags = static_cast<unsigned>(flags | O_NOFOLLOW);
        how.resolve = RESOLVE_NO_SYMLINKS;
        const auto number = retry_on_signal([&] { return ::syscall(SYS_openat2, folder, path, &how, sizeof how); });
        if (number >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return static_cast<int>(number);
        }
    }
    const int number = openat_step_by_step(folder, path, flags);
    // EPERM may also be said of one file, by either call.
    has_openat2 = has_openat2 && number < 0 && errno == EPERM;
    return number;
}

int openat_without_waiting(links met, int folder, const char* path, int flags) {
    const int number = openat_with(met, folder, path, flags | O_NONBLOCK);
    if (number >= 0 || errno != EWOULDBLOCK) {
        return number;
    }
    // A file on lease (a file server's) refuses O_NONBLOCK until its holder lets go, which the kernel bounds in time.
    // A FIFO never answers so, hence waiting is safe here.
    return openat_with(met, folder, path, flags);
}

constexpr int always = O_CLOEXEC | O_NOCTTY;

/// Whether opening it again leads to the same thing and does nothing else. Of a terminal's master side it makes a new
/// terminal; what it does to other devices, nobody knows.
bool may_be_reopened(int number) {
    struct ::stat status;
    if (::fstat(number, &status) != 0) {
        return false;
    }
    const bool terminal = ::isatty(number) == 1 && status.st_rdev != makedev(5, 2);  // /dev/ptmx
    return S_ISFIFO(status.st_mode) || terminal;
}

}  // namespace

descriptor open_named(const std::string& path) {
    return opened(openat_without_waiting(links::followed, AT_FDCWD, path.c_str(), O_RDONLY | always));
}

descriptor open_standard_input() {
    if (may_be_reopened(STDIN_FILENO)) {
        // A flag set on stdin itself would also be set for the programs that share it.
        const int number = retry_on_signal([] { return ::open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | always); });
        if (number >= 0) {
            return descriptor(number);
        }
    }
    return opened(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
}

descriptor open_walked(const std::string& path, std::size_t argument_length, links met, int flags) {
    flags |= always;
    const std::string argument = path.substr(0, argument_length);
    std::string_view rest = std::string_view(path).substr(argument_length);
    if (rest.empty()) {
        return opened(openat_with(links::followed, AT_FDCWD, argument.c_str(), flags));
    }
    if (rest.front() == '/') {
        rest.remove_prefix(1);
    }

    constexpr int folder_only = O_PATH | O_DIRECTORY | O_CLOEXEC;
    descriptor folder = opened(openat_with(links::followed, AT_FDCWD, argument.c_str(), folder_only));
    constexpr std::size_t longest = PATH_MAX - 1;  // the kernel counts the terminating NUL
    while (rest.size() > longest) {
        const std::size_t cut = rest.rfind('/', longest);
        if (cut == std::string_view::npos) {
            throw_errno(ENAMETOOLONG);
        }
        const std::string part(rest.substr(0, cut));
        folder = opened(openat_with(met, folder.get(), part.c_str(), folder_only));
        rest.remove_prefix(cut + 1);
    }
    // `rest` ends where `path` ends, so it is terminated.
    return opened(openat_without_waiting(met, folder.get(), rest.data(), flags));
}

}  // namespace penstock::cli
