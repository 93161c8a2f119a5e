// SPDX-License-Identifier: MIT
#include "command_line.hpp"
#include "quoted_name.hpp"
#include "standard_descriptors.hpp"

#include <exception>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

int run(const digest_options& chosen) { return run_digest(chosen); }

int run(const requested_text& requested) {
    write_output(requested.text);
    return 0;
}

int run(const usage_error& error) {
    complain(fmt::format("{}\nTry 'penstock --help' for more information.", printable_text(error.reason)));
    return 2;
}

int run_program(const std::vector<std::string>& arguments) {
    try {
        return std::visit([](const auto& chosen) { return run(chosen); }, read_command_line(arguments));
    } catch (const output_error& failure) {
        complain(fmt::format("write error: {}", std::generic_category().message(failure.error)));
    } catch (const std::exception& failure) {
        complain(failure.what());
    }
    return 1;
}

}  // namespace
}  // namespace penstock::cli

int main(int count, char** values) {
    penstock::cli::reserve_standard_descriptors();
    // execve() may be given no program name at all.
    char** const first = count > 0 ? values + 1 : values;
    return penstock::cli::run_program({first, values + count});
}
