// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace penstock::cli {

/// stdout can not take what it must be given: there is no point in going on. Not a std::exception, so that nobody who
/// catches those takes it for the failure of one file.
struct output_error {
    int error;
};

/// Occupies descriptors 0, 1 and 2 where the caller left them closed, so that no file opened later becomes stdin or
/// stdout by accident. Using one that was closed still fails. To be called before anything opens a descriptor.
void reserve_standard_descriptors();

/// Writes all of `text` to stdout, now. Throws output_error.
void write_output(std::string_view text);

/// Writes "penstock: MESSAGE" and a newline to stderr. A failure is ignored: there is nobody left to tell.
void complain(std::string_view message);

}  // namespace penstock::cli
