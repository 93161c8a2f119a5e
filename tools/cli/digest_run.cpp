// SPDX-License-Identifier: MIT
#include "digest_run.hpp"

#include "quoted_name.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

namespace penstock::cli {
namespace {

/// More than can compute, for a worker waits while the file that it reads is not in the page cache; how many reads a
/// disk wants at a time does not depend on the number of cores.
std::size_t default_workers() { return 2 * usable_cpus() + 4; }

/// How many more descriptors the process may have; counts no further than `enough`, as a limit may be in the millions.
/// The limit is one on their numbers: an open one above it takes no place below.
std::size_t free_descriptors(std::size_t enough) {
    rlimit allowed{};
    if (::getrlimit(RLIMIT_NOFILE, &allowed) != 0) {
        return enough;
    }
    std::size_t count = 0;
    for (rlim_t number = 0; number < allowed.rlim_cur && count < enough; ++number) {
        count += ::fcntl(static_cast<int>(number), F_GETFD) < 0 ? 1 : 0;
    }
    return count;
}

}  // namespace

digest_run::digest_run(const digest_options& chosen, interruption& until, meter& counted)
    : chosen_(chosen), until_(until), counted_(counted),
      workers_(chosen.workers == 0 ? default_workers() : chosen.workers) {
    how_.limit = chosen.limit == 0 ? default_limit_per_worker * workers_.workers() : chosen.limit;
    how_.buffer = chosen.buffer.value_or(auto_buffer);
    how_.order = chosen.unordered ? order::completion : order::submission;
    how_.stop = until.token();
    // The printing thread must not come upon a large file: lines that are known would wait for it. But where the only
    // worker may be waiting for a name, somebody has to read what it has pulled.
    how_.help = workers_.workers() == 1;
    keep_within_descriptors();
}

/// Files in flight that are open need up to three descriptors each for a moment, namely where there is no openat2() and
/// open_walked() goes step by step. There are as many of them as threads, the printing one included; where that is more
/// than the process may have, fewer files must be in flight.
void digest_run::keep_within_descriptors() {
    constexpr std::size_t per_file = 3;
    constexpr std::size_t for_the_walk = per_file + 1;  // to enter a folder, and to read a list of names or checksums
    constexpr std::size_t folders_share = 4;            // one part in so many is for the folders that a walk holds open
    const std::size_t for_files = (workers_.workers() + 1) * per_file;
    const std::size_t enough = std::max(for_files + for_the_walk + open_folders_, folders_share * open_folders_);
    const std::size_t available = free_descriptors(enough);
    open_folders_ = std::clamp<std::size_t>(available / folders_share, 1, open_folders_);
    const std::size_t others = for_the_walk + (chosen_.unordered ? open_folders_ : 0);
    const std::size_t most = std::max<std::size_t>((std::max(available, others) - others) / per_file, 1);
    if (for_files + others > available && most < how_.limit) {
        how_.limit = most;
        watch_.limit_is_of_descriptors();
    }
}

void digest_run::print(std::string_view line) {
    try {
        write_output(line);
    } catch (const output_error& failure) {
        // Now, and not when the files in flight have been read: nobody will see their lines.
        complain_of_output(failure);
        std::_Exit(1);
    }
    until_.watch_reader();
}

void digest_run::report(std::string_view message) {
    complain(message);
    ++counted_.errors;
}

void digest_run::report(const std::string& path, const std::exception& failure) {
    const bool no_memory = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr;
    report(fmt::format("{}: {}", quoted_name(path), no_memory ? "memory exhausted" : failure.what()));
    count_file();
}

}  // namespace penstock::cli
