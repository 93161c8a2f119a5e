// SPDX-License-Identifier: MIT
#pragma once

#include <array>

namespace penstock::cli {

using sha256_value = std::array<unsigned char, 32>;

/// The SHA-256 of all that can be read from `number`, from where it stands to its end.
/// Memory: one buffer and one context per thread, made on first use, whatever the size of the file.
/// Threads: any. Throws std::system_error if reading fails.
sha256_value sha256_of_descriptor(int number);

}  // namespace penstock::cli
