// SPDX-License-Identifier: MIT
/// Streams that are consumed, left and destroyed by coroutines.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_value;

class AsyncConsumer : public support::contract_test {
protected:
    /// Runs a coroutine as the one task of a stream; gives what it came to.
    template <class Make>
    auto run(Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1), [&](int) { return make(); }, with(1));
        auto done = stream.next();
        return done->get();
    }

    task<tracked_value<int>> sleeper(int i) {
        const tracked frame;
        if (i % 3 == 0) co_await penstock::sleep_for(50us);
        if (i % 3 == 1) co_await penstock::yield();
        co_return tracked_value(i);
    }
    task<long> nested(int depth) {
        const tracked frame;
        if (depth == 0) {
            co_await penstock::sleep_for(20us);
            co_return 1;
        }
        auto inner = penstock::as_completed(
            ex, std::views::iota(0, 5), [&](int) { return nested(depth - 1); }, with(3));
        long sum = 0;
        while (auto done = co_await inner.async_next()) sum += done->get();
        co_return sum;
    }
};
INSTANTIATE_TEST_SUITE_P(, AsyncConsumer, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(AsyncConsumer, GetsEveryResultOnce) {
    const long sum = run([&]() -> task<long> {
        auto inner = penstock::as_completed(
            ex, std::views::iota(0, 1000), [&](int i) { return sleeper(i); }, with(16));
        long total = 0;
        std::size_t count = 0;
        while (auto done = co_await inner.async_next()) {
            if (in_order()) {
                EXPECT_EQ(done->index(), count);
            }
            EXPECT_EQ(done->get().value, done->input());
            total += done->input();
            ++count;
        }
        EXPECT_FALSE(co_await inner.async_next()) << "after the end comes nothing";
        EXPECT_TRUE(inner.done());
        EXPECT_EQ(count, 1000U);
        co_return total;
    });
    EXPECT_EQ(sum, 499'500);
}

TEST_P(AsyncConsumer, GetsTheResultsOfTasksThatCompute) {
    const long sum = run([&]() -> task<long> {
        auto inner = penstock::as_completed(
            ex, std::views::iota(0, 5000), [](int i) { return i; }, with(16));
        long total = 0;
        while (auto done = co_await inner.async_next()) total += done->get();
        co_return total;
    });
    EXPECT_EQ(sum, 12'497'500);
}

TEST_P(AsyncConsumer, GetsTheResultsOfBlockingJobs) {
    const long sum = run([&]() -> task<long> {
        auto inner = penstock::as_completed(
            ex, std::views::iota(0, 300), [](int i) { return penstock::blocking([i] { return i; }); }, with(4));
        long total = 0;
        while (auto done = co_await inner.async_next()) total += done->get();
        co_return total;
    });
    EXPECT_EQ(sum, 44'850);
}

TEST_P(AsyncConsumer, NestsThreeDeep) {
    for (int round = 0; round < 10; ++round) EXPECT_EQ(run([&] { return nested(3); }), 125);
}

TEST_P(AsyncConsumer, IsToldWhatEndedTheStream) {
    const bool told = run([&]() -> task<bool> {
        auto settings = with(4);
        settings.on_error = penstock::on_error::stop;
        auto inner = penstock::as_completed(
            ex, std::views::iota(0),
            [](int i) -> task<int> {
                const tracked frame;
                co_await penstock::yield();
                if (i == 20) throw test_error(i);
                co_return i;
            },
            settings);
        bool thrown = false;
        try {
            while (co_await inner.async_next()) {
            }
        } catch (const test_error& error) {
            thrown = error.code == 20;
        }
        EXPECT_FALSE(co_await inner.async_next());
        co_return thrown;
    });
    EXPECT_TRUE(told);
}

TEST_P(AsyncConsumer, IsWokenByAStopOfItsStream) {
    const bool told = run([&]() -> task<bool> {
        auto inner = penstock::as_completed(
            ex, std::views::iota(0),
            [](int) -> task<> {
                const tracked frame;
                co_await penstock::sleep_for(1h);
            },
            with(4));
        std::thread stopper([&] {
            EXPECT_TRUE(support::eventually([&] { return inner.stats().running == 4; }));
            inner.request_stop();
        });
        bool stopped = false;
        try {
            while (auto done = co_await inner.async_next()) EXPECT_THROW(done->get(), penstock::stopped);
        } catch (const penstock::stopped&) {
            stopped = true;
        }
        stopper.join();
        co_return stopped;
    });
    EXPECT_TRUE(told);
}

TEST_P(AsyncConsumer, IsWokenByAStopOfTheStreamThatItIsATaskOf) {
    std::atomic<bool> waits{false};
    std::atomic<bool> woken{false};
    {
        auto outer = penstock::as_completed(
            ex, std::views::iota(0, 1),
            [&](int) -> task<> {
                const tracked frame;
                auto inner = penstock::as_completed(
                    ex, std::views::iota(0),
                    [&](int) -> task<> {
                        const tracked sleeping;
                        waits = true;
                        co_await penstock::sleep_for(1h);
                    },
                    with(4));
                try {
                    co_await inner.async_next();
                } catch (const penstock::stopped&) {
                    woken = true;
                    throw;
                }
            },
            with(1));
        ASSERT_TRUE(support::eventually([&] { return waits.load(); }));
    }
    EXPECT_TRUE(woken);
}

TEST_P(AsyncConsumer, IsRefusedIfThereIsAnother) {
    std::atomic<int> refused{0};
    penstock::completion_source<> go_on;
    auto inner = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int) -> task<int> {
            const tracked frame;
            co_await go_on.wait();
            co_return 7;
        },
        with(1));
    auto consumers = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int i) -> task<int> {
            const tracked frame;
            // Mostly the other one is asleep by then; whoever comes second is refused, and only that lets the first go
            // on.
            for (int pause = 0; i == 1 && pause < 50; ++pause) co_await penstock::sleep_for(1ms);
            try {
                auto done = co_await inner.async_next();
                co_return done->get();
            } catch (const std::logic_error&) {
                ++refused;
            }
            go_on.set_value();
            co_return 7;
        },
        with(2));
    for (auto& done : consumers) EXPECT_EQ(done.get(), 7);
    EXPECT_EQ(refused, 1);
}

TEST_P(AsyncConsumer, MayDestroyAStreamHalfWay) {
    for (int round = 0; round < 20; ++round) {
        const int taken = run([&]() -> task<int> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [](int i) -> task<tracked_value<int>> {
                    const tracked frame;
                    if (i > 5) co_await penstock::sleep_for(1h);
                    co_await penstock::yield();
                    co_return tracked_value(i);
                },
                with(8));
            for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await inner.async_next());
            co_return 3;
        });
        EXPECT_EQ(taken, 3);
        EXPECT_TRUE(support::eventually([] { return tracked::live() == 0; }));
    }
}

TEST_P(AsyncConsumer, MayDestroyAStreamWhoseTasksConsumeOthers) {
    for (int round = 0; round < 5; ++round) {
        const int taken = run([&]() -> task<int> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int) -> task<long> {
                    const tracked frame;
                    auto innermost = penstock::as_completed(
                        ex, std::views::iota(0, 30), [&](int i) { return sleeper(i); }, with(4));
                    long sum = 0;
                    while (auto done = co_await innermost.async_next()) sum += done->get().value;
                    co_return sum;
                },
                with(4));
            auto first = co_await inner.async_next();
            EXPECT_EQ(first->get(), 435);
            co_return 1;
        });
        EXPECT_EQ(taken, 1);
    }
}

TEST_P(AsyncConsumer, JoinsAStreamInTheMiddleOfIt) {
    std::atomic<int> elsewhere{0};
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> asleep{0};
        const auto running = run([&]() -> task<std::size_t> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int i) -> task<int> {
                    const tracked frame;
                    bool stopped = false;
                    if (i >= 3) ++asleep;
                    try {
                        co_await penstock::sleep_for(i < 3 ? 0ms : 3'600'000ms);
                    } catch (const penstock::stopped&) {
                        stopped = true;
                    }
                    if (penstock::this_worker() >= workers()) ++elsewhere;
                    if (stopped) co_await penstock::yield();
                    if (penstock::this_worker() >= workers()) ++elsewhere;
                    co_return i;
                },
                with(8));
            EXPECT_TRUE(co_await inner.async_next());
            while (asleep < 8) co_await penstock::yield();
            co_await inner.async_join();
            EXPECT_EQ(tracked::live(), 0) << "every frame of the stream is gone";
            EXPECT_FALSE(co_await inner.async_next());
            EXPECT_TRUE(inner.done());
            co_await inner.async_join();
            const auto stats = inner.stats();
            EXPECT_EQ(stats.pulled, stats.taken + stats.dropped);
            co_return stats.running;
        });
        EXPECT_EQ(running, 0U);
    }
    EXPECT_EQ(elsewhere, 0) << "coroutines go on on workers";
}

TEST_P(AsyncConsumer, SharesOneWorkerWithTheTasksThatItWaitsFor) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 30),
        [&](int i) -> task<long> {
            const tracked frame;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 40), [&](int x) { return sleeper(x); }, with(3));
            long sum = 0;
            for (int taken = 0; taken < i; ++taken) sum += (co_await inner.async_next())->get().value;
            if (i % 2 == 0) co_await inner.async_join();
            co_return sum;
        },
        with(10));
    EXPECT_EQ(support::drain(stream), 30U);
}

TEST_P(AsyncConsumer, MayBeATaskThatComputesAndWaitsOnItsThread) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) {
            long sum = 0;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 100), [&](int x) { return sleeper(x); }, with(5));
            for (auto& done : inner) sum += done.get().value;
            return sum;
        },
        with(4));
    for (auto& done : stream) EXPECT_EQ(done.get(), 4950);
    EXPECT_EQ(stream.stats().taken, 10U);
}

TEST_P(AsyncConsumer, MayLeaveOnItsThreadAStreamWhoseTasksConsumeOthers) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 6),
        [&](int) {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0), [&](int) { return nested(2); }, with(5));
            return inner.next()->get();
        },
        with(4));
    for (auto& done : stream) EXPECT_EQ(done.get(), 25);
    EXPECT_EQ(stream.stats().taken, 6U);
}

TEST_P(AsyncConsumer, JoinsAStreamWhoseJobsHoldEveryThreadThatMayBlock) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    auto stream = penstock::as_completed(
        few, std::views::iota(0, 1),
        [&](int) -> task<int> {
            std::atomic<int> told{0};
            std::atomic<int> begun{0};
            auto inner = penstock::as_completed(
                few, std::views::iota(0, 2),
                [&](int) {
                    return penstock::blocking([&](const std::stop_token& token) {
                        ++begun;
                        if (support::eventually([&] { return token.stop_requested(); })) ++told;
                    });
                },
                with(2));
            while (begun < 2) co_await penstock::yield();
            co_await inner.async_join();
            co_return told.load();
        },
        with(1));
    EXPECT_EQ(stream.next()->get(), 2) << "they were to be told before a thread was wanted";
}

TEST_P(AsyncConsumer, IsNotDisturbedByAThreadThatWantsAResultToo) {
    penstock::completion_source<> go_on;
    auto inner = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int) -> task<int> {
            const tracked frame;
            co_await go_on.wait();
            co_return 7;
        },
        with(1));
    auto consumers = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int) -> task<int> {
            const tracked frame;
            auto done = co_await inner.async_next();
            co_return done->get();
        },
        with(1));
    // Once it waits.
    ASSERT_TRUE(support::eventually([&] {
        try {
            return inner.try_next().has_value();
        } catch (const std::logic_error&) {
            return true;
        }
    }));
    EXPECT_THROW(inner.next(), std::logic_error);
    EXPECT_THROW(inner.next_for(1h), std::logic_error);
    EXPECT_THROW(inner.begin(), std::logic_error);
    go_on.set_value();
    EXPECT_EQ(consumers.next()->get(), 7);
    EXPECT_FALSE(inner.next()) << "afterwards it may be the consumer";
}

TEST_P(AsyncConsumer, IsRefusedIfAThreadWaitsForAResult) {
    penstock::completion_source<> go_on;
    auto inner = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int) -> task<int> {
            const tracked frame;
            co_await go_on.wait();
            co_return 7;
        },
        with(1));
    std::jthread other([&] { EXPECT_EQ(inner.next()->get(), 7); });
    // Mostly the other one is asleep by then; nothing depends on it but what this shows.
    std::this_thread::sleep_for(50ms);
    int refused = 0;
    for (auto& done : penstock::as_completed(
             ex, std::views::iota(0, 1),
             [&](int) -> task<int> {
                 const tracked frame;
                 try {
                     if (inner.stats().taken == 0) co_await inner.async_next();
                 } catch (const std::logic_error&) {
                     co_return 1;
                 }
                 co_return 0;
             },
             with(1))) {
        refused += done.get();
    }
    EXPECT_EQ(refused, 1);
    go_on.set_value();
}

}  // namespace
