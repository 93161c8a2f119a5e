// SPDX-License-Identifier: MIT
// The only file that includes CLI11, which takes long to compile.
#include "command_line.hpp"

#include "operands.hpp"

#include <penstock/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

constexpr auto exit_statuses = "Exit status:\n"
                               "  0  everything was done\n"
                               "  1  something could not be read or written; the rest was done\n"
                               "  2  the command line makes no sense";

constexpr auto digest_description =
    "Print the SHA-256 of files as sha256sum prints it, for folders of every regular file in them.";

constexpr auto digest_notes = "Lines come in walk order: the arguments as given, within a folder by name, bytewise.\n"
                              "Links are followed if they are arguments. Below a folder, links, FIFOs, sockets and\n"
                              "devices are passed over.\n\n";

/// A whole number from 1 to `most`. CLI11 alone would also take "0x10", and read "010" as eight.
void add_count(CLI::App& to, const std::string& names, std::size_t most, std::size_t& value, const std::string& text) {
    const auto read = [names, most, &value](const CLI::results_t& given) {
        const std::string& digits = given.back();
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const bool whole = error == std::errc{} && end == digits.data() + digits.size();
        if (!whole || value < 1 || value > most) {
            throw CLI::ValidationError(fmt::format("{}: '{}' is not a whole number from 1 to {}", names, digits, most));
        }
        return true;
    };
    to.add_option(names, read, text)->type_name("N")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void add_digest(CLI::App& program, digest_options& chosen) {
    constexpr std::size_t most_workers = 4096;
    constexpr std::size_t most_in_flight = 1'000'000'000;
    CLI::App& digest = *program.add_subcommand("digest", digest_description);
    add_count(digest, "-j,--workers", most_workers, chosen.workers,
              "Threads that read and hash (default: one per core)");
    add_count(digest, "--limit", most_in_flight, chosen.limit,
              fmt::format("Files in flight at once (default: {} per worker)", default_limit_per_worker));
    // For the help only: operands do not come this way.
    digest.add_option("PATH", CLI::callback_t{}, "Files and folders; - or none: stdin")->expected(0, -1)->type_name("");
    digest.footer(std::string(digest_notes) + exit_statuses);
}

const CLI::App* find_subcommand(const CLI::App& program, const std::string& name) {
    const auto found = program.get_subcommands([&](const CLI::App* known) { return known->get_name() == name; });
    return found.empty() ? nullptr : found.front();
}

bool has_value(const CLI::App& of, const std::string& option_name) {
    const CLI::Option* const option = of.get_option_no_throw(option_name);
    return option != nullptr && option->get_items_expected_min() > 0;
}

/// Has CLI11 parse everything but the operands of the subcommand, which it returns.
std::vector<std::string> parse(CLI::App& program, const std::vector<std::string>& arguments) {
    // No option of the program itself has a value, so the first argument that is no option is the subcommand.
    const auto is_option = [](const std::string& argument) { return argument.starts_with('-'); };
    const auto name = std::ranges::find_if_not(arguments, is_option);
    const auto rest = name == arguments.end() ? name : std::next(name);
    const CLI::App* const subcommand = name == rest ? nullptr : find_subcommand(program, *name);
    if (name != rest && subcommand == nullptr) {
        throw CLI::ValidationError(fmt::format("there is no command '{}'", *name));
    }
    auto [options, operands] = separate_arguments({rest, arguments.end()}, [subcommand](const std::string& option) {
        return subcommand != nullptr && has_value(*subcommand, option);
    });

    std::vector<std::string> backwards;  // CLI11 takes arguments from the back
    std::ranges::reverse_copy(options, std::back_inserter(backwards));
    std::reverse_copy(arguments.begin(), rest, std::back_inserter(backwards));
    program.parse(std::move(backwards));
    return std::move(operands);
}

}  // namespace

command read_command_line(const std::vector<std::string>& arguments) {
    CLI::App program("Bounded work in flight, results as they are ready.", "penstock");
    program.set_help_flag("-h,--help", "Print this help and exit");
    program.set_version_flag("--version", "penstock " PENSTOCK_VERSION, "Print the version and exit");
    program.require_subcommand(1);
    program.footer(std::string("penstock COMMAND --help tells more about a command.\n\n") + exit_statuses);
    digest_options digest;
    add_digest(program, digest);
    try {
        digest.paths = parse(program, arguments);
    } catch (const CLI::CallForHelp&) {
        return requested_text{program.help()};
    } catch (const CLI::CallForVersion& version) {
        return requested_text{version.what() + std::string("\n")};
    } catch (const CLI::ParseError& error) {
        return usage_error{error.what()};
    }
    return digest;
}

}  // namespace penstock::cli
