// SPDX-License-Identifier: MIT
/// collect and for_each: the short forms, which behave as a sequential loop does.
#include <atomic>
#include <cstddef>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::test_error;
using support::tracked_unique;
using support::tracked_value;

class Collect : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Collect, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Collect, GivesTheResultsInTheOrderOfTheInputs) {
    for (const int count : {0, 1, 7, 1000}) {
        const std::vector<int> found = penstock::collect(
            ex, std::views::iota(0, count), [](int i) { return 2 * i; }, with(8));
        ASSERT_EQ(found.size(), static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) EXPECT_EQ(found[static_cast<std::size_t>(i)], 2 * i);
    }
}

TEST_P(Collect, MovesMoveOnlyInputsAndResults) {
    std::vector<std::unique_ptr<int>> inputs;
    for (int i = 0; i < 50; ++i) inputs.push_back(std::make_unique<int>(i));
    const auto found = penstock::collect(
        ex, std::move(inputs), [](std::unique_ptr<int>& p) { return std::move(p); }, with(4));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(*found[static_cast<std::size_t>(i)], i);
}

TEST_P(Collect, ThrowsTheErrorThatASequentialLoopWouldMeetFirst) {
    for (int round = 0; round < 20; ++round) {
        std::vector<std::atomic<int>> ran(200);
        const int first = round * 5;
        try {
            penstock::collect(
                ex, std::views::iota(0, 200),
                [&](int i) {
                    ++ran[static_cast<std::size_t>(i)];
                    if (i == first) support::spin_for(std::chrono::microseconds(30));
                    if (i >= first) throw test_error(i);
                    return tracked_value(i);
                },
                with(8));
            FAIL() << "nothing was thrown";
        } catch (const test_error& error) {
            EXPECT_EQ(error.code, first);
        }
        for (int i = 0; i <= first; ++i) EXPECT_EQ(ran[static_cast<std::size_t>(i)], 1);
    }
}

TEST_P(Collect, ReturnsOnlyWhenNoTaskRunsAnyMore) {
    for (int round = 0; round < 30; ++round) {
        support::meter running;
        EXPECT_THROW(penstock::collect(
                         ex, std::views::iota(0),
                         [&](int i) {
                             const support::meter::visit here(running);
                             if (i == round) throw test_error(i);
                             support::spin_for(std::chrono::microseconds(5));
                             return i;
                         },
                         with(8)),
                     test_error);
        EXPECT_EQ(running.inside(), 0);
    }
}

TEST_P(Collect, PassesOnWhatTheProducerThrows) {
    int next = 0;
    const auto source = [&]() -> std::optional<int> {
        if (next == 20) throw test_error(20);
        return next++;
    };
    EXPECT_THROW(penstock::collect(
                     ex, source, [](int i) { return tracked_value(i); }, with(4)),
                 test_error);
}

TEST_P(Collect, ThrowsStoppedRatherThanGiveAPartAsTheWhole) {
    std::stop_source source;
    auto settings = with(4);
    settings.stop = source.get_token();
    EXPECT_THROW(penstock::collect(
                     ex, std::views::iota(0),
                     [&](int i) {
                         if (i == 100) source.request_stop();
                         return tracked_value(i);
                     },
                     settings),
                 penstock::stopped);
}

TEST_P(Collect, ThrowsTimedOutRatherThanGiveAPartAsTheWhole) {
    auto settings = with(4);
    settings.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
    EXPECT_THROW(
        penstock::collect(
            ex, std::views::iota(0), [](int i) { return tracked_value<char>(static_cast<char>(i)); }, settings),
        penstock::timed_out);
}

TEST_P(Collect, ForEachRunsTheFunctionOnEachInputOnce) {
    std::vector<std::atomic<int>> ran(1000);
    penstock::for_each(
        ex, std::views::iota(std::size_t{0}, ran.size()), [&](std::size_t i) { ++ran[i]; }, with(8));
    for (const auto& times : ran) EXPECT_EQ(times, 1);
    penstock::for_each(
        ex, std::views::iota(0, 10), [](int i) { return i; }, with(8));
}

TEST_P(Collect, ForEachThrowsAnErrorAndPullsNoFurther) {
    std::atomic<std::size_t> pulled{0};
    auto inputs = std::views::iota(0) | std::views::transform([&](int i) {
                      ++pulled;
                      return i;
                  });
    // In completion order those behind the failing one wait for the stop, or any number of them could overtake it. In
    // submission order the stop comes when the consumer, which may be helping, takes the failure: the window is the
    // bound.
    const bool waits = !in_order();
    const auto fail = [&](int i, const std::stop_token& stop) {
        if (i == 50) throw test_error(i);
        while (waits && i > 50 && !stop.stop_requested()) std::this_thread::yield();
    };
    EXPECT_THROW(penstock::for_each(ex, inputs, fail, with(4)), test_error);
    EXPECT_LE(pulled, waits ? 51U + 3 : 51U + 4 + 16);
}

}  // namespace
