// SPDX-License-Identifier: MIT
/// C1: never more than allowed; C2: never less.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#ifndef PENSTOCK_REFERENCE
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#endif

#include "support/contract_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using namespace std::chrono_literals;
using support::meter;
using support::pull_watch;
using support::rendezvous;

class Cap : public support::contract_test {
protected:
    std::size_t window(std::size_t limit, std::size_t buffer) const {
        if (buffer != penstock::auto_buffer) return limit + buffer;
        return in_order() ? 5 * limit : 2 * limit;
    }
    /// As many as are to run at once.
    std::size_t most(std::size_t limit) const { return std::min(limit, workers()); }
};
INSTANTIATE_TEST_SUITE_P(, Cap, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Cap, NeverLetsMoreThanTheLimitRunAtOnce) {
    for (const std::size_t limit : {1U, 2U, 3U, 7U, 64U}) {
        meter running;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1500),
            [&](int i) {
                const meter::visit here(running);
                // Mostly tiny, so that batches grow; now and then long enough to be overtaken.
                if (i % 64 == 0) support::spin_for(20us);
            },
            with(limit));
        EXPECT_EQ(support::drain(stream), 1500U);
        EXPECT_LE(running.most(), static_cast<long>(limit));
    }
}

TEST_P(Cap, NeverLetsMoreTasksRunThanThereAreWorkersWhileTheConsumerIsAway) {
    meter running;
    std::atomic<int> ran{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 200),
        [&](int) {
            const meter::visit here(running);
            support::spin_for(10us);
            ++ran;
        },
        with(200));
    EXPECT_TRUE(support::eventually([&] { return ran == 200; }));
    EXPECT_LE(running.most(), static_cast<long>(workers()));
}

TEST_P(Cap, PullsNoFurtherAheadThanLimitPlusBuffer) {
    for (const std::size_t limit : {1U, 3U, 16U}) {
        for (const std::size_t buffer : {std::size_t{0}, std::size_t{1}, std::size_t{5}, penstock::auto_buffer}) {
            pull_watch watch(window(limit, buffer));
            std::size_t given = 0;
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<std::function<void()>> {
                    pull_watch::call call(watch);
                    if (given++ == 1000) return std::nullopt;
                    call.give();
                    return [] {};
                },
                with(limit, buffer));
            while (watch.next(stream)) {
            }
            EXPECT_EQ(watch.pulled(), 1000U);
            EXPECT_EQ(watch.excess(), 0U) << "limit " << limit << ", buffer " << buffer;
        }
    }
}

TEST_P(Cap, PullsExactlyLimitPlusBufferWhenTheConsumerStallsAndOneMoreForEachResultTaken) {
    for (const std::size_t limit : {1U, 3U, 16U}) {
        for (const std::size_t buffer : {std::size_t{0}, std::size_t{1}, std::size_t{5}, penstock::auto_buffer}) {
            pull_watch watch(window(limit, buffer));
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<std::function<void()>> {
                    pull_watch::call call(watch);
                    call.give();
                    return [] {};
                },
                with(limit, buffer));
            for (std::size_t taken = 0; taken < 20; ++taken) {
                const std::size_t bound = window(limit, buffer) + taken;
                ASSERT_TRUE(support::eventually([&] { return watch.pulled() >= bound; }))
                    << "limit " << limit << ", buffer " << buffer << ": " << watch.pulled() << " pulled, not " << bound;
                // Nothing is running or ready beyond it either, so this is not a moment's picture.
                ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window(limit, buffer); }));
                ASSERT_EQ(watch.pulled(), bound);
                ASSERT_TRUE(watch.next(stream));
            }
            EXPECT_EQ(watch.excess(), 0U);
        }
    }
}

TEST_P(Cap, IsReachedWhileTheConsumerIsAway) {
    for (const std::size_t limit : {1U, 2U, 3U, 8U, 64U}) {
        meter running;
        rendezvous all(most(limit));
        std::atomic<bool> met{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int) {
                const meter::visit here(running);
                if (!met) {
                    EXPECT_TRUE(all.arrive());
                }
                met = true;
            },
            with(limit));
        EXPECT_TRUE(all.happened()) << "limit " << limit << ": at most " << running.most() << " ran at once";
    }
}

TEST_P(Cap, IsReachedAgainAndAgainWhileTheConsumerWaits) {
    for (const std::size_t limit : {1U, 2U, 3U, 8U, 64U}) {
        const std::size_t tasks = 100 * most(limit);
        rendezvous all(most(limit));
        // A window for all: a helping consumer that waits in a task takes nothing, and with a full window nobody could
        // come to meet it.
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}, tasks), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
            with(limit, tasks));
        EXPECT_EQ(support::drain(stream), tasks);
    }
}

TEST_P(Cap, IsReachedAfterAHelpingConsumerHasLeft) {
    for (const std::size_t limit : {2U, 8U, 64U}) {
        constexpr int tiny = 3000;
        const auto consumer = std::this_thread::get_id();
        rendezvous all(most(limit));
        std::atomic<bool> met{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int i) {
                if (i < tiny || met || std::this_thread::get_id() == consumer) return;
                EXPECT_TRUE(all.arrive());
                met = true;
            },
            // The consumer may have run some of the tasks after the tiny ones: there must be more of them.
            with(limit, 200));
        for (int taken = 0; taken < tiny; ++taken) ASSERT_TRUE(stream.next());
        // In submission order the consumer may have run all that the window holds, while a worker was kept from the
        // task before it: then too few are left to meet. Each that is taken makes room for another.
        EXPECT_TRUE(support::eventually([&] {
            const auto now = stream.stats();
            if (now.pulled == now.taken + limit + 200 && now.running < most(limit)) {
                static_cast<void>(stream.try_next());
            }
            return met.load();
        })) << "limit "
            << limit;
    }
}

TEST_P(Cap, IsReachedAfterTheSourceWasSlow) {
    // Every pump goes to rest while the producer is inside its call, and must come back when it goes on.
    for (const std::size_t limit : {2U, 8U}) {
        for (int round = 0; round < 5; ++round) {
            rendezvous all(most(limit));
            std::atomic<bool> met{false};
            auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                            if (i == 5) std::this_thread::sleep_for(3ms);  // the case, not a way to make sure
                            return [&, i] {
                                if (i < 5 || met) return;
                                EXPECT_TRUE(all.arrive());
                                met = true;
                            };
                        });
            auto stream = penstock::as_completed(ex, jobs, with(limit, 20));
            EXPECT_TRUE(all.happened()) << "limit " << limit;
        }
    }
}

#ifndef PENSTOCK_REFERENCE
TEST_P(Cap, IsReachedWhenTheHostAllowsOneTBBOneThread) {
    const oneapi::tbb::global_control one(oneapi::tbb::global_control::max_allowed_parallelism, 1);
    penstock::executor starved(workers());
    const std::size_t tasks = 20 * workers();
    rendezvous all(workers());
    auto stream = penstock::as_completed(
        starved, std::views::iota(std::size_t{0}, tasks), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
        with(workers(), tasks));
    EXPECT_EQ(support::drain(stream), tasks);
}

TEST_P(Cap, IsReachedWhenTheHostSaturatesOneTBB) {
    std::atomic<bool> over{false};
    std::thread host([&] {
        oneapi::tbb::parallel_for(0, 16, [&](int) {
            while (!over) std::this_thread::yield();
        });
    });
    {
        penstock::executor other(workers());
        const std::size_t tasks = 20 * workers();
        rendezvous all(workers());
        auto stream = penstock::as_completed(
            other, std::views::iota(std::size_t{0}, tasks), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
            with(workers(), tasks));
        EXPECT_EQ(support::drain(stream), tasks);
    }
    over = true;
    host.join();
}
#endif

}  // namespace
