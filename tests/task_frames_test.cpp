// SPDX-License-Identifier: MIT
/// Every frame is destroyed once, with all that it holds, in whatever way its task ends.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_unique;
using support::tracked_value;

class TaskFrames : public support::contract_test {
protected:
    static task<tracked_value<int>> leaf(int i, tracked_value<int> parameter) {
        const tracked local;
        if (i % 2 == 0) co_await penstock::yield();
        if (i % 7 == 0) throw test_error(i);
        co_return tracked_value(parameter.value);
    }
    static task<tracked_value<int>> branch(int i, tracked_value<int> parameter) {
        const tracked local;
        if (i % 3 == 0) co_await penstock::sleep_for(30us);
        co_return co_await leaf(i, std::move(parameter));
    }
    static task<tracked_value<int>> endless(int i) {
        const tracked local;
        if (i % 3 == 0) co_await penstock::sleep_for(1h);
        if (i % 3 == 1) {
            penstock::completion_source<> never;
            co_await never.wait();
        }
        for (const auto token = co_await penstock::current_stop_token(); !token.stop_requested();) {
            co_await penstock::yield();
        }
        co_return tracked_value(i);
    }
};
INSTANTIATE_TEST_SUITE_P(, TaskFrames, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

TEST_P(TaskFrames, AreGoneWhenTheResultIsThere) {
    struct announced {
        std::atomic<bool>& gone;
        ~announced() { gone = true; }
    };
    std::vector<std::atomic<bool>> gone(50);
    auto stream = penstock::as_completed(
        ex, std::views::iota(std::size_t{0}, gone.size()),
        [&](std::size_t i) -> task<std::unique_ptr<std::size_t>> {
            const announced local{gone[i]};
            co_await penstock::yield();
            co_return std::make_unique<std::size_t>(i);
        },
        with(5));
    while (auto done = stream.next()) {
        EXPECT_TRUE(gone[done->index()]);
        EXPECT_EQ(*done->get(), done->input());
    }
    EXPECT_EQ(stream.stats().taken, gone.size());
}

TEST_P(TaskFrames, EndWithValuesAndExceptions) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000), [](int i) { return branch(i, tracked_value(i)); }, with(20));
    std::set<int> seen;
    for (auto& done : stream) {
        EXPECT_TRUE(seen.insert(done.input()).second);
        if (done.input() % 7 == 0) {
            EXPECT_THROW(done.get(), test_error);
        } else {
            EXPECT_EQ(done.get().value, done.input());
        }
    }
    EXPECT_EQ(seen.size(), 2000U);
    EXPECT_EQ(stream.stats().failed, 286U);
}

TEST_P(TaskFrames, AreDestroyedIfTheyNeverBegin) {
    {
        const auto unused = branch(1, tracked_value(1));
        auto given_up = leaf(1, tracked_value(1));
        given_up = leaf(2, tracked_value(2));
        EXPECT_EQ(tracked::live(), 2);
    }
    EXPECT_EQ(tracked::live(), 0);
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int i) -> task<int> {
            const auto unused = branch(i, tracked_value(i));
            co_await penstock::yield();
            co_return i;
        },
        with(5));
    EXPECT_EQ(support::drain(stream), 20U);
}

TEST_P(TaskFrames, OfAProducerOfTasksAreDestroyedWhetherTheyBeganOrNot) {
    for (int taken = 0; taken < 30; ++taken) {
        auto jobs = std::views::iota(0) | std::views::transform([](int i) { return branch(i, tracked_value(i)); });
        auto stream = penstock::as_completed(ex, jobs, with(1 + static_cast<std::size_t>(taken) % 8));
        for (int i = 0; i < taken; ++i) EXPECT_TRUE(stream.next());
    }
}

TEST_P(TaskFrames, AreGoneWhenTheStreamIsDestroyed) {
    for (const std::size_t limit : {1U, 2U, 7U, 100U}) {
        for (int round = 0; round < 10; ++round) {
            {
                auto stream = penstock::as_completed(ex, std::views::iota(0), &TaskFrames::endless, with(limit));
                if (round > 0) {
                    EXPECT_TRUE(support::eventually([&] { return stream.stats().running == limit; }));
                }
            }
            EXPECT_EQ(tracked::live(), 0);
        }
    }
}

TEST_P(TaskFrames, AreGoneAfterAStop) {
    for (int round = 0; round < 20; ++round) {
        auto stream = penstock::as_completed(ex, std::views::iota(0), &TaskFrames::endless, with(10));
        if (round > 5) {
            EXPECT_TRUE(support::eventually([&] { return stream.stats().running == 10; }));
        }
        stream.request_stop();
        EXPECT_THROW(support::drain(stream), penstock::stopped);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
        EXPECT_TRUE(support::eventually([] { return tracked::live() == 0; }));
    }
}

TEST_P(TaskFrames, AreGoneAfterAFailureThatEndsTheStream) {
    auto settings = with(10);
    settings.on_error = penstock::on_error::stop;
    for (int round = 0; round < 20; ++round) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int i) -> task<tracked_value<int>> {
                const tracked local;
                co_await penstock::yield();
                if (i == 13) throw test_error(i);
                if (i > 13) co_await penstock::sleep_for(1h);
                co_return tracked_value(i);
            },
            settings);
        std::size_t count = 0;
        try {
            while (stream.next()) ++count;
            ADD_FAILURE() << "the failure is thrown";
        } catch (const test_error& error) {
            EXPECT_EQ(error.code, 13);
        }
        if (in_order()) {
            EXPECT_EQ(count, 13U);
        }
        EXPECT_LE(count, 13U);
        EXPECT_FALSE(stream.next());
    }
}

TEST_P(TaskFrames, AreGoneAfterADeadline) {
    auto settings = with(10);
    settings.deadline = std::chrono::steady_clock::now() + 20ms;
    {
        auto stream = penstock::as_completed(ex, std::views::iota(0), &TaskFrames::endless, settings);
        EXPECT_THROW(support::drain(stream), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(stream.stats().ready, 0U);
    }
    EXPECT_EQ(tracked::live(), 0);
}

TEST_P(TaskFrames, KeepParametersInputsAndTheStreamsFunctionToTheirEnd) {
    const auto make =
        [held = tracked_value(std::string(100, 'x'))](const tracked_value<std::string>& input) -> task<std::string> {
        co_await penstock::yield();
        held.check();
        input.check();
        co_await penstock::sleep_for(20us);
        held.check();
        co_return held.value + input.value;
    };
    auto inputs =
        std::views::iota(0, 100) | std::views::transform([](int i) { return tracked_value(std::to_string(i)); });
    auto stream = penstock::as_completed(ex, inputs, make, with(9));
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), std::string(100, 'x') + done.input().value);
        EXPECT_EQ(done.input().value, std::to_string(done.index()));
    }
}

TEST_P(TaskFrames, KeepTheLambdaThatAJobWasToItsEnd) {
    auto jobs = std::views::iota(0, 100) | std::views::transform([](int i) {
                    return [held = tracked_value(std::string(100, 'x')), i]() -> task<std::string> {
                        co_await penstock::yield();
                        held.check();
                        co_await penstock::sleep_for(20us);
                        held.check();
                        co_return held.value + std::to_string(i);
                    };
                });
    auto stream = penstock::as_completed(ex, jobs, with(9));
    for (auto& done : stream) EXPECT_EQ(done.get(), std::string(100, 'x') + std::to_string(done.index()));
}

TEST_P(TaskFrames, MoveResultsThatCanOnlyBeMoved) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 300),
        [](int i) -> task<tracked_unique<int>> {
            const auto inner = [](int x) -> task<tracked_unique<int>> {
                co_await penstock::yield();
                co_return tracked_unique(x);
            };
            auto pending = inner(i);
            co_return co_await std::move(pending);
        },
        with(9));
    for (auto& done : stream) EXPECT_EQ(done.get().value, done.input());
}

TEST_P(TaskFrames, OutliveAStackOfAHundredThousandAwaits) {
    struct recursion {
        static task<int> down(int n) {
            const tracked local;
            if (n == 0) co_await penstock::yield();
            if (n == 0) throw test_error(7);
            co_return 1 + co_await down(n - 1);
        }
    };
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2), [](int) { return recursion::down(100'000); }, with(2));
    for (auto& done : stream) EXPECT_THROW(done.get(), test_error);
}

}  // namespace
