// SPDX-License-Identifier: MIT
#include "operands.hpp"

#include <cstddef>

namespace penstock::cli {
namespace {

/// Whether the value of the last option in `argument` (like "--limit", "-j", "-vj") is the next argument.
bool wants_next(const std::string& argument, const takes_value& has_value) {
    if (argument.starts_with("--")) {
        return argument.find('=') == std::string::npos && has_value(argument);
    }
    for (std::size_t position = 1; position < argument.size(); ++position) {
        if (has_value({'-', argument[position]})) {
            return position + 1 == argument.size();  // otherwise the rest is the value, as in "-j4"
        }
    }
    return false;
}

}  // namespace

separated_arguments separate_arguments(const std::vector<std::string>& arguments, const takes_value& has_value) {
    separated_arguments found;
    bool operands_only = false;
    bool value_next = false;
    for (const std::string& argument : arguments) {
        if (value_next) {
            found.options.push_back(argument);
            value_next = false;
        } else if (operands_only || argument == "-" || !argument.starts_with('-')) {
            found.operands.push_back(argument);
        } else if (argument == "--") {
            operands_only = true;
        } else {
            found.options.push_back(argument);
            value_next = wants_next(argument, has_value);
        }
    }
    return found;
}

}  // namespace penstock::cli
