// SPDX-License-Identifier: MIT
/// C3: how a producer is called, what its exception does, and what can be one.
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using support::latch;
using support::pull_watch;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

class Producer : public support::contract_test {
protected:
    std::size_t window(std::size_t limit) const { return in_order() ? 5 * limit : 2 * limit; }

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
INSTANTIATE_TEST_SUITE_P(, Producer, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Producer, IsCalledByOneThreadAtATimeAndNeverAfterItsEnd) {
    for (const std::size_t limit : {1U, 3U, 64U}) {
        pull_watch watch(window(limit));
        std::size_t calls = 0;
        bool ended = false;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<std::function<void()>> {
                pull_watch::call call(watch);
                EXPECT_FALSE(ended) << "called after its end";
                if (calls++ == 3000) {
                    ended = true;
                    return std::nullopt;
                }
                call.give();
                return [] {};
            },
            with(limit));
        while (watch.next(stream)) {
        }
        EXPECT_EQ(calls, 3001U);
        EXPECT_EQ(watch.overlaps(), 0U);
    }
}

TEST_P(Producer, ThatThrowsIsHeardOnceAfterEverythingPulledWasDelivered) {
    for (const std::size_t limit : {1U, 3U}) {
        for (std::size_t k = 0; k <= 2 * limit + 2; ++k) {
            std::size_t calls = 0;
            std::atomic<bool> thrown{false};
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<std::function<void()>> {
                    EXPECT_FALSE(thrown) << "called after its exception";
                    if (calls++ == k) {
                        thrown = true;
                        throw test_error(static_cast<long>(k));
                    }
                    return [] {};
                },
                with(limit));
            std::size_t delivered = 0;
            try {
                while (stream.next()) ++delivered;
                FAIL() << "the exception was swallowed";
            } catch (const test_error& error) {
                EXPECT_EQ(error.code, static_cast<long>(k));
            }
            EXPECT_EQ(delivered, k);
            EXPECT_FALSE(stream.next());
            EXPECT_FALSE(stream.next());
            EXPECT_TRUE(stream.done());
        }
    }
}

/// A range whose iterator throws where it is told to.
struct hostile_range {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        int operator*() const {
            if (at == range->bad_dereference) throw test_error(at);
            return at;
        }
        iterator& operator++() {
            if (at == range->bad_increment) throw test_error(at);
            ++at;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return at == 40; }
        const hostile_range* range = nullptr;
        int at = 0;
    };
    iterator begin() const {
        if (bad_begin) throw test_error(-1);
        return {this, 0};
    }
    std::default_sentinel_t end() const { return {}; }
    int bad_increment = -1;
    int bad_dereference = -1;
    bool bad_begin = false;
};

TEST_P(Producer, ThatIsARangeMayThrowInEachOfItsOperations) {
    const auto delivered_before_the_error = [&](const hostile_range& range) {
        auto stream = penstock::as_completed(
            ex, range, [](int i) { return i; }, with(3));
        int delivered = 0;
        EXPECT_THROW(
            {
                while (stream.next()) ++delivered;
            },
            test_error);
        EXPECT_FALSE(stream.next());
        return delivered;
    };
    for (int k = 0; k <= 8; ++k) {
        EXPECT_EQ(delivered_before_the_error({.bad_increment = k}), k + 1);
        EXPECT_EQ(delivered_before_the_error({.bad_dereference = k}), k);
    }
    EXPECT_EQ(delivered_before_the_error({.bad_begin = true}), 0);
}

TEST_P(Producer, ThatBlocksHoldsUpNeitherResultsNorAStop) {
    if (workers() < 2 && !GetParam().help) GTEST_SKIP() << "with one worker nobody else could run them (C12)";
    latch hold;
    std::atomic<bool> blocked{false};
    std::size_t calls = 0;
    auto settings = with(8);
    settings.help = false;  // nor the consumer, which would be the one inside
    if (workers() < 2) GTEST_SKIP();
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<int()>> {
            if (calls++ == 4) {
                blocked = true;
                EXPECT_TRUE(hold.wait());
            }
            return [] { return 1; };
        },
        settings);
    ASSERT_TRUE(support::eventually([&] { return blocked.load(); }));
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(stream.next());
    EXPECT_FALSE(stream.try_next());
    EXPECT_FALSE(stream.next_for(std::chrono::milliseconds(1)));
    EXPECT_FALSE(stream.done());
    stream.request_stop();
    EXPECT_THROW(stream.next(), penstock::stopped) << "next() must not wait for the producer";
    EXPECT_FALSE(stream.next());
    hold.open();
}

TEST_P(Producer, IsAskedForNothingBeyondTheWindow) {
    // Laziness, with the consumer away: not one element more.
    std::atomic<std::size_t> pulled{0};
    auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                    EXPECT_LE(++pulled, window(4));
                    return [i] { return i; };
                });
    auto stream = penstock::as_completed(ex, jobs, with(4));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().ready == window(4); }));
    EXPECT_EQ(pulled, window(4));
}

TEST_P(Producer, MayBeEmpty) {
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::vector<int (*)()>{}, with(4)), 0), 0);
    EXPECT_EQ(sum_of(penstock::as_completed(
                         ex, [] { return std::optional<int (*)()>(); }, with(4)),
                     0),
              0);
}

TEST_P(Producer, MayBeAVectorThatStaysTheCallers) {
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

TEST_P(Producer, MayBeAnRvalueContainerOfMoveOnlyThings) {
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

TEST_P(Producer, MayBeAView) {
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

TEST_P(Producer, MayBeAStreamOfText) {
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

TEST_P(Producer, MayBeATransformThatMakesJobsOfTemporaries) {
    auto jobs = std::views::iota(0, 100) | std::views::transform([](int i) {
                    std::string text(static_cast<std::size_t>(i), 'x');
                    return [text = std::move(text)] { return text.size(); };
                });
    EXPECT_EQ(sum_of(penstock::as_completed(ex, std::move(jobs), with(7)), 100), 4950);
}

TEST_P(Producer, MayBeAnyCallable) {
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
