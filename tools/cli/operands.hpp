// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::cli {

/// A command line taken apart: options with their values, and operands, which may stand among them.
struct separated_arguments {
    std::vector<std::string> options;
    std::vector<std::string> operands;
};

/// Whether the option of this name ("-j", "--workers") is followed by a value.
using takes_value = std::function<bool(const std::string& name)>;

/// Tells operands from options as getopt_long() does: "-" is an operand, "--" ends the options.
///
/// Operands are kept from CLI11, which does not hand on every file name as it is: it splits "[a,b]", takes "++" for
/// the end of a subcommand, and the name of another subcommand for that subcommand.
separated_arguments separate_arguments(const std::vector<std::string>& arguments, const takes_value& has_value);

}  // namespace penstock::cli
