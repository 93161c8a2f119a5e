// SPDX-License-Identifier: MIT
#pragma once

#include "sha256.hpp"

#include <string>
#include <string_view>

namespace penstock::cli {

/// The line of `sha256sum` (coreutils 9.1, text mode) for a file, with its newline: `sha256sum -c` reads it back.
/// A backslash, newline or carriage return in the name is escaped, and the line then begins with a backslash.
std::string digest_line(const sha256_value& value, std::string_view name);

}  // namespace penstock::cli
