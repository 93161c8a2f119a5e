// SPDX-License-Identifier: MIT
/// S9, S39: a consumer that sleeps is woken for every result, and at the time it has asked for.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <ratio>
#include <thread>
#include <vector>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

class WakeUps : public Scenario {};

/// S9. One item at a time, with pauses in which the consumer falls asleep. The bound is for a machine that is busy with
/// other things: what it finds is a wake-up that is lost and made good by a later one.
void drip(std::size_t limit, penstock::order order, bool help) {
    penstock::executor ex(2);
    random_numbers random(9);
    const std::size_t n = scaled(3'000);
    std::size_t next = 0;
    const auto source = [&]() -> std::optional<std::size_t> {
        if (next == n) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(300)));
        return next++;
    };
    std::vector<clock::duration> late;
    late.reserve(n);
    const auto task = [](std::size_t) { return clock::now(); };
    for (auto& done : penstock::as_completed(ex, source, task, {.limit = limit, .order = order, .help = help})) {
        late.push_back(clock::now() - done.get());
        watchdog::progress();
    }
    ASSERT_EQ(late.size(), n);
    const auto at = static_cast<std::ptrdiff_t>(n - 1 - n / 1000);
    std::nth_element(late.begin(), late.begin() + at, late.end());
    EXPECT_LT(late[static_cast<std::size_t>(at)], under_sanitizer ? 5s : 1s) << "p99.9 from a task's end to next()";
}

TEST_F(WakeUps, ASlowDripWakesASleepingConsumerForEveryItem) {
    for (const std::size_t limit : {1U, 64U}) {
        for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
            drip(limit, order, false);
            drip(limit, order, true);
        }
    }
}

/// The end is a wake-up too: of an empty source, of one that ends or throws while the consumer sleeps.
TEST_F(WakeUps, ASleepingConsumerIsWokenByTheEndOfTheSource) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(2'000); ++round) {
        watchdog::progress();
        std::size_t asked = 0;
        const auto source = [&]() -> std::optional<std::size_t> {
            if (asked++ < round % 3) return asked;
            busy_for(std::chrono::nanoseconds(mixed(round) % 40'000));
            if (round % 2) throw std::runtime_error("the source");
            return std::nullopt;
        };
        auto stream = penstock::as_completed(ex, source, [](std::size_t i) { return i; }, {.limit = 2, .help = false});
        std::size_t count = 0;
        try {
            while (stream.next()) ++count;
            EXPECT_EQ(round % 2, 0U);
        } catch (const std::runtime_error&) {
            EXPECT_EQ(round % 2, 1U);
        }
        EXPECT_EQ(count, round % 3);
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(stream.done());
    }
}

TEST_F(WakeUps, ASleepingConsumerIsWokenByAStopAndByADeadline) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(500); ++round) {
        watchdog::progress();
        std::stop_source stop;
        const auto task = [](std::size_t, const std::stop_token& token) {
            while (!token.stop_requested()) std::this_thread::sleep_for(20us);
        };
        penstock::options settings{.limit = 2, .help = round % 2 == 0};
        const bool by_deadline = round % 4 < 2;
        if (by_deadline) settings.deadline = clock::now() + std::chrono::microseconds(mixed(round) % 500);
        if (!by_deadline) settings.stop = stop.get_token();
        auto stream = penstock::as_completed(ex, endless(), task, settings);
        const std::jthread stopper([&] {
            busy_for(std::chrono::nanoseconds(mixed(round) % 200'000));
            stop.request_stop();
        });
        if (by_deadline) {
            EXPECT_THROW(while (stream.next()), penstock::timed_out);
        } else {
            EXPECT_THROW(while (stream.next()), penstock::stopped);
        }
    }
}

/// S39. Nothing is ready for as long as the test wants; next_for must come back, or wait, as it was told.
TEST_F(WakeUps, ExtremeDurationsMeanNowOrNever) {
    penstock::executor ex(1);
    std::atomic<bool> go{false};
    const auto gated = [&](std::size_t i) {
        wait_until([&] { return go.load(); });
        return i;
    };
    auto stream = penstock::as_completed(ex, numbers(12), gated, {.limit = 1, .help = false});
    using seconds = std::chrono::duration<double>;
    using hours = std::chrono::hours;
    EXPECT_FALSE(stream.next_for(0s));
    EXPECT_FALSE(stream.next_for(1ns));
    EXPECT_FALSE(stream.next_for(-1s));
    EXPECT_FALSE(stream.next_for(hours::min()));
    EXPECT_FALSE(stream.next_for(std::chrono::nanoseconds::min()));
    EXPECT_FALSE(stream.next_for(seconds(std::nan(""))));
    EXPECT_FALSE(stream.next_for(seconds(-std::numeric_limits<double>::infinity())));
    EXPECT_FALSE(stream.next_for(seconds(1e-300)));
    EXPECT_FALSE(stream.next_for(std::chrono::duration<int, std::pico>(1)));
    const auto before = clock::now();
    EXPECT_FALSE(stream.next_for(3ms));
    EXPECT_GE(clock::now() - before, 3ms) << "I12: earlier than asked for";
    go = true;
    EXPECT_TRUE(stream.next_for(std::chrono::nanoseconds::max()));
    EXPECT_TRUE(stream.next_for(std::chrono::microseconds::max()));
    EXPECT_TRUE(stream.next_for(std::chrono::milliseconds::max()));
    EXPECT_TRUE(stream.next_for(std::chrono::seconds::max()));
    EXPECT_TRUE(stream.next_for(hours::max()));
    EXPECT_TRUE(stream.next_for(seconds(std::numeric_limits<double>::infinity())));
    EXPECT_TRUE(stream.next_for(seconds::max()));
    EXPECT_TRUE(stream.next_for(std::chrono::duration<long, std::ratio<86400L * 365>>(1'000'000)));
}

TEST_F(WakeUps, ExtremeDeadlinesMeanAtOnceOrNever) {
    penstock::executor ex(1);
    for (const auto never_comes : {clock::time_point::max(), clock::now() + std::chrono::hours(24 * 365 * 100)}) {
        std::size_t count = 0;
        auto stream = penstock::as_completed(ex, numbers(5), [](std::size_t) {}, {.limit = 2, .deadline = never_comes});
        while (stream.next()) ++count;
        EXPECT_EQ(count, 5U);
    }
    for (const auto past : {clock::time_point::min(), clock::time_point(), clock::now()}) {
        std::atomic<std::size_t> ran{0};
        auto stream =
            penstock::as_completed(ex, numbers(5), [&](std::size_t) { ++ran; }, {.limit = 2, .deadline = past});
        EXPECT_THROW(stream.next(), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(ran, 0U);
    }
}

}  // namespace
}  // namespace stress
