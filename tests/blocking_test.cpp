// SPDX-License-Identifier: MIT
/// Jobs that may block: off the workers, and otherwise as any job.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <pthread.h>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::blocking;
using support::in_both_forms;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

using text_job = decltype(blocking([] { return std::string(); }));
static_assert(penstock::job<text_job> && !penstock::cpu_job<text_job>);
static_assert(std::is_same_v<decltype(penstock::as_completed(std::declval<penstock::executor&>(),
                                                             std::declval<std::vector<text_job>>(), 1)),
                             penstock::completion_stream<std::string>>);
static_assert(std::is_same_v<decltype(penstock::as_completed(
                                 std::declval<penstock::executor&>(), std::declval<std::vector<int>>(),
                                 [](int) { return blocking([] { return std::string(); }); }, 1)),
                             penstock::completion_stream<std::string, int>>);

class Blocking : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Blocking, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

TEST_P(Blocking, GivesTheResultsOfJobs) {
    auto jobs = std::views::iota(0, 500) | std::views::transform([](int i) { return blocking([i] { return 2 * i; }); });
    long sum = 0;
    for (auto& done : penstock::as_completed(ex, jobs, with(7))) {
        EXPECT_EQ(static_cast<std::size_t>(done.get()), 2 * done.index());
        sum += static_cast<long>(done.index());
    }
    EXPECT_EQ(sum, 499 * 500 / 2);
}

TEST_P(Blocking, GivesTheResultsOfWhatAFunctionReturns) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 500),
        [](int i) {
            return blocking([text = std::to_string(i), witness = support::tracked()] { return std::stoi(text); });
        },
        with(7));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), done.input());
        ++count;
    }
    EXPECT_EQ(count, 500U);
}

TEST_P(Blocking, MayBeWhatTheFunctionsOfCollectAndForEachReturn) {
    const auto squares = penstock::collect(
        ex, std::views::iota(0, 100), [](int i) { return blocking([i] { return i * i; }); }, with(5));
    ASSERT_EQ(squares.size(), 100U);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(squares[static_cast<std::size_t>(i)], i * i);
    std::atomic<int> sum{0};
    penstock::for_each(
        ex, std::views::iota(0, 100), [&](int i) { return blocking([&, i] { sum += i; }); }, with(5));
    EXPECT_EQ(sum, 4950);
    const auto fails = [](int i) {
        return blocking([i] {
            if (i == 50) throw test_error(i);
            return i;
        });
    };
    EXPECT_THROW(penstock::collect(ex, std::views::iota(0, 100), fails, with(5)), test_error);
    EXPECT_THROW(penstock::for_each(ex, std::views::iota(0, 100), fails, with(5)), test_error);
}

TEST_P(Blocking, GivesEachResultOnceAndInItsOrder) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 16U}) {
            auto stream = start(
                ex, std::views::iota(0, 300),
                [](int i) {
                    if (i % 32 == 0) std::this_thread::sleep_for(100us);  // overtaken by those behind it
                    return tracked_value(i);
                },
                with(limit));
            std::vector<std::size_t> came;
            while (auto done = stream.next()) {
                EXPECT_EQ(static_cast<std::size_t>(done->get().value), done->index());
                came.push_back(done->index());
            }
            if (!in_order()) std::sort(came.begin(), came.end());
            ASSERT_EQ(came.size(), 300U);
            for (std::size_t i = 0; i < came.size(); ++i) ASSERT_EQ(came[i], i);
        }
    });
}

TEST_P(Blocking, RunsOnNoWorkerAndNotOnTheConsumersThread) {
    const auto consumer = std::this_thread::get_id();
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 200),
            [consumer](int) {
                EXPECT_EQ(penstock::this_worker(), SIZE_MAX);
                EXPECT_NE(std::this_thread::get_id(), consumer);
                char name[16] = {};
                pthread_getname_np(pthread_self(), name, sizeof name);
                return std::string(name);
            },
            with(5));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), "penstock/b");
        EXPECT_EQ(stream.stats().taken, 200U);
    });
}

TEST_P(Blocking, NamesItsThreadsSoThatTheyCanBeToldFromWorkers) {
    penstock::executor named({.workers = workers(), .thread_name = "a very long name for a worker"});
    auto stream = penstock::as_completed(
        named, std::views::iota(0, 5),
        [](int) {
            return blocking([] {
                char name[16] = {};
                pthread_getname_np(pthread_self(), name, sizeof name);
                return std::string(name);
            });
        },
        with(2));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), "a very long n/b");
    EXPECT_EQ(stream.stats().taken, 5U);
}

TEST_P(Blocking, HandsOverJobsThatCanOnlyBeMovedAndCalledOnce) {
    struct once {
        std::unique_ptr<int> value;
        support::tracked life;
        tracked_unique<int> operator()() && { return tracked_unique<int>(*std::unique_ptr<int>(std::move(value))); }
    };
    std::vector<penstock::blocking_job<once>> jobs;
    for (int i = 0; i < 40; ++i) jobs.push_back(blocking(once{std::make_unique<int>(i), {}}));
    auto elements = penstock::as_completed(ex, std::move(jobs), with(3));
    while (auto done = elements.next()) EXPECT_EQ(done->get().value, static_cast<int>(done->index()));
    EXPECT_EQ(elements.stats().taken, 40U);

    auto returned = penstock::as_completed(
        ex, std::views::iota(0, 40),
        [](int i) {
            return blocking(once{std::make_unique<int>(i), {}});
        },
        with(3));
    while (auto done = returned.next()) EXPECT_EQ(done->get().value, done->input());
    EXPECT_EQ(returned.stats().taken, 40U);
}

TEST_P(Blocking, MayReferToItsInputForAsLongAsItRuns) {
    std::vector<tracked_value<std::string>> inputs;
    for (int i = 0; i < 60; ++i) inputs.emplace_back("input number " + std::to_string(i));
    auto stream = penstock::as_completed(
        ex, std::move(inputs),
        [](tracked_value<std::string>& in) {
            return blocking([&in] {
                in.check();
                if (in.value.ends_with('7')) throw test_error(7);
                in.value += ", read";
                return in.value.size();
            });
        },
        with(5));
    while (auto done = stream.next()) {
        const std::string unread = "input number " + std::to_string(done->index());
        EXPECT_EQ(done->input().value, unread + (done->has_value() ? ", read" : ""));
        EXPECT_EQ(done->has_value(), !unread.ends_with('7'));
    }
    EXPECT_EQ(stream.stats().taken, 60U);
}

TEST_P(Blocking, OfVoidGivesNothingOrThrows) {
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 20),
            [](int i) {
                if (i % 2) throw test_error(i);
            },
            with(4));
        while (auto done = stream.next()) {
            static_assert(std::is_void_v<decltype(done->get())>);
            if (done->index() % 2) {
                EXPECT_THROW(done->get(), test_error);
            } else {
                EXPECT_NO_THROW(done->get());
            }
        }
    });
}

TEST_P(Blocking, DestroysWhatAJobHeldBeforeItsResultIsTaken) {
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 1), [held = support::tracked()](int i) { return held.check(), i; }, with(1));
        // The stream itself keeps one: the function, or what makes the jobs.
        ASSERT_TRUE(stream.next());
        EXPECT_EQ(support::tracked::live(), 1);
    });
}

TEST_P(Blocking, MeasuresFromItsStartToItsEndIfAsked) {
    auto settings = with(2);
    settings.measure = true;
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 10),
            [](int i) {
                std::this_thread::sleep_for(2ms);
                if (i % 2) throw test_error(i);
            },
            settings);
        while (auto done = stream.next()) {
            EXPECT_GE(done->elapsed(), 2ms);
            EXPECT_LT(done->elapsed(), support::patience);
        }
        EXPECT_EQ(stream.stats().taken, 10U);
        auto unmeasured = start(
            ex, std::views::iota(0, 10), [](int) {}, with(2));
        while (auto done = unmeasured.next()) EXPECT_EQ(done->elapsed(), 0ns);
        EXPECT_EQ(unmeasured.stats().taken, 10U);
    });
}

TEST_P(Blocking, MeasuresWhatComesBeforeItInTheFunctionToo) {
    auto settings = with(2);
    settings.measure = true;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int i) {
            support::spin_for(1ms);
            if (i % 2) throw test_error(i);
            return blocking([] { std::this_thread::sleep_for(2ms); });
        },
        settings);
    while (auto done = stream.next()) EXPECT_GE(done->elapsed(), done->index() % 2 ? 1ms : 3ms) << done->index();
    EXPECT_EQ(stream.stats().taken, 20U);
}

}  // namespace
