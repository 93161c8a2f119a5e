// SPDX-License-Identifier: MIT
#pragma once

#include "folder.hpp"
#include "open_file.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace penstock::cli {

/// One thing that a walk came to, in its place: a file to be read, or what kept the walk from going on there.
struct target {
    enum class kind : std::uint8_t {
        named,   ///< something that the user named and that is no folder; "-" is stdin
        walked,  ///< a regular file in a folder that the user named
        failure  ///< nothing to read; `problem` says why
    };
    std::string path;
    target::kind kind;
    std::size_t argument_length = 0;  ///< walked: how much of `path` is the argument
    std::string problem = {};         ///< failure: the message
};

/// A path that the user gave, or why it is none.
struct argument {
    std::string path;
    std::string problem = {};
};

/// Gives one argument after the other; nothing at the end.
using argument_source = std::function<std::optional<argument>()>;

struct walk_options {
    name_order order = name_order::sorted;
    links met = links::refused;
    std::size_t open_folders = 16;  ///< how many may stay open at a time; only for name_order::as_read. At least 1.
};

/// The lazy producer: the files among the arguments and below them, one per call, nullopt at the end.
///
/// Order: the arguments as given; in a folder by name, bytewise, or as read, each subfolder when its name's turn comes.
/// A folder that contains itself, by a link that is followed, is not entered a second time.
/// Memory: sorted, the names of the folders on the current path. As read, nothing but for paths with more folders than
/// may stay open, where the names left in the outer ones are held.
/// Threads: one at a time.
class walk {
public:
    walk(argument_source arguments, walk_options how);
    /// Ends when it is asked to stop: there may be no file for a long time, or, with links that are followed, never.
    std::optional<target> operator()(const std::stop_token& stop);

private:
    /// A folder on the current path.
    struct level {
        folder names;
        std::size_t path_length;             // path_ up to here is this folder
        std::pair<dev_t, ino_t> identity;
    };

    std::optional<target> enter_argument(argument found);
    std::optional<target> next_name();
    std::optional<target> enter_folder();
    void keep_within_open_folders();

    argument_source arguments_;
    walk_options how_;
    std::vector<level> levels_;
    std::string path_;
    std::size_t argument_length_ = 0;
};

}  // namespace penstock::cli
