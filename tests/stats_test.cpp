// SPDX-License-Identifier: MIT
/// stats(): the counters add up at every moment, and say what holds a stream back.
#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::latch;
using support::test_error;
using support::tracked_value;

class Stats : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Stats, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Stats, AddUpAtEveryMoment) {
    std::atomic<bool> over{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10'000),
        [](int i) {
            if (i % 10 == 0) throw test_error(i);
            return tracked_value(i);
        },
        with(8));
    std::atomic<long> samples{0};
    std::jthread observer([&] {
        while (!over) {
            const auto now = stream.stats();
            EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
            EXPECT_LE(now.running, 8U);
            ++samples;
            std::this_thread::yield();
        }
    });
    EXPECT_EQ(support::drain(stream), 10'000U);
    EXPECT_TRUE(support::eventually([&] { return samples > 10; }));
    over = true;
    observer.join();
    const auto end = stream.stats();
    EXPECT_EQ(end.pulled, 10'000U);
    EXPECT_EQ(end.taken, 10'000U);
    EXPECT_EQ(end.failed, 1000U);
    EXPECT_EQ(end.running + end.ready + end.dropped + end.stopped + end.overdue, 0U);
    EXPECT_EQ(end.bound, penstock::bound_by::none);
}

TEST_P(Stats, AddUpWhileTheStreamIsStopped) {
    for (int round = 0; round < 10; ++round) {
        std::atomic<bool> over{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [](int i) { return tracked_value(i); }, with(16));
        std::jthread observer([&] {
            while (!over) {
                const auto now = stream.stats();
                EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
                std::this_thread::yield();
            }
        });
        for (int i = 0; i < 20 * round; ++i) EXPECT_TRUE(stream.next());
        stream.request_stop();
        EXPECT_THROW(support::drain(stream), penstock::stopped);
        over = true;
    }
}

TEST_P(Stats, SayWhatHoldsTheStreamBack) {
    using penstock::bound_by;
    const auto comes_to = [](const auto& stream, bound_by expected) {
        return support::eventually([&] { return stream.stats().bound == expected; });
    };
    auto full = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, with(4));
    EXPECT_TRUE(comes_to(full, bound_by::buffer));

    latch hold;
    auto busy = penstock::as_completed(
        ex, std::views::iota(0), [&](int) { EXPECT_TRUE(hold.wait()); }, with(1));
    EXPECT_TRUE(comes_to(busy, bound_by::limit));
    hold.open();
    busy.request_stop();

    latch slow;
    auto waiting = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<void()>> {
            EXPECT_TRUE(slow.wait());
            return std::nullopt;
        },
        with(4));
    EXPECT_TRUE(comes_to(waiting, bound_by::producer));
    slow.open();
    support::drain(waiting);
    EXPECT_TRUE(comes_to(waiting, bound_by::none));
}

}  // namespace
