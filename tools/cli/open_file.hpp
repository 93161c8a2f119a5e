// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"

#include <cstddef>
#include <string>

namespace penstock::cli {

/// Opens a file that the user named: symbolic links are followed. It never waits for a FIFO's writer, and reads of
/// what is no regular file do not wait either. Throws std::system_error.
descriptor open_named(const std::string& path);

/// Another descriptor of stdin, at the same place. Reads of a pipe or terminal do not wait through it, where the process
/// may open those again: what poll() has seen may be gone when it is read, as another reader took it or as the interrupt
/// key empties a terminal's queue. Throws std::system_error.
descriptor open_standard_input();

/// Whether links that a walk meets are followed.
enum class links : bool { refused, followed };

/// Opens what a walk met at `path`. The first `argument_length` bytes are the folder that the user named, where links
/// are followed. Below it none is if they are refused, whatever took a name's place since the name was read. It never
/// waits for a FIFO's writer. `path` may have any length, and no descriptor stays open but the one returned, so neither
/// a deep tree nor a large limit can exhaust them. `flags` are O_RDONLY and what is to be added to it. Throws
/// std::system_error. Cost: three system calls, and one more for every 4,095 bytes of path; without openat2() two for
/// every folder.
descriptor open_walked(const std::string& path, std::size_t argument_length, links met, int flags);

}  // namespace penstock::cli
