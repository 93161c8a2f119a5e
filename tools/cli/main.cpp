// SPDX-License-Identifier: MIT
#include "command_line.hpp"
#include "console.hpp"

#include <cstdio>
#include <exception>
#include <new>
#include <variant>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

int run(const digest_options& chosen) { return run_digest(chosen); }

int run(const requested_text& requested) {
    write_output(requested.text);
    return 0;
}

int run(const usage_error& error) {
    if (!error.reason.empty()) {
        complain(error.reason);
    }
    fmt::print(stderr, "Try '{} --help' for more information.\n", error.command);
    return 1;
}

int run_program(int count, char** arguments) {
    try {
        const command wanted = read_command_line(count, arguments);
        const int status = std::visit([](const auto& chosen) { return run(chosen); }, wanted);
        close_output();
        return status;
    } catch (const output_error& failure) {
        complain_of_output(failure);
    } catch (const std::bad_alloc&) {
        complain("memory exhausted");
    } catch (const std::exception& failure) {
        complain(failure.what());
    }
    return 1;
}

}  // namespace
}  // namespace penstock::cli

int main(int count, char** arguments) {
    penstock::cli::prepare_console();
    return penstock::cli::run_program(count, arguments);
}
