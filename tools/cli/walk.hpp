// SPDX-License-Identifier: MIT
#pragma once

#include "folder.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::cli {

/// One thing that a walk came to, in its place: a file to be read, or what kept the walk from going on there.
struct target {
    enum class kind : std::uint8_t {
        argument,  ///< a regular file that the user named
        walked,    ///< a regular file in a folder that the user named
        stream,    ///< stdin, a FIFO, a device: can be read once, by one reader, and may make it wait
        failure    ///< nothing to read; `error` says why
    };
    std::string path;
    target::kind kind;
    std::size_t argument_length = 0;  ///< walked: how much of `path` is the argument
    int error = 0;                    ///< failure: an errno value
};

/// The lazy producer: the files among the arguments and below them, one per call, nullopt at the end.
///
/// Order: the arguments as given; in a folder by name, bytewise, each subfolder when its name's turn comes.
/// Memory: the names of the folders on the current path. No folder is read before its turn, none stays open.
/// Threads: one at a time.
class walk {
public:
    explicit walk(std::vector<std::string> arguments);
    std::optional<target> operator()();

private:
    /// A folder on the current path and how far it has been walked.
    struct level {
        folder names;
        std::size_t next;
        std::size_t path_length;  // path_ up to here is this folder
    };

    std::optional<target> next_argument();
    std::optional<target> next_name();
    std::optional<target> enter_folder();

    std::vector<std::string> arguments_;
    std::size_t next_argument_ = 0;
    std::vector<level> levels_;
    std::string path_;
    std::size_t argument_length_ = 0;
};

}  // namespace penstock::cli
