// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace penstock::cli {

struct digest_options {
    std::vector<std::string> paths;  ///< files, folders, "-" for stdin; empty: stdin
    std::size_t workers = 0;         ///< 0: one per usable core
    std::size_t limit = 0;           ///< files in flight; 0: a default that suits the workers
};

/// `penstock digest`: one line per file on stdout, in walk order, each as soon as it and all before it are known.
/// Returns the exit status: 0, or 1 if something could not be read. Throws output_error.
int run_digest(const digest_options& chosen);

}  // namespace penstock::cli
