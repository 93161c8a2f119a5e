// SPDX-License-Identifier: MIT
/// S1, S5, S6, S8, S10, S11: the cap, single permits, stalled consumers, and rounds that end all at once.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

class CapAndHandOver : public Scenario {};

/// S1. Every task counts itself in and out.
void storm(std::size_t workers, std::size_t limit, std::size_t n, bool help) {
    penstock::executor ex(workers);
    crowd running;
    std::vector<std::atomic<unsigned char>> ran(n);
    std::size_t sum = 0;
    const auto task = [&](std::size_t index) {
        const crowd::member here(running);
        ran[index].fetch_add(1);
        if (mixed(index) % 8 == 0) busy_for(std::chrono::nanoseconds(mixed(index, 1) % 50'000));
        return index;
    };
    for (auto& done : penstock::as_completed(ex, numbers(n), task, {.limit = limit, .help = help})) {
        watchdog::progress();
        sum += done.get();
    }
    EXPECT_EQ(sum, n * (n - 1) / 2);
    EXPECT_TRUE(std::all_of(ran.begin(), ran.end(), [](const auto& times) { return times == 1; }));
    EXPECT_EQ(running.inside(), 0U);
    EXPECT_LE(running.most(), std::min({limit, n, workers + (help ? 1 : 0)}));
}

TEST_F(CapAndHandOver, AStormOfTasksNeverExceedsTheCap) {
    for (const std::size_t workers : {1U, 2U, 3U, 8U}) {
        for (const std::size_t limit : {1U, 2U, 3U, 7U, 64U, 1000U}) {
            SCOPED_TRACE(testing::Message() << "workers " << workers << ", limit " << limit);
            storm(workers, limit, scaled(10'000), true);
            storm(workers, limit, scaled(10'000), false);
        }
    }
}

/// C2, the other half of S1. The last tasks wait for one another, so too few of them would wait for ever. Short ones
/// come before, so that batches have grown by then and the consumer may be helping.
void meet_all(std::size_t workers, std::size_t limit, std::size_t buffer, bool help) {
    penstock::executor ex(workers);
    const std::size_t expected = std::min(workers, limit);
    constexpr std::size_t warm_up = 500;
    crowd running;
    std::atomic<bool> met{false};
    const auto task = [&](std::size_t i) {
        if (i < warm_up) return;
        const crowd::member here(running);
        wait_until([&] { return running.inside() >= expected || met; });
        met = true;
    };
    const std::size_t n = warm_up + 2 * expected;
    auto stream = penstock::as_completed(ex, numbers(n), task, {.limit = limit, .buffer = buffer, .help = help});
    std::size_t count = 0;
    while (stream.next()) ++count;
    EXPECT_EQ(count, n);
    watchdog::progress();
}

TEST_F(CapAndHandOver, AsManyTasksRunAtOnceAsLimitAndWorkersAllow) {
    for (const std::size_t workers : {1U, 2U, 3U, 8U}) {
        for (const std::size_t limit : {1U, 2U, 7U, 64U}) {
            meet_all(workers, limit, 0, false);
            meet_all(workers, limit, penstock::auto_buffer, false);
            // A consumer that helps is itself in one of those tasks, and takes nothing: the buffer must hold the
            // others'.
            meet_all(workers, limit, 1000, true);
        }
    }
}

TEST_F(CapAndHandOver, AMillionEmptyTasksAllComeBackOnce) {
    penstock::executor ex(2);
    for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
        const std::size_t n = scaled(1'000'000);
        std::vector<bool> came(n);
        auto stream =
            penstock::as_completed(ex, numbers(n), [](std::size_t i) { return i; }, {.limit = 64, .order = order});
        while (auto done = stream.next()) {
            watchdog::progress();
            ASSERT_FALSE(came[done->get()]);
            came[done->index()] = true;
        }
        EXPECT_EQ(std::count(came.begin(), came.end(), true), static_cast<std::ptrdiff_t>(n));
    }
}

/// S5
TEST_F(CapAndHandOver, AHugeLimitCostsNothingAndOverflowsNowhere) {
    for (const std::size_t limit :
         {SIZE_MAX, SIZE_MAX - 1, static_cast<std::size_t>(PTRDIFF_MAX), std::size_t(1) << 31U}) {
        for (const std::size_t buffer : {penstock::auto_buffer, std::size_t(0), SIZE_MAX}) {
            for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
                penstock::executor ex(2);
                std::size_t sum = 0;
                const penstock::options settings{.limit = limit, .buffer = buffer, .order = order};
                for (auto& done : penstock::as_completed(
                         ex, numbers(10), [](std::size_t i) { return i; }, settings))
                    sum += done.get();
                EXPECT_EQ(sum, 45U);
            }
        }
    }
}

/// S6. With one permit the producer of an item must see everything that the task of the item before it has done.
void ping_pong(bool help, std::size_t n) {
    penstock::executor ex(2);
    std::size_t by_tasks = 0;
    std::size_t next = 0;
    std::size_t sum = 0;
    const auto source = [&]() -> std::optional<std::size_t> {
        if (by_tasks != next) violations::add("a pull overtook a task");
        if (next == n) return std::nullopt;
        return next++;
    };
    const auto task = [&](std::size_t index) {
        ++by_tasks;  // not atomic: one permit orders all tasks, and the pulls between them
        if (mixed(index) % 64 == 0) std::this_thread::yield();
        return index;
    };
    for (auto& done : penstock::as_completed(ex, source, task, {.limit = 1, .buffer = 0, .help = help})) {
        watchdog::progress();
        sum += done.get();
        if (mixed(sum) % 512 == 0) busy_for(20us);
    }
    EXPECT_EQ(by_tasks, n);
    EXPECT_EQ(sum, n * (n - 1) / 2);
}

TEST_F(CapAndHandOver, OnePermitGoesToAndFroBetweenTwoSidesThatHelp) { ping_pong(true, scaled(1'000'000)); }
TEST_F(CapAndHandOver, OnePermitGoesToAndFroBetweenAWorkerAndAConsumerThatSleeps) { ping_pong(false, scaled(100'000)); }

/// S8. The results are objects; how many live at once is counted, not guessed from the process.
TEST_F(CapAndHandOver, AnEndlessSourceKeepsNoMoreThanLimitAndBufferAlive) {
    struct result : tracked {
        payload content{1};
    };
    penstock::executor ex(2);
    std::size_t left = scaled(500'000);
    long most = 0;
    const long before = tracked::living();
    auto stream =
        penstock::as_completed(ex, endless(), [](std::size_t) { return result(); }, {.limit = 16, .buffer = 8});
    while (left-- > 0) {
        watchdog::progress();
        const auto done = stream.next();
        most = std::max(most, tracked::living() - before);
    }
    // 24 in the stream, one with the consumer, and each of three threads may hold one on its way into its record.
    EXPECT_LE(most, 24 + 1 + 3);
}

/// S10
TEST_F(CapAndHandOver, AStalledConsumerStopsTheSourceAtTheWindow) {
    penstock::executor ex(2);
    std::atomic<std::size_t> pulled{0};
    const auto source = [&]() -> std::optional<std::size_t> { return pulled.fetch_add(1); };
    auto stream = penstock::as_completed(ex, source, [](std::size_t i) { return i; }, {.limit = 4, .buffer = 3});
    random_numbers random(10);
    for (std::size_t taken = 0; taken < 2000; ++taken) {
        watchdog::progress();
        if (random.one_in(200)) {
            wait_until([&] { return stream.stats().ready == 7; });  // the stream fills up without next()
            EXPECT_EQ(pulled, taken + 7);
            EXPECT_EQ(stream.stats().bound, penstock::bound_by::buffer);
            std::this_thread::sleep_for(1ms);  // more would come now, if it came
            EXPECT_EQ(pulled, taken + 7);
        }
        ASSERT_TRUE(stream.next());
        EXPECT_LE(pulled, taken + 1 + 7);
    }
}

/// S11. The last tasks of a round end on all threads at once; whoever looks then must not take "nothing yet" for the
/// end.
TEST_F(CapAndHandOver, RoundsThatEndOnAllThreadsAtOnceLoseNothing) {
    penstock::executor ex(8);
    for (std::size_t round = 0; round < scaled(1'000); ++round) {
        watchdog::progress();
        constexpr std::size_t n = 8;
        std::atomic<std::size_t> arrived{0};
        const auto together = [&](std::size_t index) {
            arrived.fetch_add(1);
            // All at the same moment, as far as the machine has threads for it.
            for (int look = 0; look < 50 && arrived < n; ++look) std::this_thread::yield();
            return index;
        };
        const penstock::options settings{.limit = 64,
                                         .order = round % 2 ? penstock::order::completion : penstock::order::submission,
                                         .help = round % 3 != 0};
        std::size_t count = 0;
        auto stream = penstock::as_completed(ex, numbers(n), together, settings);
        if (round % 4 == 0) {
            while (!stream.done()) count += stream.try_next().has_value();
        } else {
            while (stream.next()) ++count;
        }
        ASSERT_EQ(count, n) << "round " << round;
    }
}

}  // namespace
}  // namespace stress
