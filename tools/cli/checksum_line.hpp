// SPDX-License-Identifier: MIT
#pragma once

#include "sha256.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace penstock::cli {

/// How sha256sum writes its lines.
struct line_format {
    bool tagged = false;    ///< "SHA256 (NAME) = DIGEST"
    bool binary = false;    ///< an asterisk before the name; says nothing on systems that have one kind of file
    bool zero_end = false;  ///< a NUL ends the line, and nothing in it is escaped
};

/// The line of `sha256sum` (coreutils 9.1) for a file, with its end: `sha256sum -c` reads it back. A backslash, newline
/// or carriage return in the name is escaped, and the line then begins with a backslash.
std::string checksum_line(const sha256_value& value, std::string_view name, const line_format& format);

/// The name with its backslashes, newlines and carriage returns escaped.
std::string escaped_name(std::string_view name);

/// What a line of a list asks for.
struct listed_file {
    std::string name;
    sha256_value expected;
};

/// Understands the lines of `sha256sum`, of its option --tag, of BSD's and of OpenSSL's tools, as coreutils 9.1 does.
/// Threads: one at a time.
class checksum_parser {
public:
    /// Takes a line without its newline. Nothing if it is in no such form.
    std::optional<listed_file> parse(std::string_view line);

private:
    /// With one blank before the name, a name may begin with what would be the kind of file in a line with two. So the
    /// first line in one of these forms forbids the other from then on.
    enum class separator { unknown, two_bytes, one_blank };
    separator seen_ = separator::unknown;
};

}  // namespace penstock::cli
