// SPDX-License-Identifier: MIT
/// The workers: how many, who they are, what they run, and that they sleep when there is nothing to run.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <pthread.h>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::rendezvous;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

static_assert(!std::is_copy_constructible_v<penstock::executor> && !std::is_move_constructible_v<penstock::executor>);

class Executor : public support::contract_test {
protected:
    /// Runs `body` on every worker at once.
    template <class Body>
    static void on_each_worker(penstock::executor& pool, Body body) {
        rendezvous all(pool.workers());
        std::vector<std::future<void>> done;
        for (std::size_t i = 0; i < pool.workers(); ++i) {
            done.push_back(pool.submit([&] {
                EXPECT_TRUE(all.arrive());
                body();
            }));
        }
        for (auto& task : done) task.get();
    }
    static std::string thread_name() {
        char name[16] = {};
        pthread_getname_np(pthread_self(), name, sizeof name);
        return name;
    }
};
INSTANTIATE_TEST_SUITE_P(, Executor, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(Executor, HasTheWorkersItWasAskedFor) {
    EXPECT_EQ(ex.workers(), workers());
    std::mutex mutex;
    std::set<std::thread::id> threads;
    on_each_worker(ex, [&] {
        const std::lock_guard guard(mutex);
        threads.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(threads.size(), workers());
    EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST_P(Executor, NumbersItsWorkers) {
    EXPECT_EQ(penstock::this_worker(), SIZE_MAX);
    std::mutex mutex;
    std::set<std::size_t> indexes;
    on_each_worker(ex, [&] {
        const std::lock_guard guard(mutex);
        indexes.insert(penstock::this_worker());
    });
    EXPECT_EQ(indexes.size(), workers());
    EXPECT_EQ(*indexes.rbegin(), workers() - 1);
}

TEST_P(Executor, GivesEachWorkerItsOwnScratchPlace) {
    // No two tasks that run at once have the same index: the plain counters must not be torn (ThreadSanitizer looks).
    std::vector<long> scratch(workers());
    auto settings = penstock::options{.limit = 16, .help = false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 5000),
        [&](int) {
            const std::size_t mine = penstock::this_worker();
            if (mine >= scratch.size()) return false;
            ++scratch[mine];
            return true;
        },
        settings);
    while (auto done = stream.next()) EXPECT_TRUE(done->get()) << "this_worker() is out of range";
    long sum = 0;
    for (const long count : scratch) sum += count;
    EXPECT_EQ(sum, 5000);
}

TEST_P(Executor, NamesItsThreads) {
    penstock::executor plain(workers());
    on_each_worker(plain, [] { EXPECT_EQ(thread_name(), "penstock/" + std::to_string(penstock::this_worker())); });
    penstock::executor named({.workers = workers(), .thread_name = "a very long name for a worker"});
    on_each_worker(named, [] {
        EXPECT_EQ(thread_name(), "a very long n/" + std::to_string(penstock::this_worker())) << "the number must fit";
    });
}

TEST_P(Executor, CallsTheHookOnceOnEachWorkersThreadBeforeAnythingRunsThere) {
    static thread_local int hooked = 0;
    static thread_local std::size_t index = SIZE_MAX;
    std::atomic<std::size_t> calls{0};
    penstock::executor own({.workers = workers(), .on_thread_start = [&](std::size_t worker) {
                                ++hooked;
                                index = worker;
                                ++calls;
                            }});
    EXPECT_EQ(calls, workers()) << "the constructor waits for the hooks";
    on_each_worker(own, [] {
        EXPECT_EQ(hooked, 1);
        EXPECT_EQ(index, penstock::this_worker());
    });
    EXPECT_EQ(calls, workers());
}

TEST_P(Executor, PassesOnWhatTheHookThrows) {
    for (std::size_t bad = 0; bad < workers(); ++bad) {
        EXPECT_THROW(penstock::executor({.workers = workers(),
                                         .on_thread_start =
                                             [bad](std::size_t worker) {
                                                 if (worker == bad) throw test_error(static_cast<long>(bad));
                                             }}),
                     test_error);
    }
}

TEST_P(Executor, SubmitGivesAFutureOfTheResult) {
    EXPECT_EQ(ex.submit([] { return 42; }).get(), 42);
    ex.submit([] {}).get();
    EXPECT_EQ(ex.submit([p = std::make_unique<int>(7)] { return *p; }).get(), 7);
    EXPECT_EQ(ex.submit([] { return tracked_unique<int>(9); }).get().value, 9);
    EXPECT_THROW(ex.submit([]() -> int { throw test_error(1); }).get(), test_error);
    int target = 0;
    ex.submit([&]() -> int& { return target; }).get() = 5;
    EXPECT_EQ(target, 5);
}

TEST_P(Executor, RunsEverythingThatWasPostedBeforeItIsGone) {
    std::atomic<int> ran{0};
    {
        penstock::executor own(workers());
        for (int i = 0; i < 1000; ++i) {
            own.post([&ran, held = tracked_value(i)] {
                held.check();
                ++ran;
            });
        }
    }
    EXPECT_EQ(ran, 1000);
    EXPECT_EQ(support::tracked::live(), 0);
}

TEST_P(Executor, RunsWhatPostedTasksPost) {
    std::atomic<int> ran{0};
    {
        penstock::executor own(workers());
        own.post([&] {
            for (int i = 0; i < 10; ++i) {
                own.post([&] {
                    ++ran;
                    own.post([&] { ++ran; });
                });
            }
        });
    }
    EXPECT_EQ(ran, 20);
}

TEST_P(Executor, RunsPostedTasksThatAreMoveOnlyAndDestroysThemOnce) {
    ex.post([held = tracked_unique<int>(1)] { held.check(); });
    ex.submit([held = tracked_unique<int>(1)] { held.check(); }).get();
}

TEST_P(Executor, CanBeMadeAndDestroyedManyTimes) {
    for (int round = 0; round < 30; ++round) {
        penstock::executor own(workers());
        if (round % 3 == 0) continue;
        own.post([] {});
        if (round % 3 == 2) own.submit([] {}).get();
    }
}

TEST_P(Executor, TakesPostsFromManyThreadsAtOnce) {
    std::atomic<int> ran{0};
    {
        penstock::executor own(workers());
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) own.post([&] { ++ran; });
            });
        }
    }
    EXPECT_EQ(ran, 2000);
}

TEST_P(Executor, RunsSeveralStreamsAtOnce) {
    std::vector<std::jthread> consumers;
    for (int t = 0; t < 4; ++t) {
        consumers.emplace_back([&] {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 2000), [](int i) { return tracked_value(i); }, 4);
            EXPECT_EQ(support::drain(stream), 2000U);
        });
    }
}

TEST_P(Executor, LetsEveryStreamHaveItsTurn) {
    // S21: one stream would keep all workers busy for ever; another, and a posted task, must get through.
    auto hungry = penstock::as_completed(
        ex, std::views::iota(0), [](int) { support::spin_for(50us); },
        penstock::options{.limit = 64, .buffer = penstock::unlimited});
    for (int round = 0; round < 5; ++round) {
        auto modest = penstock::as_completed(
            ex, std::views::iota(0, 20), [](int i) { return i; }, 1);
        EXPECT_EQ(support::drain(modest), 20U);
        ex.submit([] {}).get();
    }
    EXPECT_FALSE(hungry.done());
}

TEST(ExecutorDefaults, OneWorkerForEachUsableProcessor) {
    const penstock::executor chosen;
    const penstock::executor zero(0);
    EXPECT_GE(chosen.workers(), 1U);
    EXPECT_LE(chosen.workers(), std::max(std::thread::hardware_concurrency(), 1U));
    EXPECT_EQ(zero.workers(), chosen.workers());
    EXPECT_EQ(penstock::usable_cpus(), chosen.workers());
}

TEST(ExecutorDefaults, FollowTheAffinityMask) {
    cpu_set_t old;
    ASSERT_EQ(pthread_getaffinity_np(pthread_self(), sizeof old, &old), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &old)) continue;
        CPU_SET(cpu, &one);
        break;
    }
    std::thread([&] {
        ASSERT_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
        penstock::executor narrow;
        EXPECT_EQ(narrow.workers(), 1U);
        auto stream = penstock::as_completed(
            narrow, std::views::iota(0, 1000), [](int i) { return i; }, 8);
        EXPECT_EQ(support::drain(stream), 1000U);
    }).join();
}

}  // namespace
