// SPDX-License-Identifier: MIT
/// The stream as a range and as a queue: begin() and ++, next(), try_next(), next_for(), done(), stats().
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>
#include <ranges>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::latch;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

using ints = penstock::completion_stream<int>;
using voids = penstock::completion_stream<void>;
static_assert(std::ranges::input_range<ints> && std::ranges::input_range<voids>);
static_assert(std::ranges::input_range<penstock::completion_stream<std::unique_ptr<int>, std::string>>);
static_assert(!std::ranges::forward_range<ints>, "single pass");
static_assert(std::same_as<std::ranges::range_value_t<ints>, penstock::completed<int>>);
static_assert(std::same_as<std::ranges::range_reference_t<ints>, penstock::completed<int>&>);
static_assert(std::same_as<std::ranges::sentinel_t<ints>, std::default_sentinel_t>);
static_assert(std::is_nothrow_move_constructible_v<ints> && std::is_nothrow_move_assignable_v<ints>);
static_assert(!std::is_copy_constructible_v<ints> && !std::is_copy_assignable_v<ints>);
static_assert(std::ranges::viewable_range<ints>, "an rvalue goes into a pipeline");

class CompletionStream : public support::contract_test {
protected:
    auto numbers(int count, std::size_t limit = 4) {
        return penstock::as_completed(
            ex, std::views::iota(0, count), [](int i) { return tracked_value(i); }, with(limit));
    }
};
INSTANTIATE_TEST_SUITE_P(, CompletionStream, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(CompletionStream, GivesEachResultOnce) {
    for (const int count : {0, 1, 3, 4, 5, 7, 8, 9, 1000}) {
        std::vector<int> seen;
        auto stream = numbers(count);
        for (auto& done : stream) seen.push_back(done.get().value);
        if (!in_order()) std::ranges::sort(seen);
        std::vector<int> expected(static_cast<std::size_t>(count));
        std::iota(expected.begin(), expected.end(), 0);
        EXPECT_EQ(seen, expected);
    }
}

TEST_P(CompletionStream, IsOverForGoodWhenItIsOver) {
    auto stream = numbers(3);
    EXPECT_EQ(support::drain(stream), 3U);
    EXPECT_TRUE(stream.done());
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(stream.next());
        EXPECT_FALSE(stream.try_next());
        EXPECT_FALSE(stream.next_for(1h)) << "and does not wait";
    }
    EXPECT_TRUE(stream.begin() == stream.end());
}

TEST_P(CompletionStream, BeginAgainGivesTheCurrentElement) {
    auto stream = numbers(10);
    auto at = stream.begin();
    const std::size_t first = at->index();
    EXPECT_EQ(stream.begin()->index(), first);
    EXPECT_EQ((*stream.begin()).index(), first);
    ++at;
    const std::size_t second = at->index();
    EXPECT_NE(first, second);
    EXPECT_EQ(stream.begin()->index(), second);
    at++;
    std::size_t left = 0;
    for (auto& done : stream) {
        static_cast<void>(done);
        ++left;
    }
    EXPECT_EQ(left, 8U);
}

TEST_P(CompletionStream, IncrementingPastTheEndStaysAtTheEnd) {
    auto stream = numbers(2);
    auto at = stream.begin();
    for (int i = 0; i < 6; ++i) ++at;
    EXPECT_TRUE(at == std::default_sentinel);
    EXPECT_TRUE(stream.done());
    const decltype(at) empty;
    EXPECT_TRUE(empty == std::default_sentinel);
}

TEST_P(CompletionStream, IteratorsGoOnAfterTheStreamWasMoved) {
    auto stream = numbers(10);
    auto at = stream.begin();
    const std::size_t first = at->index();
    auto moved = std::move(stream);
    EXPECT_EQ(at->index(), first);
    EXPECT_EQ(moved.begin()->index(), first);
    ++at;
    EXPECT_NE(moved.begin()->index(), first);
}

TEST_P(CompletionStream, GoesThroughAPipeline) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, with(4));
    int count = 0;
    for (const int value :
         stream | std::views::transform([](auto& done) { return done.get(); }) | std::views::take(25)) {
        EXPECT_GE(value, 0);
        ++count;
    }
    EXPECT_EQ(count, 25);
    for (auto& done : numbers(50) | std::views::take(5)) EXPECT_TRUE(done.has_value());
}

TEST_P(CompletionStream, MixesLoopsAndNext) {
    auto stream = numbers(20);
    std::set<std::size_t> seen;
    for (auto& done : stream) {
        EXPECT_TRUE(seen.insert(done.index()).second);
        if (auto another = stream.next()) {
            EXPECT_TRUE(seen.insert(another->index()).second);
        }
    }
    EXPECT_EQ(seen.size(), 20U);
}

TEST_P(CompletionStream, EveryWayOfTakingMayFollowEveryOther) {
    // What a helping consumer has pulled for itself and not run when it goes over to next_for() must be run by others.
    auto stream = numbers(5000, 16);
    std::set<std::size_t> seen;
    for (int step = 0; !stream.done(); ++step) {
        std::optional<penstock::completed<tracked_value<int>, int>> found;
        switch (step / 7 % 3) {
        case 0:
            found = stream.next();
            break;
        case 1:
            found = stream.next_for(support::patience);
            break;
        default:
            found = stream.try_next();
        }
        if (!found) continue;
        EXPECT_TRUE(seen.insert(found->index()).second);
    }
    EXPECT_EQ(seen.size(), 5000U);
}

TEST_P(CompletionStream, StartsBeforeItIsAsked) {
    std::atomic<int> ran{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 3), [&](int) { ++ran; }, with(4));
    EXPECT_TRUE(support::eventually([&] { return ran == 3; }));
}

TEST_P(CompletionStream, TryNextNeverWaitsNorRunsATask) {
    latch hold;
    const auto consumer = std::this_thread::get_id();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 500),
        [&](int i) {
            EXPECT_NE(std::this_thread::get_id(), consumer);
            if (i == 0) {
                EXPECT_TRUE(hold.wait());
            }
        },
        with(1));
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(stream.try_next());
    EXPECT_FALSE(stream.done());
    hold.open();
    std::size_t count = 0;
    while (!stream.done()) {
        if (stream.try_next()) {
            ++count;
        } else {
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(count, 500U);
}

TEST_P(CompletionStream, NextForWaitsForAResultAndRunsNoTask) {
    const auto consumer = std::this_thread::get_id();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000), [&](int) { EXPECT_NE(std::this_thread::get_id(), consumer); }, with(4));
    std::size_t count = 0;
    while (stream.next_for(support::patience)) ++count;
    EXPECT_EQ(count, 2000U);
    EXPECT_TRUE(stream.done());
}

TEST_P(CompletionStream, NextForGivesUpAndTheResultIsNotLost) {
    latch hold;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int i) {
            EXPECT_TRUE(hold.wait());
            return i;
        },
        with(1));
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(stream.next_for(5ms));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 5ms) << "not early";
    EXPECT_FALSE(stream.next_for(std::chrono::duration<double, std::milli>(1.5)));
    EXPECT_FALSE(stream.done());
    hold.open();
    EXPECT_TRUE(stream.next_for(support::patience));
    EXPECT_FALSE(stream.next_for(support::patience));
    EXPECT_TRUE(stream.done());
}

TEST_P(CompletionStream, DoneTellsNothingYetFromOver) {
    latch hold;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1), [&](int) { EXPECT_TRUE(hold.wait()); }, with(1));
    EXPECT_FALSE(stream.try_next());
    EXPECT_FALSE(stream.done());
    hold.open();
    ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == 1; }));
    EXPECT_FALSE(stream.done()) << "a result is still to be taken";
    EXPECT_TRUE(stream.next());
    EXPECT_TRUE(support::eventually([&] { return stream.done(); })) << "without another next()";
}

TEST_P(CompletionStream, IsNotDoneWhileAnExceptionIsStillToBeThrown) {
    auto settings = with(2);
    settings.on_error = penstock::on_error::stop;
    auto failing = penstock::as_completed(
        ex, std::views::iota(0, 1), [](int) { throw test_error(0); }, settings);
    ASSERT_TRUE(support::eventually([&] { return failing.stats().failed == 1; }));
    EXPECT_FALSE(failing.done());
    EXPECT_THROW(failing.next(), test_error);
    EXPECT_TRUE(failing.done());

    std::atomic<bool> thrown{false};
    auto source = [&]() -> std::optional<std::function<void()>> {
        thrown = true;
        throw test_error(1);
    };
    auto broken = penstock::as_completed(ex, source, with(2));
    ASSERT_TRUE(support::eventually([&] { return thrown && broken.stats().bound == penstock::bound_by::none; }));
    EXPECT_FALSE(broken.done());
    EXPECT_THROW(broken.next(), test_error);
    EXPECT_TRUE(broken.done());

    auto stopped = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, with(2));
    stopped.request_stop();
    EXPECT_FALSE(stopped.done());
    EXPECT_THROW(support::drain(stopped), penstock::stopped);
    EXPECT_TRUE(stopped.done());
}

TEST_P(CompletionStream, TryNextThrowsWhatEndsTheStream) {
    auto source = []() -> std::optional<std::function<void()>> { throw test_error(1); };
    auto broken = penstock::as_completed(ex, source, with(2));
    bool thrown = false;
    ASSERT_TRUE(support::eventually([&] {
        try {
            EXPECT_FALSE(broken.try_next());
        } catch (const test_error&) {
            EXPECT_FALSE(thrown) << "once";
            thrown = true;
        }
        return broken.done();
    }));
    EXPECT_TRUE(thrown);
    EXPECT_FALSE(broken.try_next());
}

}  // namespace
