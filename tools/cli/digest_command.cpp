// SPDX-License-Identifier: MIT
#include "digest_command.hpp"

#include "digest_line.hpp"
#include "digest_target.hpp"
#include "quoted_name.hpp"
#include "standard_descriptors.hpp"
#include "walk.hpp"

#include <penstock/penstock.hpp>

#include <exception>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

/// Prints what became of a target. Returns false if there is an error to remember.
///
/// Each line goes out with a write of its own, at once, wherever stdout leads: it is there when it is known, stands in
/// the right place among the messages on stderr, and is never cut in two by a process that shares the pipe. That costs
/// the consuming thread a microsecond per file, or four if it wakes a reader; opening and reading one costs ten.
bool report(const target& from, digest_result result) {
    if (std::holds_alternative<in_turn>(result)) {
        result = digest_stream(from);
    }
    if (const auto* const value = std::get_if<sha256_value>(&result)) {
        write_output(digest_line(*value, from.path));
    }
    return true;
}

bool report_error(const target& from, std::string_view reason) {
    complain(fmt::format("{}: {}", quoted_name(from.path), reason));
    return false;
}

template <class Completed>
bool take(Completed& done) {
    try {
        return report(done.input(), done.get());
    } catch (const std::system_error& failure) {
        return report_error(done.input(), failure.code().message());
    } catch (const std::exception& failure) {
        return report_error(done.input(), failure.what());
    }
}

}  // namespace

int run_digest(const digest_options& chosen) {
    executor ex = chosen.workers == 0 ? executor() : executor(chosen.workers);
    walk targets(chosen.paths.empty() ? std::vector<std::string>{"-"} : chosen.paths);

    options how;
    how.limit = chosen.limit == 0 ? default_limit_per_worker * ex.workers() : chosen.limit;
    how.order = order::submission;

    bool all_well = true;
    for (auto& done : as_completed(ex, targets, digest_target, how)) {
        all_well = take(done) && all_well;
    }
    return all_well ? 0 : 1;
}

}  // namespace penstock::cli
