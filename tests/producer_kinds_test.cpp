// SPDX-License-Identifier: MIT
/// What can be a producer, and who owns what it gives.
#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <sstream>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::tracked_unique;
using support::tracked_value;

class ProducerKinds : public support::contract_test {
protected:
    /// The sum of all results, with a check that each index comes once.
    template <class Stream>
    long sum_of(Stream stream, std::size_t expected) {
        std::vector<bool> seen(expected, false);
        long sum = 0;
        while (auto done = stream.next()) {
            EXPECT_FALSE(seen.at(done->index())) << done->index();
            seen[done->index()] = true;
            sum += static_cast<long>(done->get());
        }
        EXPECT_EQ(std::ranges::count(seen, true), static_cast<long>(expected));
        return sum;
    }
};
INSTANTIATE_TEST_SUITE_P(, ProducerKinds, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(ProducerKinds, MayBeEmpty) {
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::vector<int (*)()>{}, with(4)), 0), 0);
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, [] { return std::optional<int (*)()>(); }, with(4)),
                     0),
              0);
}

TEST_P(ProducerKinds, MayBeAVectorThatStaysTheCallers) {
    std::vector<tracked_value<std::function<int()>>> holders(100,
                                                             tracked_value<std::function<int()>>([] { return 1; }));
    auto calls = [](const tracked_value<std::function<int()>>& h) { return h.value(); };
    EXPECT_EQ(sum_of(penstock::as_completed(ex, holders, calls, with(4)), 100), 100);
    for (const auto& h : holders) EXPECT_TRUE(h.value) << "it was moved out of an lvalue";
    const std::vector<int> numbers{1, 2, 3};
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, numbers, [](int n) { return n; }, with(2)),
                     3),
              6);
}

TEST_P(ProducerKinds, MayBeAnRvalueContainerOfMoveOnlyThings) {
    std::vector<tracked_unique<int>> inputs;
    for (int i = 0; i < 50; ++i) inputs.emplace_back(i);
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, std::move(inputs), [](const tracked_unique<int>& in) { return in.value; }, with(4)),
                     50),
              1225);

    std::list<std::unique_ptr<int>> pointers;
    for (int i = 0; i < 50; ++i) pointers.push_back(std::make_unique<int>(i));
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, std::move(pointers), [](std::unique_ptr<int> in) { return *in; }, with(4)),
                     50),
              1225);

    struct move_only_job {
        tracked_unique<int> held;
        int operator()() { return held.value; }
    };
    std::vector<move_only_job> jobs;
    for (int i = 0; i < 50; ++i) jobs.push_back({tracked_unique<int>(i)});
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::move(jobs), with(4)), 50), 1225);
}

TEST_P(ProducerKinds, MayBeAView) {
    std::array<int, 4> numbers{1, 2, 3, 4};
    const auto same = [](int n) { return n; };
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::span(numbers), same, with(2)), 4), 10);
    EXPECT_EQ(sum_of(penstock::as_completed(ex, numbers | std::views::reverse, same, with(2)), 4), 10);
    EXPECT_EQ(
        sum_of(penstock::as_completed(
                   ex, std::views::all(numbers) | std::views::filter([](int n) { return n % 2 == 0; }), same, with(2)),
               2),
        6);
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::views::iota(0) | std::views::take(10), same, with(2)), 10), 45);

    // A view refers to elements of somebody else's: they are copied, whatever the view's own value category.
    std::vector<std::string> words(3, "a word that is long enough not to fit into the string object");
    const auto expected = words;
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, std::span(words), [](std::string& w) { return std::exchange(w, "").size(); }, with(2)),
                     3),
              180);
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, words | std::views::take(2), [](std::string w) { return w.size(); }, with(2)),
                     2),
              120);
    EXPECT_EQ(words, expected);
}

TEST_P(ProducerKinds, MayBeAStreamOfText) {
    std::istringstream text("10 20 30 40");
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, std::views::istream<int>(text), [](int n) { return n; }, with(2)),
                     4),
              100);
    std::istringstream words("a bb ccc");
    EXPECT_EQ(
        sum_of(penstock::as_completed(
                   ex, std::views::istream<std::string>(words), [](const std::string& w) { return w.size(); }, with(2)),
               3),
        6);
}

TEST_P(ProducerKinds, MayBeATransformThatMakesJobsOfTemporaries) {
    auto jobs = std::views::iota(0, 100) | std::views::transform([](int i) {
                    std::string text(static_cast<std::size_t>(i), 'x');
                    return [text = std::move(text)] { return text.size(); };
                });
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::move(jobs), with(7)), 100), 4950);
}

TEST_P(ProducerKinds, MayBeAnyCallable) {
    struct countdown {
        int left;
        tracked_value<int> held{0};
        std::optional<int> operator()() { return left == 0 ? std::nullopt : std::optional(left--); }
    };
    const auto same = [](int n) { return n; };
    EXPECT_EQ(sum_of(penstock::as_completed(ex, countdown{10}, same, with(3)), 10), 55);
    countdown kept{10};
    EXPECT_EQ(sum_of(penstock::as_completed(ex, kept, same, with(3)), 10), 55);
    EXPECT_EQ(kept.left, 0) << "an lvalue callable is referenced";

    std::function<std::optional<int>()> erased = countdown{10};
    EXPECT_EQ(sum_of(penstock::as_completed(ex, erased, same, with(3)), 10), 55);

    int left = 10;
    const auto with_token = [&left](std::stop_token token) -> std::optional<int> {
        EXPECT_FALSE(token.stop_requested());
        return left == 0 ? std::nullopt : std::optional(left--);
    };
    EXPECT_EQ(sum_of(penstock::as_completed(ex, with_token, same, with(3)), 10), 55);
}

}  // namespace
