// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace penstock::cli {

/// What --help and --version print.
extern const std::string_view program_help;
extern const std::string_view digest_help;
extern const std::string_view program_version;

}  // namespace penstock::cli
