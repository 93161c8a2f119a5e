// SPDX-License-Identifier: MIT
/// S9, S39: a consumer that sleeps is woken for every result, and at the time it has asked for.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <ratio>
#include <thread>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

class WakeUps : public Scenario {};

/// S9. One item at a time, with pauses in which the consumer falls asleep; the next one is made when he has taken the
/// one before. So nothing else wakes him, and a wake-up that is lost is a hang. (C3, C12: what is pulled comes through
/// while a thread is in the producer.)
void drip(std::size_t limit, penstock::order order, bool help) {
    penstock::executor ex(2);
    random_numbers random(9);
    const std::size_t n = scaled(3'000);
    std::size_t next = 0;
    std::atomic<std::size_t> taken{0};
    const auto source = [&, consumer = std::this_thread::get_id()]() -> std::optional<std::size_t> {
        // A consumer who helps and is in here himself is awake, and can take nothing meanwhile.
        if (std::this_thread::get_id() != consumer) wait_until([&] { return taken >= next; });
        if (next == n) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(300)));
        return next++;
    };
    const auto task = [](std::size_t i) { return i; };
    for (auto& done : penstock::as_completed(ex, source, task, {.limit = limit, .order = order, .help = help})) {
        EXPECT_EQ(done.get(), done.index());
        ++taken;
        watchdog::progress();
    }
    EXPECT_EQ(taken, n);
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
