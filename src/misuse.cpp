// SPDX-License-Identifier: MIT
#include "misuse.hpp"

#include <cstdio>
#include <exception>

namespace penstock::inline v0::detail {

void misuse(const char* what) noexcept {
    std::fprintf(stderr, "penstock: %s\n", what);
    std::terminate();
}

}  // namespace penstock::inline v0::detail
