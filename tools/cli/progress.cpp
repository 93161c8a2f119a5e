// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include "console.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace penstock::cli {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto first_draw = 300ms;  // what is done sooner needs no progress
constexpr auto between_draws = 125ms;
constexpr auto between_lines = 1s;
constexpr auto between_looks = 10ms;  // at the bottleneck, which may be another the next moment

std::string_view environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::size_t terminal_width() {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

std::string with_separators(std::uint64_t number) {
    std::string digits = fmt::to_string(number);
    for (std::size_t place = digits.size(); place > 3;) {
        place -= 3;
        digits.insert(place, 1, ',');
    }
    return digits;
}

/// "512 B", "1.5 KiB", "128 MiB": at most three digits before the point.
std::string human_size(double bytes) {
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    // From 999.5 on, rounding would show a fourth digit.
    while (bytes >= 999.5 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    const int decimals = unit > 0 && bytes < 9.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", bytes, decimals, units[unit]);
}

}  // namespace

/// The meter as text.
class progress::picture {
public:
    picture(const meter& counted, std::optional<std::uint64_t> total, const bottleneck_watch* watch)
        : counted_(counted), total_(total), watch_(watch) {}

    bool looks_for_bottleneck() const noexcept { return watch_ != nullptr; }

    void look() {
        const bottleneck found = watch_->now();
        recent_.count(found);
        in_all_.count(found);
    }

    /// Reads the meter: all text until the next time is of this moment, and the bottleneck that of most looks since the
    /// last time.
    void refresh() {
        if (looks_for_bottleneck()) {
            look();
        }
        bottleneck_ = std::exchange(recent_, {}).most_frequent();
        read_meter();
    }

    /// The same; the bottleneck is that of most looks in all, as the rate is that of the whole time.
    void refresh_for_the_last_time() {
        bottleneck_ = in_all_.most_frequent();
        read_meter();
    }

    std::string plain() const { return text(errors_text()); }

    /// In at most `width` columns; errors stand out if there are any.
    std::string for_terminal(std::size_t width) const {
        std::string shown = plain();
        if (shown.size() > width) {
            shown.resize(width);
        } else if (errors_ != 0 && environment("NO_COLOR").empty()) {
            shown = text(fmt::format("\x1b[31m{}\x1b[0m", errors_text()));
        }
        return shown;
    }

private:
    void read_meter() {
        files_ = counted_.files;
        bytes_ = counted_.bytes;
        errors_ = counted_.errors;
        const std::chrono::duration<double> elapsed = clock::now() - start_;
        rate_ = static_cast<double>(bytes_) / std::max(elapsed.count(), 1e-3);
    }

    static const char* plural(std::uint64_t number) { return number == 1 ? "" : "s"; }

    std::string errors_text() const { return fmt::format("{} error{}", with_separators(errors_), plural(errors_)); }

    std::string text(const std::string& errors) const {
        std::string shown = fmt::format("{} file{}, {}, {}/s, {}", with_separators(files_), plural(files_),
                                        human_size(static_cast<double>(bytes_)), human_size(rate_), errors);
        if (total_) {
            shown += fmt::format(", {} %", percent());
        }
        if (watch_ != nullptr) {
            shown += fmt::format(", bound by {}", in_words(bottleneck_));
        }
        return shown;
    }

    /// A file that grows while it is read can not make it more than 100.
    std::uint64_t percent() const {
        const double done = *total_ == 0 ? 1.0 : static_cast<double>(bytes_) / static_cast<double>(*total_);
        return static_cast<std::uint64_t>(100 * std::min(done, 1.0));
    }

    const meter& counted_;
    std::optional<std::uint64_t> total_;
    const bottleneck_watch* watch_;
    bottleneck_tally recent_;  // since the last refresh()
    bottleneck_tally in_all_;
    bottleneck bottleneck_ = bottleneck::nothing;
    clock::time_point start_ = clock::now();
    std::uint64_t files_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t errors_ = 0;
    double rate_ = 0;
};

bool progress::is_shown(progress_choice choice) {
    return choice == progress_choice::always || (choice == progress_choice::automatic && can_redraw());
}

progress::progress(progress_choice choice, const meter& counted, std::optional<std::uint64_t> total,
                   const bottleneck_watch* watch)
    : choice_(choice) {
    if (!is_shown(choice)) {
        return;
    }
    try {
        thread_ = std::thread([this, shown = picture(counted, total, watch)]() mutable { show_until_over(shown); });
    } catch (const std::system_error&) {
        // Nobody sees how far the work is; it can be done all the same.
    }
}

progress::~progress() {
    if (!thread_.joinable()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void progress::show_until_over(picture& shown) noexcept {
    const bool redraw = can_redraw();
    std::unique_lock lock(mutex_);
    auto pause = redraw ? clock::duration(first_draw) : clock::duration(between_lines);
    while (!is_over_within(pause, shown, lock)) {
        shown.refresh();
        show(shown, redraw, false);
        pause = redraw ? clock::duration(between_draws) : clock::duration(between_lines);
    }
    shown.refresh_for_the_last_time();
    if (choice_ == progress_choice::always) {
        show(shown, redraw, true);
    } else {
        erase_status();
    }
}

/// Waits, and looks for the bottleneck meanwhile.
bool progress::is_over_within(clock::duration patience, picture& shown, std::unique_lock<std::mutex>& lock) {
    const auto end = clock::now() + patience;
    const auto over = [this] { return over_; };
    while (shown.looks_for_bottleneck() && clock::now() + between_looks < end) {
        if (changed_.wait_for(lock, between_looks, over)) {
            return true;
        }
        shown.look();
    }
    return changed_.wait_until(lock, end, over);
}

void progress::show(const picture& shown, bool redraw, bool last) noexcept {
    try {
        // One column stays free: a terminal may wrap a line that fills it.
        const std::string text = redraw ? shown.for_terminal(terminal_width() - 1) : shown.plain();
        redraw && !last ? show_status(text) : write_last_status(text);
    } catch (const std::bad_alloc&) {
        // This time there is none.
    }
}

}  // namespace penstock::cli
