// SPDX-License-Identifier: MIT
/// Coroutines as tasks of a stream.
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;

class Task : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Task, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

task<int> twice(int x) { co_return 2 * x; }

task<long> sum_to(long n) {
    if (n == 0) co_return 0;
    co_return n + co_await sum_to(n - 1);
}

TEST_P(Task, GivesWhatItReturns) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 500), [](int i) { return twice(i); }, with(7));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), 2 * done.input());
        ++count;
    }
    EXPECT_EQ(count, 500U);
}

TEST_P(Task, MaySleepManyAtATime) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000),
        [](int i) -> task<int> {
            co_await penstock::sleep_for(std::chrono::microseconds(i % 5 * 1000));
            co_return i;
        },
        with(500));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), done.input());
        ++count;
    }
    EXPECT_EQ(count, 2000U);
}

TEST_P(Task, AwaitsReadyTasksWithoutUsingUpTheStack) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [](int) -> task<long> {
            long sum = 0;
            for (int i = 0; i < 1'000'000; ++i) sum += co_await twice(i);
            co_return sum;
        },
        with(2));
    for (auto& done : stream) EXPECT_EQ(done.get(), 999'999'000'000L);
}

TEST_P(Task, AwaitsTasksAHundredThousandDeep) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2), [](int) { return sum_to(100'000); }, with(2));
    for (auto& done : stream) EXPECT_EQ(done.get(), 5'000'050'000);
}

TEST_P(Task, RunsWhatBlocksElsewhereAndComesBack) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 200),
        [](int i) -> task<int> {
            const int read = co_await penstock::run_blocking([](int x) { return x + 1; }, i);
            EXPECT_LT(penstock::this_worker(), 8U);
            co_await penstock::yield();
            co_return read;
        },
        with(20));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), done.input() + 1);
        ++count;
    }
    EXPECT_EQ(count, 200U);
}

struct other_thread {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        std::thread([waiting] { waiting.resume(); }).detach();
    }
    int await_resume() const noexcept { return 7; }
};

TEST_P(Task, AwaitsWhatIsNotOurs) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 100),
        [](int) -> task<int> {
            const int seven = co_await other_thread{};
            EXPECT_LT(penstock::this_worker(), 8U);
            co_return seven;
        },
        with(20));
    for (auto& done : stream) EXPECT_EQ(done.get(), 7);
}

TEST_P(Task, IsWokenByAStop) {
    std::atomic<int> asleep{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 50),
        [&](int) -> task<> {
            ++asleep;
            co_await penstock::sleep_for(1h);
        },
        with(50));
    ASSERT_TRUE(support::eventually([&] { return asleep == 50; }));
    stream.request_stop();
    std::size_t count = 0;
    try {
        while (auto done = stream.next()) {
            EXPECT_THROW(done->get(), penstock::stopped);
            ++count;
        }
    } catch (const penstock::stopped&) {  // unless the producer's end had been seen
    }
    EXPECT_EQ(count, 50U);
}

TEST_P(Task, ConsumesAStreamWithoutHoldingAThread) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int i) -> task<long> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 50),
                [](int x) -> task<int> {
                    co_await penstock::sleep_for(100us);
                    co_return x;
                },
                with(8));
            long sum = 0;
            while (auto done = co_await inner.async_next()) sum += done->get();
            co_return sum + i;
        },
        with(5));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), 1225 + done.input());
        ++count;
    }
    EXPECT_EQ(count, 20U);
}

TEST_P(Task, LeavesAStreamWithoutHoldingAThread) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int i) -> task<int> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [](int x) -> task<int> {
                    co_await penstock::sleep_for(x == 0 ? 0us : 1h);
                    co_return x;
                },
                with(8));
            auto first = co_await inner.async_next();
            co_await inner.async_join();
            co_return first->get() + i;
        },
        with(5));
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), done.input());
        ++count;
    }
    EXPECT_EQ(count, 20U);
}

TEST_P(Task, WaitsForWhatACallbackSets) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 100),
        [&](int i) -> task<int> {
            penstock::completion_source<int> source;
            std::thread([&source, i] { source.set_value(i); }).detach();
            co_return co_await source.wait();
        },
        with(5));
    for (auto& done : stream) EXPECT_EQ(done.get(), done.input());
}

TEST_P(Task, IsToldThatNobodyWillSetItsSource) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) -> task<int> {
            auto source = std::make_unique<penstock::completion_source<int>>();
            auto wait = source->wait();
            source.reset();
            const int never = co_await wait;
            co_return never;
        },
        with(5));
    for (auto& done : stream) EXPECT_THROW(done.get(), penstock::broken_task);
}

TEST_P(Task, CanBeAwaitedOnce) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 3),
        [](int i) -> task<int> {
            auto value = [](int x) -> task<int> { co_return x; };
            auto once = value(i);
            if (i == 1) static_cast<void>(co_await once);
            if (i == 2) {
                const auto moved = std::move(once);
            }
            co_return co_await once;  // NOLINT(bugprone-use-after-move)
        },
        with(3));
    int refused = 0;
    for (auto& done : stream) {
        if (done.index() == 0) {
            EXPECT_EQ(done.get(), 0);
        } else {
            EXPECT_THROW(done.get(), std::logic_error);
            ++refused;
        }
    }
    EXPECT_EQ(refused, 2);
}

TEST_P(Task, ThatWasMovedFromIsAnErrorOfItsOwnInAStream) {
    auto value = [](int x) -> task<int> { co_return x; };
    std::vector<task<int>> jobs;
    for (int i = 0; i < 5; ++i) jobs.push_back(value(i));
    { const auto moved = std::move(jobs[3]); }
    auto stream = penstock::as_completed(ex, std::move(jobs), with(2));
    std::size_t values = 0;
    for (auto& done : stream) {
        if (done.index() == 3) {
            EXPECT_THROW(done.get(), std::logic_error);
        } else {
            EXPECT_EQ(done.get(), static_cast<int>(done.index()));
            ++values;
        }
    }
    EXPECT_EQ(values, 4U);
}

}  // namespace
