// SPDX-License-Identifier: MIT
#pragma once

#include "bottleneck.hpp"
#include "console.hpp"
#include "digest_command.hpp"
#include "interruption.hpp"
#include "progress.hpp"

#include <penstock/penstock.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::cli {

/// What all parts of one `penstock digest` share.
class digest_run {
public:
    digest_run(const digest_options& chosen, interruption& until, meter& counted);

    const digest_options& chosen() const noexcept { return chosen_; }
    interruption& until() const noexcept { return until_; }
    meter& counted() const noexcept { return counted_; }

    const bottleneck_watch& watch() const noexcept { return watch_; }

    /// How many folders a walk may hold open.
    std::size_t open_folders() const noexcept { return open_folders_; }

    /// To be called for each file that has been dealt with.
    void count_file() noexcept { ++counted_.files; }

    /// Runs `task` for what `producer` gives, and hands the results to `take`, until there are no more or a signal came
    /// and everything that had started has been taken.
    template <class Producer, class Task, class Take>
    void for_each_result(Producer& producer, Task task, Take take) {
        try {
            auto stream = as_completed(workers_, producer, std::move(task), how_);
            const bottleneck_watch::view shown(watch_, stream);
            for (auto& done : stream) {
                take(done);
            }
        } catch (const stopped&) {
            // The exit status tells.
        }
    }

    /// Writes a line to stdout at once, with a write of its own, wherever stdout leads: so it is there when it is
    /// known, stands in the right place among the messages on stderr, and is not cut in two by a process that shares
    /// the pipe. That costs the consuming thread a microsecond per file, or four if it wakes a reader; opening and
    /// reading one costs ten. If it can not be written, the program ends.
    void print(std::string_view line);

    /// Tells the user of a failure, and counts it.
    void report(std::string_view message);

    /// Tells the user why this file could not be read, and counts both.
    void report(const std::string& path, const std::exception& failure);

private:
    void keep_within_descriptors();

    const digest_options& chosen_;
    interruption& until_;
    meter& counted_;
    bottleneck_watch watch_;
    executor workers_;
    options how_;
    std::size_t open_folders_ = 16;
};

/// Digests what the options name. Returns whether all of it could be read.
bool print_digests(digest_run& run);

/// Checks the lists that the options name. Returns whether all was as listed.
bool check_lists(digest_run& run);

}  // namespace penstock::cli
