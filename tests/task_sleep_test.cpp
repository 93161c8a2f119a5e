// SPDX-License-Identifier: MIT
/// Sleeps: never too short, whatever the unit; and nothing keeps a thread.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <ratio>
#include <stdexcept>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::task;
using support::tracked;

class TaskSleep : public support::contract_test {
protected:
    /// Runs this many coroutines at once.
    template <class Make>
    void run(int count, Make make) {
        auto stream =
            penstock::as_completed(ex, std::views::iota(0, count), make, with(static_cast<std::size_t>(count)));
        for (auto& done : stream) EXPECT_NO_THROW(done.get());
    }
    /// Sleeps of that length are over at once.
    template <class Duration>
    void expect_no_sleep(Duration patience) {
        run(3, [=](int) -> task<> {
            const tracked local;
            co_await penstock::sleep_for(patience);
        });
    }
    /// Sleeps of that length end with the stream only.
    template <class Make>
    void expect_endless(Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [=](int) -> task<> {
                const tracked local;
                co_await make();
            },
            with(3));
        ASSERT_TRUE(support::eventually([&] { return stream.stats().running == 3; }));
        EXPECT_FALSE(stream.next_for(5ms));
        stream.request_stop();
        EXPECT_THROW(support::drain(stream), penstock::stopped);
    }
};
INSTANTIATE_TEST_SUITE_P(, TaskSleep, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class TaskSleepOnOneWorker : public TaskSleep {};
INSTANTIATE_TEST_SUITE_P(, TaskSleepOnOneWorker,
                         ::testing::ValuesIn(support::settings_with(support::help,
                                                                    [](const auto& s) { return s.workers == 1; })),
                         support::name_of_setting);

TEST_P(TaskSleep, IsNeverTooShort) {
    std::atomic<int> early{0};
    run(1000, [&](int i) -> task<> {
        const auto length = std::chrono::nanoseconds(i * 9'973LL);
        const auto begin = clock_type::now();
        co_await penstock::sleep_for(length);
        if (clock_type::now() - begin < length) ++early;
        const auto time = clock_type::now() + std::chrono::microseconds(i % 17);
        co_await penstock::sleep_until(time);
        if (clock_type::now() < time) ++early;
    });
    EXPECT_EQ(early, 0);
}

TEST_P(TaskSleep, TakesAnyUnit) {
    std::atomic<int> early{0};
    run(4, [&](int) -> task<> {
        const auto begin = clock_type::now();
        co_await penstock::sleep_for(std::chrono::duration<float, std::milli>(1.5F));
        co_await penstock::sleep_for(std::chrono::duration<double>(1.5e-3));
        co_await penstock::sleep_for(std::chrono::duration<long double, std::micro>(1500));
        co_await penstock::sleep_for(std::chrono::duration<int, std::ratio<3, 2000>>(1));
        co_await penstock::sleep_for(std::chrono::duration<std::int64_t, std::pico>(1'500'000'000));
        if (clock_type::now() - begin < 7'499us) ++early;
    });
    EXPECT_EQ(early, 0);
}

TEST_P(TaskSleep, OfNothingOrLessIsNone) {
    expect_no_sleep(0ns);
    expect_no_sleep(-1ns);
    expect_no_sleep(0h);
    expect_no_sleep(-1h);
    expect_no_sleep(std::chrono::nanoseconds::min());
    expect_no_sleep(std::chrono::hours::min());
    expect_no_sleep(std::chrono::years::min());
    expect_no_sleep(std::chrono::duration<double>(-std::numeric_limits<double>::infinity()));
    expect_no_sleep(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
    expect_no_sleep(std::chrono::duration<float>(-0.0F));
    expect_no_sleep(std::chrono::duration<double>(std::numeric_limits<double>::denorm_min()));
}

TEST_P(TaskSleep, OfAHugeLengthEndsWithAStop) {
    expect_endless([] { return penstock::sleep_for(std::chrono::nanoseconds::max()); });
    expect_endless([] { return penstock::sleep_for(std::chrono::microseconds::max()); });
    expect_endless([] { return penstock::sleep_for(std::chrono::seconds::max()); });
    expect_endless([] { return penstock::sleep_for(std::chrono::hours::max()); });
    expect_endless([] { return penstock::sleep_for(std::chrono::duration<std::int64_t, std::exa>(1)); });
    expect_endless([] { return penstock::sleep_for(std::chrono::years::max()); });
    expect_endless([] { return penstock::sleep_for(std::chrono::duration<double>(1e300)); });
    expect_endless(
        [] { return penstock::sleep_for(std::chrono::duration<double>(std::numeric_limits<double>::infinity())); });
    expect_endless([] { return penstock::sleep_until(clock_type::time_point::max()); });
}

TEST_P(TaskSleep, UntilATimePointOfAnyUnitIsSaturatedToo) {
    using std::chrono::time_point;
    using inexact = std::chrono::duration<double>;
    expect_endless([] { return penstock::sleep_until(time_point<clock_type, std::chrono::hours>::max()); });
    expect_endless([] { return penstock::sleep_until(time_point<clock_type, std::chrono::seconds>::max()); });
    expect_endless([] { return penstock::sleep_until(time_point<clock_type, inexact>(inexact(1e300))); });
    expect_endless([] {
        return penstock::sleep_until(time_point<clock_type, inexact>(inexact(std::numeric_limits<double>::infinity())));
    });
    run(3, [](int) -> task<> {
        co_await penstock::sleep_until(clock_type::time_point::min());
        co_await penstock::sleep_until(clock_type::time_point());
        co_await penstock::sleep_until(time_point<clock_type, std::chrono::hours>::min());
        co_await penstock::sleep_until(time_point<clock_type, inexact>(inexact(-1e300)));
        co_await penstock::sleep_until(
            time_point<clock_type, inexact>(inexact(std::numeric_limits<double>::quiet_NaN())));
    });
}

TEST_P(TaskSleepOnOneWorker, EndsInTheOrderOfTheDeadlines) {
    for (auto gap = 10ms;; gap *= 4) {
        const auto base = clock_type::now() + gap;
        std::atomic<bool> late{false};
        std::vector<int> woken;  // one worker: one at a time, in the order in which they became ready
        run(5, [&](int i) -> task<> {
            if (clock_type::now() >= base) late = true;  // another may have gone on before this one slept
            co_await penstock::sleep_until(base + gap * (4 - i));
            woken.push_back(i);
        });
        if (late) continue;
        EXPECT_EQ(woken, (std::vector{4, 3, 2, 1, 0}));
        return;
    }
}

TEST_P(TaskSleep, OfAnEarlierDeadlineIsNotHeldUpByALaterOne) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int i) -> task<int> {
            co_await penstock::sleep_for(i % 2 == 0 ? 1'000h : 1ms);
            co_return i;
        },
        with(20));
    if (in_order()) return;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(stream.next()->get() % 2, 1);
}

TEST_P(TaskSleep, HoldsNoThreadAndAThousandAreEnoughForAllWorkers) {
    support::meter asleep;
    std::atomic<bool> all_asleep{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 5000),
        [&](int i) -> task<int> {
            const support::meter::visit here(asleep);
            const tracked local;
            do {
                co_await penstock::sleep_for(std::chrono::milliseconds(20 + i % 7));
                if (asleep.inside() == 1000) all_asleep = true;
            } while (!all_asleep);
            co_return i;
        },
        with(1000));
    EXPECT_EQ(support::drain(stream), 5000U);
    EXPECT_EQ(asleep.most(), 1000);
}

TEST_P(TaskSleep, MayBeAwaitedTwice) {
    run(5, [](int) -> task<> {
        auto nap = penstock::sleep_for(100us);
        co_await nap;
        co_await nap;
        auto turn = penstock::yield();
        for (int i = 0; i < 10; ++i) co_await turn;
    });
}

TEST_P(TaskSleep, LetsTasksThatComputeRunMeanwhile) {
    std::atomic<bool> computed{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int i) -> task<> {
            const tracked local;
            if (i == 0) {
                while (!computed) co_await penstock::sleep_for(100us);
            } else {
                co_await penstock::yield();
                support::spin_for(2ms);
                computed = true;
            }
        },
        with(2));
    auto others = penstock::as_completed(
        ex, std::views::iota(0, 5000), [](int i) { return i; }, with(8));
    EXPECT_EQ(support::drain(others), 5000U);
    EXPECT_EQ(support::drain(stream), 2U);
}

TEST_P(TaskSleep, IsMeasuredFromTheTasksStartToItsEnd) {
    auto settings = with(4);
    settings.measure = true;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 8),
        [](int i) -> task<> {
            co_await penstock::sleep_for(5ms);
            if (i % 2 == 0) throw std::runtime_error("");
        },
        settings);
    for (auto& done : stream) EXPECT_GE(done.elapsed(), 5ms);
}

}  // namespace
