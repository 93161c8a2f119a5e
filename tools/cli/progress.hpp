// SPDX-License-Identifier: MIT
#pragma once

#include "bottleneck.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

namespace penstock::cli {

/// What has been done so far. Threads: any, no ordering is implied.
struct meter {
    std::atomic<std::uint64_t> files{0};   ///< dealt with, if in vain
    std::atomic<std::uint64_t> bytes{0};   ///< read, also of files that are not finished
    std::atomic<std::uint64_t> errors{0};
};

/// When the user wants to see progress.
enum class progress_choice : std::uint8_t {
    automatic,  ///< on a terminal that can redraw a line, gone when all is done
    always,     ///< also elsewhere, and the last state stays
    never
};

/// While it exists, shows a meter on stderr: redrawn in place on a terminal, at most eight times a second; as plain
/// lines elsewhere, at most one a second. Cost: a thread that sleeps most of the time, with a watch for no longer than
/// ten milliseconds; or nothing if nothing is to be shown.
class progress {
public:
    /// `total` is how many bytes there will be, if that is known. `watch`, if there is one, tells of the bottleneck: a
    /// state says which held most often since the one before, the last state which did in all. Meter and watch outlive
    /// this object.
    progress(progress_choice choice, const meter& counted, std::optional<std::uint64_t> total,
             const bottleneck_watch* watch);
    ~progress();

    /// Whether progress of this choice is shown at all, for callers to whom a total is an effort.
    static bool is_shown(progress_choice choice);

private:
    class picture;
    void show_until_over(picture& shown) noexcept;
    bool is_over_within(std::chrono::steady_clock::duration patience, picture& shown,
                        std::unique_lock<std::mutex>& lock);
    static void show(const picture& shown, bool redraw, bool last) noexcept;

    progress_choice choice_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace penstock::cli
