// SPDX-License-Identifier: MIT
#pragma once

#include "checksum_line.hpp"
#include "descriptor.hpp"
#include "interruption.hpp"
#include "record_reader.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace penstock::cli {

/// A line of a list that is neither empty nor a comment.
struct list_line {
    std::size_t number;               ///< from 1
    std::optional<listed_file> file;  ///< nothing if the line is in no form that is known
};

/// The lazy producer of --check: the lines of one list, one per call, read as they are asked for.
/// Memory: that of its record_reader. Threads: one at a time.
class checksum_list {
public:
    /// `path` may be "-", stdin. The parser is shared with the lists before and after. Throws std::system_error.
    checksum_list(const std::string& path, checksum_parser& parser, const interruption& until);

    std::optional<list_line> operator()();

    /// Whether the list could not be read to its end; known when there are no more lines.
    bool failed() const noexcept { return records_.error() != 0; }

private:
    bool from_stdin_;
    descriptor opened_;
    record_reader records_;
    checksum_parser& parser_;
};

}  // namespace penstock::cli
