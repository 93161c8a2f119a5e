// SPDX-License-Identifier: MIT
#include "digest_run.hpp"
#include "file_digest.hpp"
#include "names_file.hpp"
#include "walk.hpp"

#include <functional>
#include <stdexcept>
#include <optional>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

/// Something else than a regular file took the name's place after the walk read it, and a walk passes over such things.
struct passed_over {};

/// A stream is read by the printing thread, when its turn comes: two readers of one stream would tear it apart, and one
/// that waits for a writer would occupy a worker.
struct in_turn {};

using outcome = std::variant<sha256_value, passed_over, in_turn>;

/// Whether this is the file that the lines are written to: what is read of it is only the beginning.
bool is_output(const struct stat& status) {
    struct stat output;
    return ::fstat(STDOUT_FILENO, &output) == 0 && S_ISREG(output.st_mode) && output.st_dev == status.st_dev &&
           output.st_ino == status.st_ino;
}

outcome digest_walked(const target& from, links met, meter& counted) {
    const descriptor file = open_walked(from.path, from.argument_length, met, O_RDONLY);
    const struct stat before = status_of(file.get());
    // A folder in a file's place is not passed over: what is below it would be missing without a word.
    if (!S_ISREG(before.st_mode) && !S_ISDIR(before.st_mode)) {
        return passed_over{};
    }
    if (is_output(before)) {
        throw std::runtime_error("input file is the output file");
    }
    return digest_regular_file(file.get(), before, counted);
}

outcome digest_named(const target& from, meter& counted) {
    if (from.path == "-") {
        return in_turn{};
    }
    const auto found = digest_named_file(from.path, counted);
    const auto* const value = std::get_if<sha256_value>(&found);
    return value != nullptr ? outcome(*value) : in_turn{};
}

argument_source given(const std::vector<std::string>& paths) {
    return [paths = paths.empty() ? std::vector<std::string>{"-"} : paths,
            next = std::size_t{0}]() mutable -> std::optional<argument> {
        return next < paths.size() ? std::optional(argument{paths[next++]}) : std::nullopt;
    };
}

/// The consuming end.
class printer {
public:
    explicit printer(digest_run& run) : run_(run) {}

    template <class Completed>
    void take(Completed& done) {
        const target& from = done.input();
        if (from.kind == target::kind::failure) {
            report(from.problem);
            run_.count_file();
            return;
        }
        try {
            const outcome found = done.get();
            if (const auto* const value = std::get_if<sha256_value>(&found)) {
                print(*value, from.path);
            } else if (std::holds_alternative<in_turn>(found)) {
                take_stream(from.path);
            }
        } catch (const std::exception& failure) {
            report(from.path, failure);
        }
    }

    /// The streams whose turn has not come yet.
    void take_rest() {
        for (const std::string& path : streams_) {
            read_stream(path);
        }
    }

    bool all_well() const noexcept { return all_well_; }

private:
    /// In no particular order, files do not wait for a stream, which may have its writer to wait for.
    void take_stream(const std::string& path) {
        if (run_.chosen().unordered) {
            streams_.push_back(path);
        } else {
            read_stream(path);
        }
    }

    void read_stream(const std::string& path) {
        try {
            if (const auto value = digest_stream(path, run_.counted(), run_.until())) {
                print(*value, path);
            }
        } catch (const std::exception& failure) {
            report(path, failure);
        }
    }

    void print(const sha256_value& value, const std::string& path) {
        run_.count_file();
        run_.print(checksum_line(value, path, run_.chosen().format));
    }

    template <class... What>
    void report(const What&... what) {
        run_.report(what...);
        all_well_ = false;
    }

    digest_run& run_;
    std::vector<std::string> streams_;
    bool all_well_ = true;
};

}  // namespace

bool print_digests(digest_run& run) {
    const digest_options& chosen = run.chosen();
    std::optional<names_file> listed;
    if (chosen.files0_from) {
        listed.emplace(*chosen.files0_from, run.until());
    }
    walk targets(listed ? argument_source(std::ref(*listed)) : given(chosen.paths),
                 {chosen.unordered ? name_order::as_read : name_order::sorted, chosen.met, run.open_folders()});
    const auto digest = [&counted = run.counted(), met = chosen.met](const target& from) -> outcome {
        switch (from.kind) {
        case target::kind::named:
            return digest_named(from, counted);
        case target::kind::walked:
            return digest_walked(from, met, counted);
        case target::kind::failure:
            break;
        }
        return passed_over{};
    };
    printer output(run);
    run.for_each_result(targets, digest, [&](auto& done) { output.take(done); });
    output.take_rest();
    return output.all_well();
}

}  // namespace penstock::cli
