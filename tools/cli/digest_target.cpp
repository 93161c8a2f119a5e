// SPDX-License-Identifier: MIT
#include "digest_target.hpp"

#include "open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace penstock::cli {
namespace {

digest_result digest_walked(const target& from) {
    const descriptor file = open_walked(from.path, from.argument_length, O_RDONLY);
    struct stat status;
    if (::fstat(file.get(), &status) != 0) {
        throw_errno(errno);
    }
    // A folder in a file's place is not passed over: what is below it would be missing without a word.
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        return passed_over{};
    }
    return sha256_of_descriptor(file.get());
}

}  // namespace

digest_result digest_target(const target& from) {
    switch (from.kind) {
    case target::kind::argument:
        return sha256_of_descriptor(open_argument(from.path).get());
    case target::kind::walked:
        return digest_walked(from);
    case target::kind::stream:
        return in_turn{};
    case target::kind::failure:
        break;
    }
    throw_errno(from.error);
}

sha256_value digest_stream(const target& from) {
    if (from.path == "-") {
        return sha256_of_descriptor(STDIN_FILENO);
    }
    return sha256_of_descriptor(open_argument(from.path).get());
}

}  // namespace penstock::cli
