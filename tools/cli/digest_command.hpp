// SPDX-License-Identifier: MIT
#pragma once

#include "checksum_line.hpp"
#include "open_file.hpp"
#include "progress.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::cli {

/// How many files are in flight by default. Far more than there are workers, as they are small or large by chance:
/// while one worker reads a large file whose line comes next, the others go on behind it, up to this limit and the
/// results that may wait (four times as many). It costs a path for each.
inline constexpr std::size_t default_limit_per_worker = 32;

/// What --check says about each line; the last of these options on the command line counts.
enum class check_talk : std::uint8_t {
    normal,
    quiet,   ///< nothing about files that are as listed
    status,  ///< nothing about any file but what could not be read
    warn     ///< as normal, and about each line that is no checksum line
};

struct digest_options {
    std::vector<std::string> paths;          ///< files, folders, "-" for stdin; with `check`, lists; empty: stdin
    std::optional<std::string> files0_from;  ///< a file with the paths instead
    line_format format;
    bool unordered = false;
    links met = links::refused;

    bool check = false;
    check_talk talk = check_talk::normal;
    bool ignore_missing = false;
    bool strict = false;

    std::size_t workers = 0;  ///< 0: default_workers()
    std::size_t limit = 0;    ///< files in flight; 0: default_limit_per_worker for each worker
    std::optional<std::size_t> buffer;
    progress_choice shown = progress_choice::automatic;
    bool verbose = false;  ///< where progress is shown, its bottleneck too
};

/// `penstock digest`. Returns the exit status: 0; 1 if something could not be read or was not as listed; 128 and the
/// number of the signal that ended it early. Throws output_error.
int run_digest(const digest_options& chosen);

}  // namespace penstock::cli
