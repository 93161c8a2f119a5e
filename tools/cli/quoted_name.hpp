// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace penstock::cli {

/// A file name as messages show it, in the form that a shell would take back: plain where that is safe, else quoted,
/// with every control byte and everything that is not UTF-8 escaped. So a name can neither break a message into two
/// lines nor send commands to the terminal. The form is the one of coreutils.
std::string quoted_name(std::string_view name);

/// Text that is not only a name, for a message: its control bytes escaped, the rest as it is.
std::string printable_text(std::string_view text);

}  // namespace penstock::cli
