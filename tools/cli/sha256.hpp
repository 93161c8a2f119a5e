// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>

namespace penstock::cli {

using sha256_value = std::array<unsigned char, 32>;

/// To be called before the others. Throws std::runtime_error if OpenSSL has no SHA-256.
void prepare_sha256();

/// Fills a buffer, at least in part, and returns with how many bytes; 0 at the end of the data.
using byte_source = std::function<std::size_t(std::span<unsigned char> into)>;

/// The SHA-256 of all that `source` gives.
/// Memory: one buffer and one context per thread, made on first use, however much there is.
/// Threads: any. Throws what `source` throws, std::bad_alloc.
sha256_value sha256_of(const byte_source& source);

}  // namespace penstock::cli
