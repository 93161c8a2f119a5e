// SPDX-License-Identifier: MIT
/// A producer that may block: how its stream ends early, and what it needs a thread for.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <system_error>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_producer_test.hpp"
#include "support/failing_threads.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::blocking_producer;
using support::drain;
using support::eventually;
using support::latch;
using support::test_error;
using support::tracked_value;

class BlockingProducerStop : public support::blocking_producer_test {};
INSTANTIATE_TEST_SUITE_P(, BlockingProducerStop, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

TEST_P(BlockingProducerStop, ComesAsASystemErrorWhereNoThreadCanBeMade) {
    const support::threads::famine now;
    bool called = false;
    auto source = [&]() -> std::optional<int> {
        called = true;
        return 1;
    };
    auto stream = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, with(4));
    EXPECT_THROW(stream.next(), std::system_error);
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(called);
    const auto left = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, with(4));
}

TEST_P(BlockingProducerStop, IsToldOfAStopByItsToken) {
    std::atomic<bool> inside{false};
    auto source = [&, next = 0](std::stop_token token) mutable -> std::optional<tracked_value<int>> {
        if (next == 3) {
            inside = true;
            EXPECT_TRUE(eventually([&] { return token.stop_requested(); }));
        }
        return tracked_value(next++);
    };
    {
        auto stream = penstock::as_completed(
            ex, blocking_producer(source), [](auto&) { return 1; }, with(10));
        EXPECT_TRUE(eventually([&] { return inside.load(); }));
    }
    inside = false;
    auto again = penstock::as_completed(
        ex, blocking_producer([&, next = 0](std::stop_token token) mutable {
            if (next == 2) {
                inside = true;
                EXPECT_TRUE(eventually([&] { return token.stop_requested(); }));
            }
            return std::optional(tracked_value(next++));
        }),
        [](auto&) { return 1; }, with(10));
    EXPECT_TRUE(again.next());
    EXPECT_TRUE(again.next());
    EXPECT_TRUE(eventually([&] { return inside.load(); }));
    again.request_stop();
    EXPECT_THROW(again.next(), penstock::stopped);
    EXPECT_FALSE(again.next());
    EXPECT_TRUE(eventually([&] { return again.stats().dropped == 1; })) << "what came after the stop is dropped";
    EXPECT_EQ(again.stats().pulled, 3U);
}

TEST_P(BlockingProducerStop, HoldsNobodyUpAfterAStopButTheDestructor) {
    latch go;
    std::atomic<int> calls{0};
    auto source = [&]() -> std::optional<int> {
        if (++calls == 3) {
            EXPECT_TRUE(go.wait());
        }
        return calls.load();
    };
    auto stream = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, with(10));
    EXPECT_TRUE(stream.next());
    EXPECT_TRUE(stream.next());
    EXPECT_TRUE(eventually([&] { return calls == 3; }));
    stream.request_stop();
    EXPECT_THROW(stream.next(), penstock::stopped);
    go.open();
    EXPECT_TRUE(eventually([&] { return stream.stats().dropped == 1; }));
    EXPECT_EQ(calls, 3) << "never again after a stop";
}

TEST_P(BlockingProducerStop, HoldsNobodyUpAfterTheDeadline) {
    latch go;
    auto source = [&, next = 0]() mutable -> std::optional<int> {
        if (next == 2) {
            EXPECT_TRUE(go.wait());
        }
        return next++;
    };
    auto settings = with(10);
    settings.deadline = std::chrono::steady_clock::now() + 30ms;
    auto stream = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, settings);
    EXPECT_THROW(drain(stream), penstock::timed_out);
    EXPECT_FALSE(stream.next());
    go.open();
}

TEST_P(BlockingProducerStop, MayBeStoppedAtAnyPoint) {
    const int rounds = support::sanitized ? 60 : 300;
    for (int round = 0; round < rounds; ++round) {
        auto settings = with(static_cast<std::size_t>(1 + round % 9));
        std::stop_source stop;
        settings.stop = stop.get_token();
        auto source = [next = 0, round]() mutable -> std::optional<tracked_value<int>> {
            if (next == round) std::this_thread::yield();
            return tracked_value(next++);
        };
        std::jthread stopper;
        auto stream = penstock::as_completed(
            ex, blocking_producer(source),
            [&, round](tracked_value<int>& i) {
                if (i.value == round && round % 3 == 0) stop.request_stop();
                return tracked_value(i.value);
            },
            settings);
        if (round % 3 == 1) stopper = std::jthread([&] { stop.request_stop(); });
        if (round % 3 == 2) {
            for (int i = 0; i < round; ++i) EXPECT_TRUE(stream.next());
            if (round % 2 == 0) continue;  // it is left
            stream.request_stop();
        }
        EXPECT_THROW(drain(stream), penstock::stopped);
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(eventually([&] {
            const auto stats = stream.stats();
            return stats.pulled == stats.taken + stats.dropped;
        }));
        if (HasFailure()) return;
    }
}

TEST_P(BlockingProducerStop, WorksWithFailFast) {
    auto settings = with(6);
    settings.on_error = penstock::on_error::stop;
    const auto fails_at_50 = [](int i) {
        if (i == 50) throw test_error(i);
        return i;
    };
    const auto check = [&](auto stream) {
        std::size_t taken = 0;
        EXPECT_THROW(while (stream.next())++ taken, test_error);
        if (in_order()) {
            EXPECT_EQ(taken, 50U);
        }
        EXPECT_FALSE(stream.next());
    };
    check(penstock::as_completed(ex, blocking_producer(counter{INT_MAX}), fails_at_50, settings));
    check(penstock::as_completed(
        ex, blocking_producer(counter{INT_MAX}),
        [&](int i) { return penstock::blocking([=] { return fails_at_50(i); }); }, settings));
}

TEST_P(BlockingProducerStop, WorksInsideATask) {
    // With one worker, which waits for the inner stream: that one's tasks run on it, its producer elsewhere.
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 6),
        [this](int) {
            long sum = 0;
            for (auto& done : penstock::as_completed(
                     ex, blocking_producer(counter{30}), [](int i) { return i; }, with(3))) {
                sum += done.get();
            }
            return sum;
        },
        with(3));
    while (auto done = outer.next()) EXPECT_EQ(done->get(), 29 * 30 / 2);
    EXPECT_EQ(outer.stats().taken, 6U);
}

TEST_P(BlockingProducerStop, WorksInsideBlockingJobsThatHaveAllTheThreads) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    auto outer = penstock::as_completed(
        few, std::views::iota(0, 6),
        [&](int) {
            return penstock::blocking([&] {
                long sum = 0;
                for (auto& done : penstock::as_completed(
                         few, blocking_producer(counter{30}), [](int i) { return i; }, with(3))) {
                    sum += done.get();
                }
                return sum;
            });
        },
        with(3));
    while (auto done = outer.next()) EXPECT_EQ(done->get(), 29 * 30 / 2);
    EXPECT_EQ(outer.stats().taken, 6U);
}

TEST_P(BlockingProducerStop, SharesTheOnlyBlockingThreadWithItsJobs) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    std::atomic<int> taken{0};
    auto source = [&, next = 0]() mutable -> std::optional<int> {
        if (next % 4 == 3) {
            EXPECT_TRUE(eventually([&] { return taken == next; })) << next;
        }
        return next < 20 ? std::optional(next++) : std::nullopt;
    };
    auto stream = penstock::as_completed(
        few, blocking_producer(source), [](int i) { return penstock::blocking([i] { return i; }); }, with(8));
    while (stream.next()) ++taken;
    EXPECT_EQ(taken, 20);
}

TEST_P(BlockingProducerStop, MayBeConsumedByACoroutine) {
    const auto sum = [](penstock::executor& on, penstock::options settings) -> penstock::task<long> {
        auto stream = penstock::as_completed(
            on, blocking_producer(counter{100}), [](int i) { return i; }, settings);
        long total = 0;
        for (;;) {
            auto asked = stream.async_next();
            auto done = co_await asked;
            if (!done) break;
            total += done->get();
        }
        co_return total;
    };
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 4), [&](int) { return sum(ex, with(3)); }, 2);
    while (auto done = outer.next()) EXPECT_EQ(done->get(), 99 * 100 / 2);
    EXPECT_EQ(outer.stats().taken, 4U);
}

TEST_P(BlockingProducerStop, IsWaitedForByAnExecutorThatTheStreamOutlives) {
    for (const bool by_deadline : {false, true}) {
        std::atomic<bool> inside{false};
        std::atomic<bool> go_on{false};
        bool left = false;
        auto own = std::make_unique<penstock::executor>(workers());
        auto settings = with(1);
        if (by_deadline) settings.deadline = std::chrono::steady_clock::now() + 10ms;
        auto source = [&]() -> std::optional<int> {
            inside = true;
            EXPECT_TRUE(eventually([&] { return go_on.load(); }));
            std::this_thread::sleep_for(1ms);
            left = true;
            return 1;
        };
        auto stream = penstock::as_completed(
            *own, blocking_producer(source), [](int i) { return i; }, settings);
        if (by_deadline) {
            EXPECT_THROW(stream.next(), penstock::timed_out);
        } else {
            ASSERT_TRUE(eventually([&] { return inside.load(); }));
            stream.request_stop();
            EXPECT_THROW(stream.next(), penstock::stopped);
        }
        std::jthread later([&] {
            std::this_thread::sleep_for(5ms);  // the case: the executor waits by then
            go_on = true;
        });
        own.reset();
        EXPECT_EQ(left, inside);
    }
}

TEST_P(BlockingProducerStop, HasNotEndedIfItEndsBecauseItWasToldToStop) {
    std::atomic<bool> inside{false};
    auto source = [&](const std::stop_token& token) -> std::optional<int> {
        inside = true;
        while (!token.stop_requested()) std::this_thread::yield();
        return std::nullopt;
    };
    auto stream = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, with(4));
    ASSERT_TRUE(eventually([&] { return inside.load(); }));
    stream.request_stop();
    std::this_thread::sleep_for(1ms);  // the case: it has returned by then
    EXPECT_THROW(stream.next(), penstock::stopped);
    EXPECT_FALSE(stream.next());
}

}  // namespace
