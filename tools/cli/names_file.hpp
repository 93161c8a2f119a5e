// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"
#include "interruption.hpp"
#include "record_reader.hpp"
#include "walk.hpp"

#include <optional>
#include <string>

namespace penstock::cli {

/// The arguments in a file in which each is ended by a NUL, as from `find -print0`. An argument_source that reads no
/// further than it is asked. Messages are those of the coreutils that have an option --files0-from.
class names_file {
public:
    /// `path` may be "-", stdin. Throws std::runtime_error, with the message for the user, if it can not be opened.
    names_file(const std::string& path, const interruption& until);

    std::optional<argument> operator()();

private:
    std::string path_;
    descriptor opened_;
    record_reader records_;
    bool failed_ = false;
};

}  // namespace penstock::cli
