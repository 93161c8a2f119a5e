// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace penstock::cli {

/// A file name as messages show it, in the form that a shell would take back: plain where that is safe, else quoted,
/// with every control byte and everything that is not UTF-8 escaped. So a name can neither break a message into two
/// lines nor send commands to the terminal. The form is the one of coreutils
/// in a locale with UTF-8, whatever the locale.
std::string quoted_name(std::string_view name);

/// The same, but in quotes also where that is not needed: for names in the middle of a sentence.
std::string always_quoted_name(std::string_view name);

}  // namespace penstock::cli
