// SPDX-License-Identifier: MIT
#pragma once

namespace penstock::inline v0::detail {

/// For what can only be a fault in the program: says so on stderr and terminates.
[[noreturn]] void misuse(const char* what) noexcept;

}  // namespace penstock::inline v0::detail
