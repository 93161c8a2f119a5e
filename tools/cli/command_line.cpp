// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include "help.hpp"
#include "quoted_name.hpp"

#include <penstock/options.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <getopt.h>

namespace penstock::cli {
namespace {

constexpr auto program_command = "penstock";
constexpr auto digest_command = "penstock digest";

// What getopt_long() returns for an option that has no letter.
enum long_only : int {
    tag = 256,
    unordered,
    files0_from,
    ignore_missing,
    quiet,
    status,
    strict,
    limit,
    buffer,
    progress_on,
    progress_off,
    verbose,
    help,
    version
};

constexpr option program_options[] = {
    {"help", no_argument, nullptr, help},
    {"version", no_argument, nullptr, version},
    {},
};

constexpr option digest_option_table[] = {
    // For sha256sum these beginnings are enough.
    {"b", no_argument, nullptr, 'b'},
    {"w", no_argument, nullptr, 'w'},
    {"v", no_argument, nullptr, version},
    {"ve", no_argument, nullptr, version},
    {"ver", no_argument, nullptr, version},
    {"binary", no_argument, nullptr, 'b'},
    {"buffer", required_argument, nullptr, buffer},
    {"check", no_argument, nullptr, 'c'},
    {"files0-from", required_argument, nullptr, files0_from},
    {"follow", no_argument, nullptr, 'L'},
    {"ignore-missing", no_argument, nullptr, ignore_missing},
    {"limit", required_argument, nullptr, limit},
    {"no-progress", no_argument, nullptr, progress_off},
    {"progress", no_argument, nullptr, progress_on},
    {"quiet", no_argument, nullptr, quiet},
    {"status", no_argument, nullptr, status},
    {"strict", no_argument, nullptr, strict},
    {"tag", no_argument, nullptr, tag},
    {"text", no_argument, nullptr, 't'},
    {"unordered", no_argument, nullptr, unordered},
    {"verbose", no_argument, nullptr, verbose},
    {"warn", no_argument, nullptr, 'w'},
    {"workers", required_argument, nullptr, 'j'},
    {"zero", no_argument, nullptr, 'z'},
    {"help", no_argument, nullptr, help},
    {"version", no_argument, nullptr, version},
    {},
};

/// A whole number of at least `least`; one beyond all bounds is as good as the largest. Decimal, whatever its first
/// digit. Throws usage_error.
std::size_t read_count(std::string_view text, std::string_view what, std::size_t least) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) {
        value = unlimited;
    }
    if (error == std::errc::invalid_argument || end != text.data() + text.size() || value < least) {
        throw usage_error{fmt::format("invalid {}: {}", what, always_quoted_name(text)), digest_command};
    }
    return value;
}

std::size_t read_workers(std::string_view text) {
    // More would only take longer to start: no disk is known that profits from more reads at a time.
    constexpr std::size_t most = 256;
    const std::size_t workers = read_count(text, "number of workers", 1);
    if (workers > most) {
        throw usage_error{fmt::format("invalid number of workers: {}: the most is {}", always_quoted_name(text), most),
                          digest_command};
    }
    return workers;
}

/// The options of `penstock digest` as they come, and what they must not be combined with.
class digest_reader {
public:
    /// Takes an option that getopt_long() has found. Throws usage_error.
    void take(int found, const char* value);

    /// Throws usage_error.
    digest_options result(std::vector<std::string> operands) const;

private:
    digest_options chosen_;
    bool kind_given_ = false;
    bool text_after_tag_ = false;
};

void digest_reader::take(int found, const char* value) {
    switch (found) {
    case 'b':
    case 't':
        chosen_.format.binary = found == 'b';
        kind_given_ = true;
        text_after_tag_ = chosen_.format.tagged && found == 't';
        break;
    case tag:
        chosen_.format.tagged = true;
        text_after_tag_ = false;
        break;
    case 'z':
        chosen_.format.zero_end = true;
        break;
    case unordered:
        chosen_.unordered = true;
        break;
    case files0_from:
        chosen_.files0_from = value;
        break;
    case 'L':
        chosen_.met = links::followed;
        break;
    case 'c':
        chosen_.check = true;
        break;
    case quiet:
        chosen_.talk = check_talk::quiet;
        break;
    case status:
        chosen_.talk = check_talk::status;
        break;
    case 'w':
        chosen_.talk = check_talk::warn;
        break;
    case ignore_missing:
        chosen_.ignore_missing = true;
        break;
    case strict:
        chosen_.strict = true;
        break;
    case 'j':
        chosen_.workers = read_workers(value);
        break;
    case limit:
        chosen_.limit = read_count(value, "limit", 1);
        break;
    case buffer:
        chosen_.buffer = read_count(value, "buffer", 0);
        break;
    case progress_on:
        chosen_.shown = progress_choice::always;
        break;
    case verbose:
        chosen_.verbose = true;
        break;
    default:  // progress_off, the only one left
        chosen_.shown = progress_choice::never;
    }
}

digest_options digest_reader::result(std::vector<std::string> operands) const {
    const line_format& format = chosen_.format;
    const bool check = chosen_.check;
    // In the order in which sha256sum looks at them: it tells of the first.
    const std::pair<bool, const char*> contradictions[] = {
        {text_after_tag_, "--tag does not support --text mode"},
        {format.zero_end && check, "the --zero option is not supported when verifying checksums"},
        {format.tagged && check, "the --tag option is meaningless when verifying checksums"},
        {kind_given_ && check, "the --binary and --text options are meaningless when verifying checksums"},
        {chosen_.files0_from && check, "the --files0-from option is meaningless when verifying checksums"},
        {chosen_.met == links::followed && check, "the --follow option is meaningless when verifying checksums"},
        {chosen_.ignore_missing && !check, "the --ignore-missing option is meaningful only when verifying checksums"},
        {chosen_.talk == check_talk::status && !check,
         "the --status option is meaningful only when verifying checksums"},
        {chosen_.talk == check_talk::warn && !check, "the --warn option is meaningful only when verifying checksums"},
        {chosen_.talk == check_talk::quiet && !check, "the --quiet option is meaningful only when verifying checksums"},
        {chosen_.strict && !check, "the --strict option is meaningful only when verifying checksums"},
    };
    for (const auto& [present, reason] : contradictions) {
        if (present) {
            throw usage_error{reason, digest_command};
        }
    }
    if (chosen_.files0_from && !operands.empty()) {
        throw usage_error{fmt::format("extra operand {}\nfile operands cannot be combined with --files0-from",
                                      always_quoted_name(operands.front())),
                          digest_command};
    }
    digest_options result = chosen_;
    result.paths = std::move(operands);
    return result;
}

command read_digest(int count, char** arguments) {
    digest_reader reader;
    optind = 0;  // begins anew, with other options
    for (;;) {
        const int found = ::getopt_long(count, arguments, "bcj:tLwz", digest_option_table, nullptr);
        switch (found) {
        case -1:
            return reader.result({arguments + optind, arguments + count});
        case help:
            return requested_text{std::string(digest_help)};
        case version:
            return requested_text{std::string(program_version)};
        case '?':
            return usage_error{"", digest_command};
        default:
            reader.take(found, optarg);
        }
    }
}

command read_program(int count, char** arguments) {
    // "+": options behind the subcommand are its own.
    switch (::getopt_long(count, arguments, "+", program_options, nullptr)) {
    case help:
        return requested_text{std::string(program_help)};
    case version:
        return requested_text{std::string(program_version)};
    case '?':
        return usage_error{"", program_command};
    default:
        break;
    }
    if (optind == count) {
        return usage_error{"missing command", program_command};
    }
    const std::string_view name = arguments[optind];
    if (name != "digest") {
        return usage_error{fmt::format("there is no command {}", always_quoted_name(name)), program_command};
    }
    // The subcommand's name stands where getopt_long() looks for the program's, which its messages begin with.
    arguments[optind] = arguments[0];
    return read_digest(count - optind, arguments + optind);
}

}  // namespace

command read_command_line(int count, char** arguments) {
    static char program_name[] = "penstock";
    static char* no_arguments[] = {program_name, nullptr};
    if (count == 0) {  // execve() may be given no program name at all
        count = 1;
        arguments = no_arguments;
    }
    arguments[0] = program_name;
    try {
        return read_program(count, arguments);
    } catch (const usage_error& error) {
        return error;
    }
}

}  // namespace penstock::cli
