// SPDX-License-Identifier: MIT
#pragma once

#include "digest_command.hpp"

#include <string>
#include <variant>
#include <vector>

namespace penstock::cli {

/// --help or --version: to be printed, and that is all.
struct requested_text {
    std::string text;
};

/// A command line that makes no sense, and why.
struct usage_error {
    std::string reason;
};

/// What the user wants: a subcommand with its options, or one of the above.
using command = std::variant<digest_options, requested_text, usage_error>;

/// Reads the arguments, without the program's name.
command read_command_line(const std::vector<std::string>& arguments);

}  // namespace penstock::cli
