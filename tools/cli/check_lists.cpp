// SPDX-License-Identifier: MIT
#include "checksum_list.hpp"
#include "digest_run.hpp"
#include "file_digest.hpp"
#include "quoted_name.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

std::variant<sha256_value, not_regular> digest_listed(const list_line& line, meter& counted) {
    if (!line.file || line.file->name == "-") {
        return not_regular{};
    }
    return digest_named_file(line.file->name, counted);
}

/// The consuming end for one list.
class list_check {
public:
    list_check(digest_run& run, std::string list_name) : run_(run), list_name_(std::move(list_name)) {}

    template <class Completed>
    void take(Completed& done) {
        const list_line& line = done.input();
        if (!line.file) {
            take_misformatted(line.number);
            return;
        }
        ++well_formed_;
        settle(*line.file, [&] {
            const auto found = done.get();
            if (const auto* const value = std::get_if<sha256_value>(&found)) {
                compare(*line.file, *value);
            } else if (run_.chosen().unordered) {
                streams_.push_back(*line.file);  // files do not wait for a stream, which may have its writer to wait for
            } else {
                check_stream(*line.file);
            }
        });
    }

    /// The streams whose turn has not come yet.
    void take_rest() {
        for (const listed_file& file : std::exchange(streams_, {})) {
            settle(file, [&] { check_stream(file); });
        }
    }

    /// Says how it went. Returns whether all was well.
    bool conclude(bool list_failed) const {
        if (list_failed) {
            run_.report(fmt::format("{}: read error", quoted_name(list_name_)));
            return false;
        }
        if (run_.until().signal() != 0) {
            return false;  // what has not been looked at says nothing about the list
        }
        if (well_formed_ == 0) {
            run_.report(fmt::format("{}: no properly formatted checksum lines found", quoted_name(list_name_)));
            return false;
        }
        if (!silent()) {
            warn(misformatted_, "line is", "lines are", "improperly formatted");
            warn(unreadable_, "listed file", "listed files", "could not be read");
            warn(mismatched_, "computed checksum", "computed checksums", "did NOT match");
            if (run_.chosen().ignore_missing && matched_ == 0) {
                complain(fmt::format("{}: no file was verified", quoted_name(list_name_)));
            }
        }
        return mismatched_ == 0 && unreadable_ == 0 && (!run_.chosen().ignore_missing || matched_ > 0) &&
               (!run_.chosen().strict || misformatted_ == 0);
    }

private:
    bool silent() const { return run_.chosen().talk == check_talk::status; }

    static void warn(std::size_t count, const char* one, const char* several, const char* what) {
        if (count != 0) {
            complain(fmt::format("WARNING: {} {} {}", count, count == 1 ? one : several, what));
        }
    }

    void take_misformatted(std::size_t line) {
        ++misformatted_;
        if (run_.chosen().talk == check_talk::warn) {
            complain(fmt::format("{}: {}: improperly formatted SHA256 checksum line", quoted_name(list_name_), line));
        }
    }

    template <class Check>
    void settle(const listed_file& file, Check check) {
        try {
            check();
        } catch (const std::exception& failure) {
            const auto* const refused = dynamic_cast<const std::system_error*>(&failure);
            const bool missing = refused != nullptr && refused->code().value() == ENOENT;
            if (missing && run_.chosen().ignore_missing) {
                run_.count_file();
                return;
            }
            ++unreadable_;
            run_.report(file.name, failure);
            say(file.name, "FAILED open or read");
        }
    }

    void check_stream(const listed_file& file) {
        if (const auto value = digest_stream(file.name, run_.counted(), run_.until())) {
            compare(file, *value);
        }
    }

    void compare(const listed_file& file, const sha256_value& value) {
        run_.count_file();
        if (value != file.expected) {
            ++mismatched_;
            ++run_.counted().errors;
            say(file.name, "FAILED");
            return;
        }
        ++matched_;
        if (run_.chosen().talk != check_talk::quiet) {
            say(file.name, "OK");
        }
    }

    void say(const std::string& name, const char* verdict) {
        if (silent()) {
            return;
        }
        // Only where a name would take two lines is it escaped: then the line can be told from two names.
        const bool escaped = name.find('\n') != std::string::npos;
        run_.print(fmt::format("{}{}: {}\n", escaped ? "\\" : "", escaped ? escaped_name(name) : name, verdict));
    }

    digest_run& run_;
    std::string list_name_;
    std::vector<listed_file> streams_;
    std::size_t well_formed_ = 0;
    std::size_t misformatted_ = 0;
    std::size_t unreadable_ = 0;
    std::size_t mismatched_ = 0;
    std::size_t matched_ = 0;
};

bool check_list(digest_run& run, const std::string& path, checksum_parser& parser) {
    try {
        checksum_list lines(path, parser, run.until());
        list_check verdict(run, path == "-" ? "standard input" : path);
        run.for_each_result(
            lines, [&counted = run.counted()](const list_line& line) { return digest_listed(line, counted); },
            [&](auto& done) { verdict.take(done); });
        verdict.take_rest();
        return verdict.conclude(lines.failed());
    } catch (const std::system_error& failure) {
        run.report(path, failure);
        return false;
    }
}

}  // namespace

bool check_lists(digest_run& run) {
    const std::vector<std::string>& given = run.chosen().paths;
    checksum_parser parser;
    bool all_well = true;
    for (const std::string& path : given.empty() ? std::vector<std::string>{"-"} : given) {
        if (run.until().signal() != 0) {
            return false;
        }
        all_well = check_list(run, path, parser) && all_well;
    }
    return all_well;
}

}  // namespace penstock::cli
