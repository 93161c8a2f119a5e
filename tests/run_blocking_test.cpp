// SPDX-License-Identifier: MIT
/// Calls that block, made by coroutines: elsewhere, and the coroutine goes on on a worker.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::run_blocking;
using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_unique;
using support::tracked_value;

class RunBlocking : public support::contract_test {
protected:
    template <class Make>
    void run(int count, Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, count),
            [&](int i) -> task<> {
                const tracked local;
                co_await make(i);
                EXPECT_LT(penstock::this_worker(), workers());
            },
            with(10));
        for (auto& done : stream) EXPECT_NO_THROW(done.get());
    }
};
INSTANTIATE_TEST_SUITE_P(, RunBlocking, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

int plain(int a, int b) { return a + b; }

struct counter {
    int add(int more) { return value += more; }
    int value = 0;
};

TEST_P(RunBlocking, GivesWhatTheFunctionReturns) {
    run(100, [](int i) -> task<> {
        EXPECT_EQ(co_await run_blocking(&plain, i, 1), i + 1);
        EXPECT_EQ((co_await run_blocking([](tracked_value<int> x) { return x; }, tracked_value(i))).value, i);
        EXPECT_EQ(*(co_await run_blocking([](int x) { return std::make_unique<int>(x); }, i)), i);
        counter mine;
        EXPECT_EQ(co_await run_blocking(&counter::add, &mine, i), i);
        EXPECT_EQ(mine.value, i);
        EXPECT_EQ(co_await run_blocking([](counter& c) { return c.add(1); }, std::ref(mine)), i + 1);
    });
}

TEST_P(RunBlocking, TakesFunctionsAndArgumentsThatCanOnlyBeMoved) {
    run(100, [](int i) -> task<> {
        auto argument = std::make_unique<int>(i);
        EXPECT_EQ(co_await run_blocking([](std::unique_ptr<int> x) { return *x; }, std::move(argument)), i);
        auto function = [held = tracked_unique(i)](tracked_unique<int> x) { return held.value + x.value; };
        tracked_unique more(i);
        EXPECT_EQ(co_await run_blocking(std::move(function), std::move(more)), 2 * i);
    });
}

TEST_P(RunBlocking, GivesNothingIfThereIsNothing) {
    std::atomic<int> calls{0};
    run(100, [&](int) -> task<> {
        co_await run_blocking([](std::atomic<int>* c) { ++*c; }, &calls);
        static_assert(std::is_void_v<decltype(run_blocking([] {}).await_resume())>);
    });
    EXPECT_EQ(calls, 100);
}

TEST_P(RunBlocking, ThrowsWhatTheFunctionThrows) {
    run(100, [](int i) -> task<> {
        int caught = -1;
        try {
            co_await run_blocking([](int x) -> int { throw test_error(x); }, i);
        } catch (const test_error& error) {
            caught = static_cast<int>(error.code);
        }
        EXPECT_EQ(caught, i);
        EXPECT_EQ(co_await run_blocking(&plain, i, i), 2 * i);
    });
}

TEST_P(RunBlocking, CallsOnNoWorker) {
    run(100, [](int) -> task<> {
        const std::size_t there = co_await run_blocking([] { return penstock::this_worker(); });
        EXPECT_EQ(there, SIZE_MAX);
    });
}

TEST_P(RunBlocking, BlocksAsManyAtATimeAsTheLimitSays) {
    support::rendezvous all(20);
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 40),
        [&](int) -> task<> {
            EXPECT_TRUE(co_await run_blocking([](support::rendezvous* r) { return r->arrive(); }, &all));
        },
        with(20));
    EXPECT_EQ(support::drain(stream), 40U);
}

TEST_P(RunBlocking, KeepsNoWorkerFromComputing) {
    support::latch open;
    std::atomic<std::size_t> inside{0};
    auto blocked = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int) -> task<> {
            ++inside;
            EXPECT_TRUE(co_await run_blocking([](support::latch* l) { return l->wait(); }, &open));
        },
        with(20));
    EXPECT_TRUE(support::eventually([&] { return inside == 20; }));
    auto others = penstock::as_completed(ex, std::views::iota(0, 1000), [](int i) { return i; }, with(8));
    EXPECT_EQ(support::drain(others), 1000U);
    open.open();
    EXPECT_EQ(support::drain(blocked), 20U);
}

TEST_P(RunBlocking, RunsToItsEndAfterAStop) {
    support::latch open;
    std::atomic<int> inside{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) -> task<int> {
            const tracked local;
            co_await run_blocking(
                [](support::latch* l, std::atomic<int>* in) {
                    ++*in;
                    EXPECT_TRUE(l->wait());
                },
                &open, &inside);
            co_return i;
        },
        with(5));
    EXPECT_TRUE(support::eventually([&] { return inside == 5; }));
    stream.request_stop();
    open.open();
    std::size_t values = 0;
    try {
        while (auto done = stream.next()) values += done->has_value() ? 1 : 0;
        ADD_FAILURE() << "an endless source has been cut off";
    } catch (const penstock::stopped&) {
    }
    EXPECT_EQ(values, 5U);
}

TEST(RunBlockingOnOneThread, ServesTasksOneAfterTheOther) {
    penstock::executor ex({.workers = 2, .max_blocking_threads = 1});
    support::meter inside;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 200),
        [&](int i) -> task<int> {
            co_return co_await run_blocking(
                [](support::meter* m, int x) {
                    const support::meter::visit here(*m);
                    return x;
                },
                &inside, i);
        },
        50);
    std::size_t count = 0;
    for (auto& done : stream) {
        EXPECT_EQ(done.get(), done.input());
        ++count;
    }
    EXPECT_EQ(count, 200U);
    EXPECT_EQ(inside.most(), 1);
}

TEST(RunBlockingOnOneThread, LetsStreamsBeJoinedInsideOthers) {
    penstock::executor ex({.workers = 1, .max_blocking_threads = 1});
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) -> task<int> {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int i) -> task<int> {
                    const tracked local;
                    co_return co_await run_blocking([](int x) { return x; }, i);
                },
                5);
            auto first = co_await inner.async_next();
            co_await inner.async_join();
            co_return first->input();
        },
        4);
    EXPECT_EQ(support::drain(outer), 10U);
}

}  // namespace
