// SPDX-License-Identifier: MIT
/// C5 for coroutines: a stop ends every wait, whoever asks for it, and whatever else happens at that moment.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/stop_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::tracked;

class TaskStop : public support::stop_test {
protected:
    template <class Stream>
    void expect_stopped(Stream& stream, std::size_t suspended) {
        const auto went = run_out(stream);
        EXPECT_EQ(went.stopped, 1) << "an endless source has been cut off";
        EXPECT_EQ(stream.stats().stopped, suspended);
        EXPECT_EQ(tracked::live(), 0);
    }
    auto sleeper() {
        return [this](int) -> task<> {
            const tracked local;
            ++asleep;
            co_await penstock::sleep_for(1h);
        };
    }
    std::atomic<std::size_t> asleep{0};
};
INSTANTIATE_TEST_SUITE_P(, TaskStop, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

TEST_P(TaskStop, WakesSleepersFromAnotherThread) {
    auto stream = penstock::as_completed(ex, std::views::iota(0), sleeper(), with(40));
    std::thread stopper([&] {
        EXPECT_TRUE(support::eventually([&] { return asleep == 40; }));
        stream.request_stop();
    });
    expect_stopped(stream, 40);
    stopper.join();
}

TEST_P(TaskStop, WakesSleepersFromATokensSource) {
    std::stop_source source;
    auto settings = with(40);
    settings.stop = source.get_token();
    auto stream = penstock::as_completed(ex, std::views::iota(0), sleeper(), settings);
    EXPECT_TRUE(support::eventually([&] { return asleep == 40; }));
    source.request_stop();
    expect_stopped(stream, 40);
}

TEST_P(TaskStop, WakesSleepersFromInsideATask) {
    std::stop_source source;
    auto settings = with(10);
    settings.stop = source.get_token();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) -> task<> {
            const tracked local;
            if (i == 5) {
                while (asleep < 9) co_await penstock::yield();
                source.request_stop();
                co_await penstock::sleep_for(1h);
            }
            ++asleep;
            co_await penstock::sleep_for(1h);
        },
        settings);
    expect_stopped(stream, 10);
}

TEST_P(TaskStop, ThatCameBeforeTheWaitEndsItAtOnce) {
    std::atomic<int> begun{0};
    std::atomic<bool> go_on{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) -> task<> {
            const tracked local;
            ++begun;
            while (!go_on) co_await penstock::yield();
            EXPECT_TRUE((co_await penstock::current_stop_token()).stop_requested());
            if (i % 2 == 0) co_await penstock::sleep_for(1h);
            penstock::completion_source<> never;
            co_await never.wait();
        },
        with(6));
    EXPECT_TRUE(support::eventually([&] { return begun == 6; }));
    stream.request_stop();
    go_on = true;
    expect_stopped(stream, 6);
}

TEST_P(TaskStop, LetsATaskThatCatchesItEndWithAValue) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) -> task<int> {
            const tracked local;
            ++asleep;
            try {
                co_await penstock::sleep_for(1h);
            } catch (const penstock::stopped&) {
            }
            co_await penstock::yield();
            co_await penstock::run_blocking([] {});
            co_return i;
        },
        with(6));
    EXPECT_TRUE(support::eventually([&] { return asleep == 6; }));
    stream.request_stop();
    const auto went = run_out(stream);
    EXPECT_EQ(went.delivered.size(), 6U);
    EXPECT_EQ(stream.stats().stopped, 0U);
}

TEST_P(TaskStop, TouchesNoOtherStream) {
    std::atomic<bool> go_on{false};
    auto other = penstock::as_completed(
        ex, std::views::iota(0, 5),
        [&](int) -> task<> {
            while (!go_on) co_await penstock::sleep_for(1ms);
        },
        with(5));
    auto stream = penstock::as_completed(ex, std::views::iota(0), sleeper(), with(5));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().running == 5; }));
    stream.request_stop();
    EXPECT_THROW(support::drain(stream), penstock::stopped);
    go_on = true;
    for (auto& done : other) EXPECT_NO_THROW(done.get());
}

TEST_P(TaskStop, RacesWithTheEndOfASleepAndThereIsOneOutcome) {
    const int rounds = support::sanitized ? 200 : 1000;
    const auto enough = std::chrono::steady_clock::now() + support::patience / 2;  // each turn may take a tick
    for (int round = 0; round < rounds && std::chrono::steady_clock::now() < enough; ++round) {
        std::atomic<int> ends{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&, round](int i) -> task<> {
                const tracked local;
                try {
                    co_await penstock::sleep_for(std::chrono::microseconds((i * 7 + round) % 90));
                    co_await penstock::sleep_for(std::chrono::microseconds(round % 50));
                } catch (...) {
                    ++ends;
                    throw;
                }
                ++ends;
            },
            with(12));
        support::spin_for(std::chrono::microseconds(round % 150));
        stream.request_stop();
        std::size_t delivered = 0;
        try {
            while (stream.next()) ++delivered;
        } catch (const penstock::stopped&) {
        }
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(delivered, static_cast<std::size_t>(ends));
        EXPECT_EQ(stream.stats().taken, delivered);
    }
}

TEST_P(TaskStop, ByTheDestructorRacesWithTheEndsOfSleeps) {
    const int rounds = support::sanitized ? 200 : 1000;
    const auto enough = std::chrono::steady_clock::now() + support::patience / 2;  // each turn may take a tick
    for (int round = 0; round < rounds && std::chrono::steady_clock::now() < enough; ++round) {
        {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0),
                [round](int i) -> task<> {
                    const tracked local;
                    co_await penstock::sleep_for(std::chrono::microseconds((i * 7 + round) % 90));
                },
                with(12));
            support::spin_for(std::chrono::microseconds(round % 150));
        }
        ASSERT_EQ(tracked::live(), 0);
    }
}

TEST_P(TaskStop, OfADeadlineWakesSleepersForTheDestructor) {
    auto settings = with(8);
    settings.deadline = std::chrono::steady_clock::now() + 5ms;
    auto stream = penstock::as_completed(ex, std::views::iota(0, 8), sleeper(), settings);
    EXPECT_THROW(support::drain(stream), penstock::timed_out);
    EXPECT_TRUE(support::eventually([] { return tracked::live() == 0; })) << "without the destructor, too";
}

}  // namespace
