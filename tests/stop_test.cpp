// SPDX-License-Identifier: MIT
/// C5: a stop ends a stream in good order: what has started is delivered, what has not is dropped, and next() says so.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <optional>
#include <ranges>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/stop_test.hpp"

namespace {

using support::latch;
using support::tracked_value;

class Stop : public support::stop_test {};
INSTANTIATE_TEST_SUITE_P(, Stop, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Stop, DeliversExactlyWhatHasStarted) {
    std::atomic<int> started{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) {
            ++started;
            return tracked_value(i);
        },
        with(8));
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(stream.next());
    stream.request_stop();
    const auto went = run_out(stream);
    EXPECT_EQ(went.stopped, 1) << "an endless source has been cut off";
    EXPECT_EQ(50U + went.delivered.size(), static_cast<std::size_t>(started));
}

TEST_P(Stop, StartsNothingOnceRequestStopHasReturnedAndTheRunningTasksAreDone) {
    for (int round = 0; round < 30; ++round) {
        std::atomic<int> started{0};
        int at_the_end = 0;
        {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int) {
                    ++started;
                    support::spin_for(std::chrono::microseconds(2));
                },
                with(16));
            for (int i = 0; i < round; ++i) ASSERT_TRUE(stream.next());
            stream.request_stop();
            run_out(stream);
            at_the_end = started;
        }
        EXPECT_EQ(started, at_the_end) << "one more, of which the destructor had to wait for the end";
    }
}

TEST_P(Stop, IsQuietWhenTheSourceHadEndedAndNothingWasDropped) {
    std::atomic<int> next{0};
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<int()>> {
            const int i = next++;
            if (i == 3) return std::nullopt;
            return [i] { return i; };
        },
        with(8));
    // With one worker or two, the end is seen and everything has run before anything was taken.
    ASSERT_TRUE(support::eventually([&] { return next == 4 && stream.stats().ready == 3; }));
    ASSERT_TRUE(support::eventually([&] { return stream.stats().bound == penstock::bound_by::none; }));
    stream.request_stop();
    const auto went = run_out(stream);
    EXPECT_EQ(went.delivered.size(), 3U);
    EXPECT_EQ(went.stopped, 0);
}

TEST_P(Stop, ComesFromATokenAsWell) {
    std::stop_source source;
    auto settings = with(4);
    settings.stop = source.get_token();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return tracked_value(i); }, settings);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(stream.next());
    source.request_stop();
    EXPECT_EQ(run_out(stream).stopped, 1);
}

TEST_P(Stop, RequestedBeforeTheStreamBeginsPullsNothing) {
    std::stop_source source;
    source.request_stop();
    auto settings = with(4);
    settings.stop = source.get_token();
    std::atomic<int> pulled{0};
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<void()>> {
            ++pulled;
            return [] {};
        },
        settings);
    EXPECT_THROW(stream.next(), penstock::stopped);
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(pulled, 0);
}

TEST_P(Stop, ComesFromAnotherThreadWhileTheConsumerWaits) {
    for (int round = 0; round < 20; ++round) {
        latch hold;
        std::atomic<bool> running{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int, std::stop_token token) {
                running = true;
                // Tasks that end only when they are told to.
                while (!token.stop_requested()) std::this_thread::yield();
            },
            with(3));
        std::thread other([&] {
            EXPECT_TRUE(support::eventually([&] { return running.load(); }));
            stream.request_stop();
            stream.request_stop();
        });
        EXPECT_EQ(run_out(stream).stopped, 1);
        other.join();
    }
}

TEST_P(Stop, MayBeRequestedInsideATask) {
    std::stop_source source;
    auto settings = with(4);
    settings.stop = source.get_token();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) {
            if (i == 25) source.request_stop();
            return tracked_value(i);
        },
        settings);
    const auto went = run_out(stream);
    EXPECT_EQ(went.stopped, 1);
    EXPECT_TRUE(went.delivered.contains(25)) << "it had started";
}

TEST_P(Stop, MayBeRequestedInTheProducerWhoseItemIsThenDropped) {
    std::stop_source source;
    auto settings = with(4);
    settings.stop = source.get_token();
    std::atomic<int> calls{0};
    std::atomic<bool> ran_25{false};
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<void()>> {
            const int i = calls++;
            if (i == 25) source.request_stop();
            return [&, i] {
                if (i == 25) ran_25 = true;
            };
        },
        settings);
    const auto went = run_out(stream);
    EXPECT_EQ(went.stopped, 1);
    EXPECT_EQ(calls, 26) << "it is not called again";
    EXPECT_FALSE(ran_25);
    EXPECT_FALSE(went.delivered.contains(25));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().pulled == 26 && stream.stats().dropped >= 1; }));
    EXPECT_EQ(stream.stats().taken, went.delivered.size());
}

TEST_P(Stop, MayBeRequestedInTheLoop) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return tracked_value(i); }, with(4));
    int seen = 0;
    EXPECT_THROW(
        {
            for (auto& done : stream) {
                static_cast<void>(done.get());
                if (++seen == 10) stream.request_stop();
            }
        },
        penstock::stopped);
    EXPECT_GE(seen, 10);
    EXPECT_LE(seen, 10 + 4 + 16) << "what was in the window";
}

TEST_P(Stop, ReachesTasksByTheirToken) {
    latch hold;
    std::atomic<bool> running{false};
    std::atomic<int> told{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int, std::stop_token token) {
            EXPECT_TRUE(token.stop_possible());
            EXPECT_FALSE(token.stop_requested());
            const std::stop_callback on_stop(token, [&] {
                ++told;
                hold.open();
            });
            running = true;
            EXPECT_TRUE(hold.wait());
        },
        with(1));
    ASSERT_TRUE(support::eventually([&] { return running.load(); }));
    stream.request_stop();
    EXPECT_EQ(run_out(stream).delivered.size(), 1U);
    EXPECT_EQ(told, 1);
}

TEST_P(Stop, ReachesAProducerByItsToken) {
    std::atomic<bool> inside{false};
    auto stream = penstock::as_completed(
        ex,
        [&](std::stop_token token) -> std::optional<std::function<void()>> {
            inside = true;
            while (!token.stop_requested()) std::this_thread::yield();
            return std::nullopt;
        },
        with(2));
    ASSERT_TRUE(support::eventually([&] { return inside.load(); }));
    stream.request_stop();
    EXPECT_LE(run_out(stream).stopped, 1);
}

TEST_P(Stop, CountsATaskThatThrowsStoppedAsStoppedAndNotAsFailed) {
    std::atomic<bool> running{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int, std::stop_token token) {
            running = true;
            while (!token.stop_requested()) std::this_thread::yield();
            throw penstock::stopped();
        },
        with(1));
    ASSERT_TRUE(support::eventually([&] { return running.load(); }));
    stream.request_stop();
    EXPECT_EQ(run_out(stream).delivered.size(), 1U);
    EXPECT_EQ(stream.stats().stopped, 1U);
    EXPECT_EQ(stream.stats().failed, 0U);
}

TEST_P(Stop, MayComeAtAnyMoment) {
    // S34: against every step of a stream of tiny tasks, from another thread.
    for (int round = 0; round < 100; ++round) {
        std::stop_source source;
        auto settings = with(static_cast<std::size_t>(round % 5 + 1));
        settings.stop = source.get_token();
        std::atomic<long> started{0};
        std::thread other([&] {
            for (int i = 0; i < round * 30; ++i) started.load();
            source.request_stop();
        });
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 500),
            [&](int i) {
                ++started;
                return tracked_value(i);
            },
            settings);
        const auto went = run_out(stream);
        EXPECT_EQ(static_cast<long>(went.delivered.size()), started);
        if (went.stopped == 0) {
            EXPECT_EQ(went.delivered.size(), 500U) << "it ended quietly though something was cut off";
        }
        other.join();
    }
}

TEST_P(Stop, IsNoEndOfAProducerThatHeedsIt) {
    std::atomic<bool> inside{false};
    auto stream = penstock::as_completed(
        ex,
        [&](const std::stop_token& token) -> std::optional<int (*)()> {
            inside = true;
            while (!token.stop_requested()) std::this_thread::yield();
            return std::nullopt;
        },
        with(4));
    ASSERT_TRUE(support::eventually([&] { return inside.load(); }));
    stream.request_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the case: it has returned by then
    EXPECT_EQ(run_out(stream).stopped, 1) << "nobody knows what else there would have been";
}

TEST_P(Stop, IsHeardOfByWhoOnlyAsksWhetherThereIsAResult) {
    // A consumer that has helped may have pulled more than it has run, and all others be busy.
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, with(64));
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(stream.next());
    latch hold;
    std::atomic<std::size_t> held{0};
    std::vector<std::future<void>> others;
    for (std::size_t i = 0; i < workers(); ++i) {
        others.push_back(ex.submit([&] {
            ++held;
            EXPECT_TRUE(hold.wait());
        }));
    }
    std::atomic<int> taken{0};
    std::atomic<bool> enough{false};
    std::atomic<bool> out{false};
    std::jthread stopper([&] {
        EXPECT_TRUE(support::eventually([&] { return held == workers(); }));
        // Then it runs some alone; or none, if it does not help: it would wait for ever.
        const auto late = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        const int before = taken;
        while (taken < before + 1001 && std::chrono::steady_clock::now() < late) std::this_thread::yield();
        enough = true;
        while (!out && std::chrono::steady_clock::now() < late) std::this_thread::yield();
        stream.request_stop();
    });
    bool stopped = false;
    EXPECT_TRUE(support::eventually([&] {
        try {
            while (!enough && stream.next()) ++taken;
            out = true;
            while (stream.try_next()) {
            }
        } catch (const penstock::stopped&) {
            stopped = true;
        }
        return stopped;
    }));
    hold.open();
    for (auto& each : others) each.get();
}

}  // namespace
