// SPDX-License-Identifier: MIT
/// A finished future: its value, its error, what it belongs to.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

using penstock::completed;
static_assert(std::is_nothrow_move_constructible_v<completed<int>>);
static_assert(std::is_nothrow_move_constructible_v<completed<void>>);
static_assert(std::is_move_constructible_v<completed<std::unique_ptr<int>, std::unique_ptr<int>>>);
static_assert(std::is_same_v<decltype(std::declval<completed<int>&>().get()), int>);
static_assert(std::is_same_v<decltype(std::declval<completed<void>&>().get()), void>);
static_assert(std::is_same_v<decltype(std::declval<const completed<int, std::string>&>().input()), const std::string&>);
static_assert(
    noexcept(std::declval<completed<int>&>().index()) && noexcept(std::declval<completed<int>&>().error()) && noexcept(
        std::declval<completed<int>&>().has_value()) && noexcept(std::declval<completed<int>&>().elapsed()));
template <class C>
concept has_input = requires(const C& c) {
    c.input();
};
static_assert(!has_input<completed<int>>, "a stream of jobs has no inputs");

class Completed : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Completed, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Completed, GivesAMoveOnlyValueByMoving) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int i) { return tracked_unique<std::unique_ptr<int>>(std::make_unique<int>(i)); }, with(4));
    while (auto done = stream.next()) {
        EXPECT_TRUE(done->has_value());
        EXPECT_EQ(done->error(), nullptr);
        const auto value = done->get();
        ASSERT_TRUE(value.value);
        EXPECT_EQ(*value.value, static_cast<int>(done->index()));
    }
}

TEST_P(Completed, OfVoidGivesNothingOrThrows) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int i) {
            if (i % 2) throw test_error(i);
        },
        with(4));
    while (auto done = stream.next()) {
        if (done->index() % 2) {
            EXPECT_THROW(done->get(), test_error);
        } else {
            EXPECT_NO_THROW(done->get());
        }
    }
}

TEST_P(Completed, ThrowsItsErrorEachTime) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(5, 6), [](int i) -> int { throw test_error(i); }, with(1));
    auto done = stream.next();
    ASSERT_TRUE(done);
    EXPECT_FALSE(done->has_value());
    EXPECT_THROW(done->get(), test_error);
    EXPECT_THROW(done->get(), test_error);
    try {
        std::rethrow_exception(done->error());
    } catch (const test_error& error) {
        EXPECT_EQ(error.code, 5);
        EXPECT_STREQ(error.what(), "test_error 5");
        error.check();
    }
    EXPECT_EQ(done->attempts(), 1U);
}

TEST_P(Completed, OutlivesStreamAndExecutor) {
    std::vector<completed<tracked_value<std::string>, tracked_value<std::string>>> kept;
    {
        penstock::executor own(workers());
        auto inputs = std::views::iota(0, 20) | std::views::transform([](int i) {
                          return tracked_value<std::string>("input " + std::to_string(i));
                      });
        auto stream = penstock::as_completed(
            own, inputs,
            [](const tracked_value<std::string>& in) {
                if (in.value == "input 7") throw test_error(7);
                return tracked_value<std::string>("result of " + in.value);
            },
            with(4));
        while (auto done = stream.next()) kept.push_back(std::move(*done));
    }
    EXPECT_EQ(kept.size(), 20U);
    for (auto& done : kept) {
        const std::string input = "input " + std::to_string(done.index());
        EXPECT_EQ(done.input().value, input);
        if (done.index() == 7) {
            EXPECT_THROW(done.get(), test_error);
        } else {
            EXPECT_EQ(done.get().value, "result of " + input);
        }
    }
}

TEST_P(Completed, KnowsItsIndexInTheProducer) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(1000, 1500), [](int i) { return i; }, with(7));
    std::size_t expected = 0;
    while (auto done = stream.next()) {
        if (in_order()) {
            EXPECT_EQ(done->index(), expected++);
        }
        EXPECT_EQ(done->get(), static_cast<int>(done->index()) + 1000);
    }
}

TEST_P(Completed, ShowsTheInputAsTheFunctionLeftIt) {
    std::vector<std::string> inputs(20, "x");
    auto unchanged = penstock::as_completed(
        ex, inputs, [](const std::string& s) { return s.size(); }, with(4));
    while (auto done = unchanged.next()) EXPECT_EQ(done->input(), "x");

    auto changed = penstock::as_completed(
        ex, inputs, [](std::string& s) { s += "y"; }, with(4));
    while (auto done = changed.next()) EXPECT_EQ(done->input(), "xy");
    EXPECT_EQ(inputs, std::vector<std::string>(20, "x")) << "each element was copied into the stream";
}

TEST_P(Completed, ShowsAMovedFromInputIfTheFunctionTakesOnlyRvalues) {
    std::vector<std::unique_ptr<int>> pointers;
    for (int i = 0; i < 20; ++i) pointers.push_back(std::make_unique<int>(i));
    auto stream = penstock::as_completed(
        ex, std::move(pointers), [](std::unique_ptr<int>&& p) { return *std::unique_ptr<int>(std::move(p)); }, with(4));
    while (auto done = stream.next()) {
        EXPECT_EQ(done->get(), static_cast<int>(done->index()));
        EXPECT_EQ(done->input(), nullptr);
    }
}

TEST_P(Completed, KeepsTheInputOfATaskThatFailed) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20), [](int i) -> int { throw test_error(i); }, with(4));
    while (auto done = stream.next()) {
        EXPECT_EQ(done->input(), static_cast<int>(done->index()));
        EXPECT_FALSE(done->has_value());
    }
}

struct unmovable_now : support::tracked {
    explicit unmovable_now(int v) : value(v) {}
    unmovable_now(unmovable_now&& other) : tracked(std::move(other)), value(other.value) {
        if (value == 3) throw test_error(value);
    }
    int value;
};

TEST_P(Completed, HasNoInputIfMovingItIntoTheStreamThrew) {
    int next = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<unmovable_now> {
            if (next == 6) return std::nullopt;
            return std::optional<unmovable_now>(std::in_place, next++);
        },
        [](const unmovable_now& in) { return in.value; }, with(2));
    std::size_t count = 0;
    while (auto done = stream.next()) {
        ++count;
        if (done->index() == 3) {
            EXPECT_THROW(done->get(), test_error);
            EXPECT_THROW(done->input(), std::logic_error);
        } else {
            EXPECT_EQ(done->get(), static_cast<int>(done->index()));
            EXPECT_EQ(done->input().value, static_cast<int>(done->index()));
        }
    }
    EXPECT_EQ(count, 6U);
}

TEST_P(Completed, KnowsHowLongItsTaskTookIfAsked) {
    auto settings = with(2);
    settings.measure = true;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [](int i) {
            support::spin_for(2ms);
            if (i % 2) throw test_error(i);
        },
        settings);
    while (auto done = stream.next()) {
        EXPECT_GE(done->elapsed(), 2ms);
        EXPECT_LT(done->elapsed(), support::patience);
    }
    settings.measure = false;
    auto unmeasured = penstock::as_completed(
        ex, std::views::iota(0, 10), [](int) { support::spin_for(100us); }, settings);
    while (auto done = unmeasured.next()) EXPECT_EQ(done->elapsed(), 0ns);
}

TEST_P(Completed, MayBeUsedOnAnotherThread) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 50), [](int i) { return tracked_value(i); }, with(4));
    while (auto done = stream.next()) {
        std::thread([moved = std::move(*done)]() mutable {
            EXPECT_EQ(moved.get().value, static_cast<int>(moved.index()));
        }).join();
    }
}

}  // namespace
