// SPDX-License-Identifier: MIT
/// C1, C2 and C4 for coroutines: as many are suspended at once as the limit says, whoever looks.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::meter;
using support::tracked;

class TaskCap : public support::contract_test {
protected:
    std::size_t window(std::size_t limit, std::size_t buffer) const {
        if (buffer != penstock::auto_buffer) return limit + buffer;
        return in_order() ? 5 * limit : 2 * limit;
    }
};
INSTANTIATE_TEST_SUITE_P(, TaskCap, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

TEST_P(TaskCap, IsReachedWhileTheConsumerIsAway) {
    for (const std::size_t limit : {1U, 2U, 7U, 1000U}) {
        meter running;
        std::atomic<bool> open{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int) -> task<> {
                const meter::visit here(running);
                const tracked local;
                // Seldom enough that those who look leave time to start the others.
                while (!open) co_await penstock::sleep_for(std::max<std::chrono::microseconds>(1ms, limit * 20us));
            },
            with(limit));
        EXPECT_TRUE(support::eventually([&] { return running.inside() == static_cast<long>(limit); }));
        EXPECT_EQ(stream.stats().running, limit);
        EXPECT_EQ(stream.stats().pulled, limit);
        open = true;
        for (std::size_t i = 0; i < 3 * limit; ++i) ASSERT_TRUE(stream.next());
        EXPECT_EQ(running.most(), static_cast<long>(limit));
    }
}

TEST_P(TaskCap, IsReachedAgainByWhoEndsWhileTheConsumerIsAway) {
    for (const std::size_t limit : {1U, 2U, 7U, 300U}) {
        meter running;
        std::atomic<std::size_t> begun{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}),
            [&](std::size_t i) -> task<> {
                const meter::visit here(running);
                ++begun;
                co_await penstock::yield();
                if (i >= limit) co_await penstock::sleep_for(1h);
            },
            with(limit, limit));
        // The first ones end and are not taken; they leave room for as many again.
        EXPECT_TRUE(support::eventually([&] { return begun == 2 * limit; }));
        EXPECT_TRUE(support::eventually([&] { return running.inside() == static_cast<long>(limit); }));
        EXPECT_LE(running.most(), static_cast<long>(limit));
    }
}

TEST_P(TaskCap, IsNeverExceededByAMixOfTasksThatSleepComputeAndBlock) {
    for (const std::size_t limit : {1U, 2U, 7U, 64U}) {
        meter running;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1000),
            [&](int i) -> task<int> {
                const meter::visit here(running);
                const tracked local;
                switch (i % 5) {
                case 0:
                    co_await penstock::sleep_for(std::chrono::microseconds(i % 300));
                    break;
                case 1:
                    co_await penstock::yield();
                    break;
                case 2:
                    co_await penstock::run_blocking([](int x) { return x; }, i);
                    break;
                case 3:
                    support::spin_for(3us);
                    break;
                default:
                    break;
                }
                co_return i;
            },
            with(limit));
        std::size_t count = 0;
        for (auto& done : stream) {
            EXPECT_EQ(done.get(), done.input());
            ++count;
        }
        EXPECT_EQ(count, 1000U);
        EXPECT_LE(running.most(), static_cast<long>(limit));
    }
}

TEST_P(TaskCap, BoundsHowFarThePulledAreAheadOfTheTaken) {
    for (const std::size_t limit : {1U, 3U, 16U}) {
        for (const std::size_t buffer : {std::size_t{0}, std::size_t{1}, std::size_t{5}, penstock::auto_buffer}) {
            support::pull_watch watch(window(limit, buffer));
            std::size_t given = 0;
            const auto job = [](std::size_t i) -> task<> {
                const tracked local;
                if (i % 3 == 0) co_await penstock::sleep_for(10us);
                if (i % 3 == 1) co_await penstock::yield();
            };
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<task<>> {
                    support::pull_watch::call call(watch);
                    if (given++ == 400) return std::nullopt;
                    return job(call.give());
                },
                with(limit, buffer));
            while (watch.next(stream)) {
            }
            EXPECT_EQ(watch.pulled(), 400U);
            EXPECT_EQ(watch.excess(), 0U) << "limit " << limit << ", buffer " << buffer;
            EXPECT_EQ(watch.overlaps(), 0U);
        }
    }
}

TEST_P(TaskCap, WindowIsFilledExactlyWhileTheConsumerIsAway) {
    for (const std::size_t limit : {1U, 3U, 16U}) {
        for (const std::size_t buffer : {std::size_t{0}, std::size_t{1}, std::size_t{5}, penstock::auto_buffer}) {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0), [](int) -> task<> { co_await penstock::sleep_for(10us); },
                with(limit, buffer));
            const std::size_t all = window(limit, buffer);
            EXPECT_TRUE(support::eventually([&] { return stream.stats().ready == all; })) << stream.stats().ready;
            EXPECT_EQ(stream.stats().pulled, all);
            EXPECT_EQ(stream.stats().bound, penstock::bound_by::buffer);
            ASSERT_TRUE(stream.next());
            EXPECT_TRUE(support::eventually([&] { return stream.stats().pulled == all + 1; }));
        }
    }
}

TEST_P(TaskCap, HeldByASuspendedTaskIsWhatTheStatisticsName) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int) -> task<> { co_await penstock::sleep_for(1h); }, with(1500));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().running == 1500; }));
    EXPECT_EQ(stream.stats().bound, penstock::bound_by::limit);
}

TEST_P(TaskCap, NotReachedForWantOfItemsIsTheProducersAffairInTheStatistics) {
    support::latch open;
    int given = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<task<>> {
            if (given++ == 1000) {
                EXPECT_TRUE(open.wait());
                return std::nullopt;
            }
            return []() -> task<> { co_await penstock::sleep_for(1h); }();
        },
        with(2000));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().running > 600; }));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().bound == penstock::bound_by::producer; }));
    open.open();
}

TEST_P(TaskCap, IsReachedByEachOfTwoStreamsThatShareTheWorkers) {
    std::atomic<bool> open{false};
    const auto wait = [&](int) -> task<> {
        while (!open) co_await penstock::sleep_for(1ms);
    };
    auto one = penstock::as_completed(ex, std::views::iota(0, 400), wait, with(100));
    auto other = penstock::as_completed(ex, std::views::iota(0, 400), wait, with(50));
    EXPECT_TRUE(support::eventually([&] { return one.stats().running == 100 && other.stats().running == 50; }));
    open = true;
    EXPECT_EQ(support::drain(one), 400U);
    EXPECT_EQ(support::drain(other), 400U);
}

}  // namespace
