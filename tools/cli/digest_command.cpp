// SPDX-License-Identifier: MIT
#include "digest_command.hpp"

#include "console.hpp"
#include "digest_run.hpp"
#include "interruption.hpp"
#include "progress.hpp"
#include "sha256.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

/// How many bytes there are to be read, if they can be told without reading folders: all arguments are regular files.
std::optional<std::uint64_t> known_total(const digest_options& chosen) {
    if (chosen.check || chosen.files0_from || chosen.paths.empty() || !progress::is_shown(chosen.shown)) {
        return std::nullopt;
    }
    std::uint64_t total = 0;
    for (const std::string& path : chosen.paths) {
        struct stat status;
        if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
            return std::nullopt;
        }
        total += static_cast<std::uint64_t>(status.st_size);
    }
    return total;
}

/// Progress would be drawn over what the user types.
bool reads_what_is_typed(const digest_options& chosen) {
    return chosen.shown == progress_choice::automatic && chosen.paths.empty() && !chosen.files0_from &&
           ::isatty(STDIN_FILENO) == 1;
}

bool names_stdin(const digest_options& chosen) {
    return std::ranges::find(chosen.paths, "-") != chosen.paths.end() || (chosen.paths.empty() && !chosen.files0_from);
}

/// What has to be there before the first file can be read.
struct setting {
    explicit setting(const digest_options& chosen) : run(chosen, until, counted) { prepare_sha256(); }

    interruption until;  // first of all: other threads inherit its signal mask
    meter counted;
    digest_run run;
};

std::unique_ptr<setting> set_up(const digest_options& chosen) {
    try {
        return std::make_unique<setting>(chosen);
    } catch (const std::system_error& failure) {
        throw std::runtime_error(fmt::format("cannot start: {}", failure.code().message()));
    }
}

}  // namespace

int run_digest(const digest_options& chosen) {
    const std::unique_ptr<setting> set = set_up(chosen);
    bool all_well = false;
    {
        const progress shown(reads_what_is_typed(chosen) ? progress_choice::never : chosen.shown, set->counted,
                             known_total(chosen), chosen.verbose ? &set->run.watch() : nullptr);
        all_well = chosen.check ? check_lists(set->run) : print_digests(set->run);
        if (stdin_was_closed() && names_stdin(chosen) && set->until.signal() == 0) {
            // As sha256sum says once more when it can not close it. The status is 1 already.
            set->run.report(fmt::format("standard input: {}", std::generic_category().message(EBADF)));
        }
    }
    close_output();  // may take long, and then a second signal is to end it
    const int signal = set->until.end();
    return signal != 0 ? 128 + signal : all_well ? 0 : 1;
}

}  // namespace penstock::cli
