// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace penstock::cli {

/// How many files are in flight by default. Far more than there are workers, as they are small or large by chance:
/// while one worker reads a large file whose line comes next, the others go on behind it, up to this limit and the
/// results that may wait (four times as many). It costs a path for each.
inline constexpr std::size_t default_limit_per_worker = 32;

struct digest_options {
    std::vector<std::string> paths;  ///< files, folders, "-" for stdin; empty: stdin
    std::size_t workers = 0;         ///< 0: one per usable core
    std::size_t limit = 0;           ///< files in flight; 0: default_limit_per_worker for each worker
};

/// `penstock digest`: one line per file on stdout, in walk order, each as soon as it and all before it are known.
/// Returns the exit status: 0, or 1 if something could not be read. Throws output_error.
int run_digest(const digest_options& chosen);

}  // namespace penstock::cli
