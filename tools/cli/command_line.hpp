// SPDX-License-Identifier: MIT
#pragma once

#include "digest_command.hpp"

#include <string>
#include <variant>

namespace penstock::cli {

/// --help or --version: to be printed, and that is all.
struct requested_text {
    std::string text;
};

/// A command line that makes no sense.
struct usage_error {
    std::string reason;   ///< empty if getopt_long() has told the user already
    std::string command;  ///< what `--help` is to be asked of
};

/// What the user wants: a subcommand with its options, or one of the above.
using command = std::variant<digest_options, requested_text, usage_error>;

/// Reads the arguments of main(), as getopt_long() does: options may be abbreviated and may stand behind operands, and
/// "--" ends them. Reorders `arguments`.
command read_command_line(int count, char** arguments);

}  // namespace penstock::cli
