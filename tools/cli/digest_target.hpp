// SPDX-License-Identifier: MIT
#pragma once

#include "sha256.hpp"
#include "walk.hpp"

#include <variant>

namespace penstock::cli {

/// Something else than a regular file took the name's place after the walk read it, and a walk passes over such things.
struct passed_over {};

/// A stream is read by the consumer, when its turn comes: two readers of one stream would tear it apart, and one that
/// waits for a writer would occupy a worker.
struct in_turn {};

using digest_result = std::variant<sha256_value, passed_over, in_turn>;

/// The task for one target. Throws std::system_error, also to hand on the failure that a target carries.
/// Threads: any, several at once.
digest_result digest_target(const target& from);

/// Reads a stream to its end. Threads: one at a time.
sha256_value digest_stream(const target& from);

}  // namespace penstock::cli
