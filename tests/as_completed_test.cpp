// SPDX-License-Identifier: MIT
/// The one call: what it accepts, that every task has one outcome, and that what it carries arrives intact.
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::tracked_unique;
using support::tracked_value;

class AsCompleted : public support::contract_test {
protected:
    /// The values in the order of their indexes.
    template <class Stream>
    static auto values(Stream stream) {
        using value = decltype(stream.next()->get());
        std::vector<std::optional<value>> found;
        while (auto done = stream.next()) {
            if (found.size() <= done->index()) found.resize(done->index() + 1);
            EXPECT_FALSE(found[done->index()]) << "twice: " << done->index();
            found[done->index()].emplace(done->get());
        }
        std::vector<value> all;
        for (auto& each : found) {
            EXPECT_TRUE(each);
            all.push_back(std::move(*each));
        }
        return all;
    }
};
INSTANTIATE_TEST_SUITE_P(, AsCompleted, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

class AsCompletedOnOneWorkerWithoutHelp : public AsCompleted {};
INSTANTIATE_TEST_SUITE_P(, AsCompletedOnOneWorkerWithoutHelp,
                         ::testing::ValuesIn(support::settings_with([](const auto& s) {
                             return s.workers == 1 && !s.help;
                         })),
                         support::name_of_setting);

class AsCompletedOutOfOrderOnSeveralWorkers : public AsCompleted {};
INSTANTIATE_TEST_SUITE_P(, AsCompletedOutOfOrderOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::in_completion_order,
                                                                    support::several_workers)),
                         support::name_of_setting);

TEST_P(AsCompleted, RunsEachTaskExactlyOnce) {
    for (const std::size_t limit : {1U, 2U, 3U, 7U, 64U, 1000U}) {
        for (const std::size_t count :
             {std::size_t{0}, std::size_t{1}, limit - 1, limit, limit + 1, std::size_t{5000}}) {
            std::vector<std::atomic<int>> ran(count);
            auto stream = penstock::as_completed(
                ex, std::views::iota(std::size_t{0}, count),
                [&](std::size_t i) {
                    ++ran[i];
                    return i;
                },
                with(limit));
            std::vector<int> delivered(count);
            while (auto done = stream.next()) {
                ++delivered[done->index()];
                EXPECT_EQ(done->get(), done->index());
            }
            EXPECT_TRUE(std::ranges::all_of(ran, [](const auto& n) { return n == 1; }));
            EXPECT_TRUE(std::ranges::all_of(delivered, [](int n) { return n == 1; }));
        }
    }
}

TEST_P(AsCompleted, DeliversInTheOrderOfSubmissionIfAsked) {
    auto settings = with(16);
    settings.order = penstock::order::submission;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000),
        [](int i) {
            if (i % 37 == 0) support::spin_for(std::chrono::microseconds(30));
            return i;
        },
        settings);
    std::size_t expected = 0;
    while (auto done = stream.next()) {
        EXPECT_EQ(done->index(), expected);
        EXPECT_EQ(done->get(), static_cast<int>(expected++));
    }
    EXPECT_EQ(expected, 2000U);
}

TEST_P(AsCompletedOutOfOrderOnSeveralWorkers, DeliversAQuickTaskBeforeASlowEarlierOneInCompletionOrder) {
    support::latch hold;
    auto settings = with(2);
    settings.help = false;  // a consumer that helps may be the one that runs the slow task
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int i) {
            if (i == 0) {
                EXPECT_TRUE(hold.wait());
            }
        },
        settings);
    auto first = stream.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->index(), 1U);
    hold.open();
    EXPECT_EQ(stream.next()->index(), 0U);
}

TEST_P(AsCompletedOnOneWorkerWithoutHelp, DeliversInTheOrderOfFinishingOnOneWorkerWithoutHelp) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000), [](int i) { return i; }, with(16));
    std::size_t expected = 0;
    while (auto done = stream.next()) EXPECT_EQ(done->index(), expected++);
    EXPECT_EQ(expected, 2000U);
}

TEST_P(AsCompletedOnOneWorkerWithoutHelp, DeliversInThatOrderToWhoLooksAllTheTime) {
    // Now and then the consumer finds the worker between the end of a task and the next batch.
    const auto busy_for_a_moment = [](int i) {
        for (std::atomic<int> steps{i % 7 * 30}; steps > 0; --steps) continue;
    };
    for (const std::size_t limit : {4U, 16U, 64U}) {
        for (int round = 0; round < 10; ++round) {
            auto stream = penstock::as_completed(ex, std::views::iota(0, 10'000), busy_for_a_moment, with(limit));
            std::size_t expected = 0;
            std::size_t out_of_order = 0;
            while (!stream.done()) {
                const auto done = stream.try_next();
                if (done && done->index() != expected++) ++out_of_order;
            }
            EXPECT_EQ(out_of_order, 0U);
            EXPECT_EQ(expected, 10'000U);
        }
    }
}

TEST_P(AsCompleted, CarriesWhatIsNotAtomicFromThreadToThread) {
    // I13: written in the producer, read and written in the task, read by the consumer; ThreadSanitizer looks.
    struct payload {
        std::array<unsigned, 64> words{};
        void fill(unsigned seed) {
            for (auto& word : words) word = seed = seed * 1664525 + 1013904223;
        }
        bool intact(unsigned seed) const {
            payload expected;
            expected.fill(seed);
            return expected.words == words;
        }
    };
    std::vector<payload> places(3000);
    unsigned next = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<payload()>> {
            if (next == places.size()) return std::nullopt;
            payload* place = &places[next];
            place->fill(next);
            return [place, i = next++] {
                EXPECT_TRUE(place->intact(i));
                place->fill(i + 1);
                payload result;
                result.fill(i + 2);
                return result;
            };
        },
        with(16));
    while (auto done = stream.next()) {
        const auto i = static_cast<unsigned>(done->index());
        EXPECT_TRUE(places[i].intact(i + 1));
        EXPECT_TRUE(done->get().intact(i + 2));
    }
    EXPECT_EQ(stream.stats().taken, places.size());
}

TEST_P(AsCompleted, PassesTheStopTokenBehindTheInput) {
    std::stop_source source;
    auto settings = with(2);
    settings.stop = source.get_token();
    const auto seen = values(penstock::as_completed(
        ex, std::views::iota(0, 10),
        [](int i, std::stop_token token) { return token.stop_possible() && !token.stop_requested() ? i : -1; },
        settings));
    EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

struct counter {
    int base = 0;
    int twice() const { return 2 * base; }
    int plus(std::stop_token) { return base + 1; }
};

TEST_P(AsCompleted, TakesEveryKindOfFunction) {
    const std::vector<counter> counters{{1}, {2}, {3}};
    EXPECT_EQ(values(penstock::as_completed(ex, counters, &counter::twice, with(2))), (std::vector<int>{2, 4, 6}));
    EXPECT_EQ(values(penstock::as_completed(ex, counters, &counter::plus, with(2))), (std::vector<int>{2, 3, 4}));

    const std::vector<int> inputs{1, 2, 3};
    int (*const pointer)(int) = [](int i) { return i * i; };
    EXPECT_EQ(values(penstock::as_completed(ex, inputs, pointer, with(2))), (std::vector<int>{1, 4, 9}));
    const std::function<int(int)> erased = pointer;
    EXPECT_EQ(values(penstock::as_completed(ex, inputs, erased, with(2))), (std::vector<int>{1, 4, 9}));
    EXPECT_EQ(values(penstock::as_completed(
                  ex, inputs, [held = tracked_unique<int>(5)](int i) { return held.value + i; }, with(2))),
              (std::vector<int>{6, 7, 8}));
    EXPECT_EQ(values(penstock::as_completed(
                  ex, inputs, [](auto&& i) { return i; }, with(2))),
              inputs);
    EXPECT_EQ(values(penstock::as_completed(
                  ex, std::vector<std::unique_ptr<int>>(3), [](std::unique_ptr<int> p) { return !p; }, with(2))),
              (std::vector<bool>{true, true, true}));
}

TEST_P(AsCompleted, TakesALimitInsteadOfOptions) {
    const std::vector<int> inputs{1, 2, 3};
    EXPECT_EQ(values(penstock::as_completed(
                  ex, inputs, [](int i) { return i; }, 2)),
              inputs);
    const std::vector<int (*)()> jobs{[] { return 4; }, [] { return 5; }};
    EXPECT_EQ(values(penstock::as_completed(ex, jobs, 2U)), (std::vector<int>{4, 5}));
}

TEST_P(AsCompleted, GivesTheFunctionAnLvalueOfItsInput) {
    auto stream = penstock::as_completed(
        ex, std::vector<std::string>(5, "a"), [](auto&& in) { return std::is_lvalue_reference_v<decltype(in)>; },
        with(2));
    while (auto done = stream.next()) EXPECT_TRUE(done->get());
    EXPECT_EQ(stream.stats().taken, 5U);
}

TEST_P(AsCompleted, KeepsTheInputAliveWhileItsTaskRuns) {
    auto inputs = std::views::iota(0, 500) | std::views::transform([](int i) {
                      return tracked_value<std::string>(std::string(100, static_cast<char>('a' + i % 26)));
                  });
    auto stream = penstock::as_completed(
        ex, inputs,
        [](const tracked_value<std::string>& in) {
            std::this_thread::yield();
            in.check();
            return in.value[99];
        },
        with(8));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), static_cast<char>('a' + done->index() % 26));
    EXPECT_EQ(stream.stats().taken, 500U);
}

TEST_P(AsCompleted, DestroysAJobAsSoonAsItHasRun) {
    // A job may hold much: no more than `limit` of them are alive, however many results wait.
    auto jobs =
        std::views::iota(0) | std::views::transform([](int i) { return [i, held = tracked_value(i)] { return i; }; });
    auto stream = penstock::as_completed(ex, jobs, with(4, 100));
    ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == 104; }));
    EXPECT_TRUE(support::eventually([] { return support::tracked::live() == 0; })) << support::tracked::live();
}

}  // namespace
