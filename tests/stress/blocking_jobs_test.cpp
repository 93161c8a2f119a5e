// SPDX-License-Identifier: MIT
/// S1, S6, S9, S10, S11, S34, S35, S50 with blocking jobs, and those beside CPU tasks.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <thread>
#include <vector>

#include <sys/time.h>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using penstock::order;

class BlockingJobs : public Scenario {};

/// A function whose job is f(i).
template <class F>
auto blocking_each(F f) {
    return [f](std::size_t i) { return penstock::blocking([f, i] { return f(i); }); };
}

/// S1. Every job counts itself in and out.
void storm(penstock::executor& ex, std::size_t threads, std::size_t limit, std::size_t n, order by) {
    crowd running;
    std::vector<std::atomic<unsigned char>> ran(n);
    std::size_t sum = 0;
    const auto job = [&](std::size_t index) {
        const crowd::member here(running);
        ran[index].fetch_add(1);
        if (mixed(index) % 8 == 0) busy_for(std::chrono::nanoseconds(mixed(index, 1) % 50'000));
        if (mixed(index) % 8 == 1) std::this_thread::sleep_for(std::chrono::nanoseconds(mixed(index, 2) % 50'000));
        return index;
    };
    for (auto& done : penstock::as_completed(ex, numbers(n), blocking_each(job), {.limit = limit, .order = by})) {
        watchdog::progress();
        sum += done.get();
    }
    EXPECT_EQ(sum, n * (n - 1) / 2);
    EXPECT_TRUE(std::all_of(ran.begin(), ran.end(), [](const auto& times) { return times == 1; }));
    EXPECT_EQ(running.inside(), 0U);
    EXPECT_LE(running.most(), std::min({limit, n, threads}));
}

TEST_F(BlockingJobs, AStormOfThemNeverExceedsTheCap) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        for (const std::size_t threads : {1U, 3U, 100U}) {
            penstock::executor ex({.workers = workers, .max_blocking_threads = threads});
            for (const std::size_t limit : {1U, 2U, 7U, 64U, 1000U}) {
                SCOPED_TRACE(testing::Message()
                             << "workers " << workers << ", threads " << threads << ", limit " << limit);
                storm(ex, threads, limit, scaled(3'000), order::completion);
                storm(ex, threads, limit, scaled(3'000), order::submission);
            }
        }
    }
}

TEST_F(BlockingJobs, AStormOfThemBesideOneOfCpuTasksNeverExceedsTheCap) {
    for (const std::size_t threads : {2U, 20U}) {
        penstock::executor ex({.workers = 2, .max_blocking_threads = threads});
        std::atomic<bool> over{false};
        std::vector<std::thread> others;
        for (int i = 0; i < 2; ++i) {
            others.emplace_back([&] {
                const auto task = [](std::size_t at) { busy_for(std::chrono::nanoseconds(mixed(at) % 5'000)); };
                auto stream = penstock::as_completed(ex, endless(), task, {.limit = 16, .help = false});
                while (!over) stream.next();
            });
        }
        for (const std::size_t limit : {1U, 7U, 64U}) {
            storm(ex, threads, limit, scaled(10'000), order::completion);
            storm(ex, threads, limit, scaled(10'000), order::submission);
        }
        over = true;
        for (auto& each : others) each.join();
    }
}

/// S6. With one permit the producer of an item must see everything that the job of the item before it has done.
TEST_F(BlockingJobs, OnePermitGoesToAndFro) {
    for (const std::size_t threads : {1U, 8U}) {
        penstock::executor ex({.workers = 2, .max_blocking_threads = threads});
        const std::size_t n = scaled(50'000);
        std::size_t by_jobs = 0;
        std::size_t next = 0;
        std::size_t sum = 0;
        const auto source = [&]() -> std::optional<std::size_t> {
            if (by_jobs != next) violations::add("a pull overtook a job");
            if (next == n) return std::nullopt;
            return next++;
        };
        const auto job = [&](std::size_t index) {
            ++by_jobs;  // not atomic: one permit orders all jobs, and the pulls between them
            if (mixed(index) % 64 == 0) std::this_thread::yield();
            return index;
        };
        for (auto& done : penstock::as_completed(ex, source, blocking_each(job), {.limit = 1, .buffer = 0})) {
            watchdog::progress();
            sum += done.get();
            if (mixed(sum) % 512 == 0) busy_for(20us);
        }
        EXPECT_EQ(by_jobs, n);
        EXPECT_EQ(sum, n * (n - 1) / 2);
    }
}

/// S9. One item at a time, with pauses in which everybody falls asleep; the next one is made when the consumer has
/// taken the one before. So nothing else wakes anybody, and a wake-up that is lost is a hang.
TEST_F(BlockingJobs, ASlowDripWakesASleepingConsumerForEveryItem) {
    penstock::executor ex(2);
    for (const std::size_t limit : {1U, 16U}) {
        for (const order by : {order::completion, order::submission}) {
            random_numbers random(9);
            const std::size_t n = scaled(2'000);
            std::size_t next = 0;
            std::atomic<std::size_t> taken{0};
            const auto source = [&, consumer = std::this_thread::get_id()]() -> std::optional<std::size_t> {
                // A consumer who helps and is in here himself is awake, and can take nothing meanwhile.
                if (std::this_thread::get_id() != consumer) wait_until([&] { return taken >= next; });
                if (next == n) return std::nullopt;
                std::this_thread::sleep_for(std::chrono::microseconds(random.below(300)));
                return next++;
            };
            const auto job = [](std::size_t i) { return i; };
            for (auto& done : penstock::as_completed(ex, source, blocking_each(job), {.limit = limit, .order = by})) {
                EXPECT_EQ(done.get(), done.index());
                ++taken;
                watchdog::progress();
            }
            EXPECT_EQ(taken, n);
        }
    }
}

/// S10
TEST_F(BlockingJobs, AStalledConsumerStopsTheSourceAtTheWindow) {
    penstock::executor ex(2);
    std::atomic<std::size_t> pulled{0};
    const auto source = [&]() -> std::optional<std::size_t> { return pulled.fetch_add(1); };
    auto stream =
        penstock::as_completed(ex, source, blocking_each([](std::size_t i) { return i; }), {.limit = 4, .buffer = 3});
    random_numbers random(10);
    for (std::size_t taken = 0; taken < 2000; ++taken) {
        watchdog::progress();
        if (random.one_in(200)) {
            wait_until([&] { return stream.stats().ready == 7; });  // the stream fills up without next()
            EXPECT_EQ(pulled, taken + 7);
            std::this_thread::sleep_for(1ms);  // more would come now, if it came
            EXPECT_EQ(pulled, taken + 7);
        }
        ASSERT_TRUE(stream.next());
        EXPECT_LE(pulled, taken + 1 + 7);
    }
}

/// S11. All jobs of a round end at once; whoever looks then must not take "nothing yet" for the end.
TEST_F(BlockingJobs, RoundsThatEndOnAllThreadsAtOnceLoseNothing) {
    constexpr std::size_t n = 64;
    for (const std::size_t threads : {n, n / 4}) {
        penstock::executor ex({.workers = 2, .max_blocking_threads = threads});
        for (std::size_t round = 0; round < scaled(200); ++round) {
            watchdog::progress();
            std::atomic<std::size_t> arrived{0};
            const auto together = [&](std::size_t index) {
                arrived.fetch_add(1);
                for (int look = 0; look < 200 && arrived < n; ++look) std::this_thread::yield();
                return index;
            };
            const penstock::options settings{.limit = n, .order = round % 2 ? order::completion : order::submission};
            std::size_t count = 0;
            auto stream = penstock::as_completed(ex, numbers(n), blocking_each(together), settings);
            if (round % 4 == 0) {
                while (!stream.done()) count += stream.try_next().has_value();
            } else {
                while (stream.next()) ++count;
            }
            ASSERT_EQ(count, n) << "round " << round;
        }
    }
}

/// S35
TEST_F(BlockingJobs, AStopAndTheEndOfTheOnlyJobLeaveOneOutcome) {
    penstock::executor ex({.workers = 2, .max_blocking_threads = 2});
    for (std::size_t round = 0; round < scaled(5'000); ++round) {
        watchdog::progress();
        std::atomic<std::size_t> ran{0};
        std::size_t delivered = 0;
        auto stream = penstock::as_completed(ex, endless(), blocking_each([&](std::size_t) {
                                                 ++ran;
                                                 busy_for(std::chrono::nanoseconds(mixed(round) % 3'000));
                                             }),
                                             {.limit = 1, .order = round % 2 ? order::completion : order::submission});
        busy_for(std::chrono::nanoseconds(mixed(round, 1) % 40'000));
        stream.request_stop();
        EXPECT_THROW(while (stream.next())++ delivered, penstock::stopped);
        EXPECT_EQ(delivered, ran);
        wait_until([&] {  // a call of the producer may have been under way
            const auto now = stream.stats();
            return now.running == 0 && now.taken + now.dropped == now.pulled;
        });
        EXPECT_EQ(stream.stats().taken, delivered);
        EXPECT_EQ(stream.stats().ready, 0U);
    }
}

/// A stop while most jobs wait for a thread, from anywhere in their midst: they go without one.
TEST_F(BlockingJobs, AStopFindsWhateverWaitsForAThread) {
    penstock::executor ex({.workers = 2, .max_blocking_threads = 2});
    for (std::size_t round = 0; round < scaled(600); ++round) {
        watchdog::progress();
        std::atomic<bool> over{false};
        const auto hold = [&](std::size_t) { wait_until([&] { return over.load(); }); };
        auto holders = penstock::as_completed(ex, numbers(1 + round % 2), blocking_each(hold), 2);
        std::atomic<std::size_t> ran{0};
        std::size_t delivered = 0;
        {
            auto stream = penstock::as_completed(
                ex, endless(), blocking_each([&](std::size_t) { ++ran; }),
                {.limit = 1 + round % 5, .order = round % 4 < 2 ? order::completion : order::submission});
            const std::jthread other([&] {
                busy_for(std::chrono::nanoseconds(mixed(round) % 200'000));
                stream.request_stop();
            });
            if (round % 3 != 0) {
                EXPECT_THROW(while (stream.next())++ delivered, penstock::stopped);
                EXPECT_EQ(delivered, ran);
            }
        }
        over = true;
        while (holders.next()) {
        }
    }
}

/// S50. Signals that interrupt every wait of every thread.
TEST_F(BlockingJobs, SignalsThatInterruptEveryWaitChangeNothing) {
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
    const itimerval each_millisecond{.it_interval = {.tv_sec = 0, .tv_usec = 1000},
                                     .it_value = {.tv_sec = 0, .tv_usec = 1000}};
    ASSERT_EQ(setitimer(ITIMER_REAL, &each_millisecond, nullptr), 0);
    {
        penstock::executor ex({.workers = 2, .max_blocking_threads = 10});
        for (const order by : {order::completion, order::submission}) {
            std::size_t sum = 0;
            const auto job = [](std::size_t i) {
                std::this_thread::sleep_for(std::chrono::microseconds(mixed(i) % 3'000));
                return i;
            };
            const std::size_t n = scaled(2'000);
            auto stream = penstock::as_completed(ex, numbers(n), blocking_each(job), {.limit = 20, .order = by});
            while (!stream.done()) {
                const auto asked = clock::now();
                const auto done = stream.next_for(2ms);
                if (!done) {
                    EXPECT_TRUE(stream.done() || clock::now() - asked >= 2ms) << "I12: earlier than asked for";
                } else {
                    sum += done->index();
                    watchdog::progress();
                }
            }
            EXPECT_EQ(sum, n * (n - 1) / 2);
        }
    }
    const itimerval off{};
    setitimer(ITIMER_REAL, &off, nullptr);
    std::signal(SIGALRM, SIG_IGN);  // drops one that is pending, which would end the process by its default action
    sigaction(SIGALRM, &before, nullptr);
}

}  // namespace
}  // namespace stress
