// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"
#include "interruption.hpp"
#include "progress.hpp"
#include "sha256.hpp"

#include <optional>
#include <string>
#include <variant>

namespace penstock::cli {

/// Not a regular file, or one that is like a stream: it can be read once, by one reader, and may make it wait.
struct not_regular {};

/// The digest of the regular file that a user named; links are followed.
/// Throws std::system_error, and std::runtime_error if the file was changed meanwhile. Threads: any, several at once.
std::variant<sha256_value, not_regular> digest_named_file(const std::string& path, meter& counted);

/// The digest of a regular file, from where the descriptor `number` stands to its end; `before` is the file's status.
/// Throws as above. Threads: any, one for a descriptor.
sha256_value digest_regular_file(int number, const struct ::stat& before, meter& counted);

/// Reads stdin ("-"), or whatever else `path` leads to, to its end; nothing if a signal came before that.
/// Throws std::system_error. Threads: one at a time for one stream.
std::optional<sha256_value> digest_stream(const std::string& path, meter& counted, const interruption& until);

}  // namespace penstock::cli
