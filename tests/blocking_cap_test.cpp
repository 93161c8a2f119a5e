// SPDX-License-Identifier: MIT
/// C1, C2, C12, C14 of blocking jobs: as many as the limit says, or as there may be threads, neither more nor fewer.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/pull_watch.hpp"

namespace {

using namespace std::chrono_literals;
using support::in_both_forms;
using support::latch;
using support::meter;
using support::pull_watch;
using support::rendezvous;

class BlockingCap : public support::contract_test {
protected:
    std::size_t window(std::size_t limit, std::size_t buffer) const {
        if (buffer != penstock::auto_buffer) return limit + buffer;
        return in_order() ? 5 * limit : 2 * limit;
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingCap, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

class BlockingCapOutOfOrder : public BlockingCap {};
INSTANTIATE_TEST_SUITE_P(, BlockingCapOutOfOrder,
                         ::testing::ValuesIn(support::settings_with(support::help, support::in_completion_order)),
                         support::name_of_setting);

TEST_P(BlockingCap, IsNeverExceeded) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 2U, 3U, 7U, 64U}) {
            meter running;
            auto stream = start(
                ex, std::views::iota(0, 600),
                [&](int i) {
                    const meter::visit here(running);
                    if (i % 64 == 0) std::this_thread::sleep_for(50us);
                },
                with(limit));
            EXPECT_EQ(support::drain(stream), 600U);
            EXPECT_LE(running.most(), static_cast<long>(limit));
        }
    });
}

TEST_P(BlockingCap, IsReachedAgainAndAgain) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 2U, 7U, 40U}) {
            meter running;
            rendezvous all(limit);
            auto stream = start(
                ex, std::views::iota(std::size_t{0}, 20 * limit),
                [&](std::size_t) {
                    const meter::visit here(running);
                    EXPECT_TRUE(all.arrive());
                },
                with(limit, 20 * limit));
            EXPECT_EQ(support::drain(stream), 20 * limit);
            EXPECT_EQ(running.most(), static_cast<long>(limit));
        }
    });
}

TEST_P(BlockingCap, IsReachedWhileTheConsumerIsAwayAndAllWorkersAreBusy) {
    const support::busy_workers busy(ex);
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 12U}) {
            rendezvous all(limit);
            const std::size_t jobs = 20 * limit;
            auto stream = start(
                ex, std::views::iota(std::size_t{0}, jobs), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
                with(limit, jobs));
            EXPECT_TRUE(support::eventually([&] { return stream.stats().ready == jobs; })) << stream.stats().pulled;
        }
    });
}

TEST_P(BlockingCap, IsReachedAfterTheSourceWasSlow) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {2U, 8U}) {
            rendezvous all(limit);
            std::atomic<bool> met{false};
            auto stream = start(
                ex, std::views::iota(0) | std::views::transform([](int i) {
                        if (i % 5 == 4 && i < 20) std::this_thread::sleep_for(2ms);  // the case, not a way to make sure
                        return i;
                    }),
                [&](int i) {
                    if (i < 20 || met) return;
                    EXPECT_TRUE(all.arrive());
                    met = true;
                },
                with(limit, 40));
            EXPECT_TRUE(all.happened()) << "limit " << limit;
        }
    });
}

TEST_P(BlockingCap, IsReachedWhenTheConsumerHasMadeRoom) {
    in_both_forms([&](auto start) {
        constexpr std::size_t limit = 3;
        rendezvous all(limit);
        auto stream = start(
            ex, std::views::iota(0),
            [&](int i) {
                if (i >= 6) {
                    EXPECT_TRUE(all.arrive());
                }
            },
            with(limit, 3));
        // The window is full and everybody is at rest: then three places come free.
        ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == 6; }));
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream.next());
        EXPECT_TRUE(all.happened());
    });
}

TEST_P(BlockingCap, IsTheNumberOfThreadsIfThatIsLess) {
    constexpr std::size_t threads = 3;
    penstock::executor few({.workers = workers(), .max_blocking_threads = threads});
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {3U, 4U, 10U, 100U}) {
            meter running;
            rendezvous all(threads);
            auto stream = start(
                few, std::views::iota(0, 300),
                [&](int) {
                    const meter::visit here(running);
                    EXPECT_TRUE(all.arrive());
                },
                with(limit, 300));
            EXPECT_EQ(support::drain(stream), 300U);
            EXPECT_EQ(running.most(), static_cast<long>(threads));
        }
    });
}

TEST_P(BlockingCap, CountsWhatWaitsForAThreadAsInFlight) {
    constexpr std::size_t threads = 3;
    constexpr std::size_t limit = 10;
    penstock::executor few({.workers = workers(), .max_blocking_threads = threads});
    in_both_forms([&](auto start) {
        latch hold;
        meter running;
        auto stream = start(
            few, std::views::iota(0),
            [&](int) {
                const meter::visit here(running);
                EXPECT_TRUE(hold.wait());
            },
            with(limit));
        EXPECT_TRUE(support::eventually([&] { return stream.stats().running == limit && running.inside() == 3; }));
        const auto now = stream.stats();
        EXPECT_EQ(now.pulled, limit);
        EXPECT_EQ(now.bound, penstock::bound_by::workers);
        EXPECT_EQ(running.most(), static_cast<long>(threads));
        hold.open();
        EXPECT_TRUE(stream.next());
    });
}

TEST_P(BlockingCap, StatsSayWhatHoldsTheStreamBack) {
    using penstock::bound_by;
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    const auto comes_to = [](const auto& stream, bound_by expected) {
        return support::eventually([&] { return stream.stats().bound == expected; });
    };
    in_both_forms([&](auto start) {
        auto full = start(
            few, std::views::iota(0), [](int i) { return i; }, with(4));
        EXPECT_TRUE(comes_to(full, bound_by::buffer));

        latch slow;
        latch hold;
        const auto two_and_then_none = [&, given = 0]() mutable -> std::optional<int> {
            if (given == 2) {
                EXPECT_TRUE(slow.wait());
            }
            return given < 2 ? std::optional(given++) : std::nullopt;
        };
        auto busy = start(
            few, two_and_then_none, [&](int) { EXPECT_TRUE(hold.wait()); }, with(4));
        EXPECT_TRUE(comes_to(busy, bound_by::workers)) << "every thread that the stream may use is busy";
        hold.open();
        EXPECT_TRUE(support::eventually([&] { return busy.stats().ready == 2; }));
        EXPECT_TRUE(comes_to(busy, bound_by::producer));
        slow.open();
        EXPECT_EQ(support::drain(busy), 2U);
        EXPECT_EQ(busy.stats().bound, bound_by::none);
    });
}

TEST_P(BlockingCap, StatsAddUpAtEveryMoment) {
    in_both_forms([&](auto start) {
        std::atomic<bool> over{false};
        auto stream = start(
            ex, std::views::iota(0, 2000),
            [](int i) {
                if (i % 10 == 0) throw support::test_error(i);
                return i;
            },
            with(8));
        std::jthread observer([&] {
            while (!over) {
                const auto now = stream.stats();
                EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
                EXPECT_LE(now.running, 8U);
                std::this_thread::yield();
            }
        });
        EXPECT_EQ(support::drain(stream), 2000U);
        over = true;
        observer.join();
        const auto end = stream.stats();
        EXPECT_EQ(end.taken, 2000U);
        EXPECT_EQ(end.failed, 200U);
        EXPECT_EQ(end.running + end.ready + end.dropped + end.stopped + end.overdue, 0U);
    });
}

TEST_P(BlockingCap, LetsNothingBePulledFurtherAheadThanLimitPlusBuffer) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 16U}) {
            for (const std::size_t buffer : {std::size_t{0}, std::size_t{5}, penstock::auto_buffer}) {
                pull_watch watch(window(limit, buffer));
                auto stream = start(
                    ex,
                    [&, given = 0]() mutable -> std::optional<int> {
                        pull_watch::call call(watch);
                        if (given++ == 300) return std::nullopt;
                        call.give();
                        return given;
                    },
                    [](int i) { return i; }, with(limit, buffer));
                while (watch.next(stream)) {
                }
                EXPECT_EQ(watch.pulled(), 300U);
                EXPECT_EQ(watch.excess(), 0U) << "limit " << limit << ", buffer " << buffer;
                EXPECT_EQ(watch.overlaps(), 0U);
            }
        }
    });
}

TEST_P(BlockingCap, LetsExactlyLimitPlusBufferBePulledWhenTheConsumerStalls) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 16U}) {
            for (const std::size_t buffer : {std::size_t{0}, std::size_t{5}, penstock::auto_buffer}) {
                pull_watch watch(window(limit, buffer));
                auto stream = start(
                    ex,
                    [&]() -> std::optional<int> {
                        pull_watch::call call(watch);
                        call.give();
                        return 0;
                    },
                    [](int i) { return i; }, with(limit, buffer));
                for (std::size_t taken = 0; taken < 10; ++taken) {
                    const std::size_t bound = window(limit, buffer) + taken;
                    ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window(limit, buffer); }))
                        << "limit " << limit << ", buffer " << buffer << ": " << watch.pulled() << " pulled, not "
                        << bound;
                    ASSERT_EQ(watch.pulled(), bound);
                    ASSERT_TRUE(watch.next(stream));
                }
                EXPECT_EQ(watch.excess(), 0U);
            }
        }
    });
}

TEST_P(BlockingCap, AHugeLimitCostsNothing) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {penstock::unlimited, penstock::unlimited - 1, std::size_t{1} << 31}) {
            auto stream = start(
                ex, std::views::iota(0, 10), [](int i) { return i; }, with(limit));
            EXPECT_EQ(support::drain(stream), 10U);
        }
    });
}

TEST_P(BlockingCap, AnUnlimitedLimitDoesNotDrainTheSource) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    in_both_forms([&](auto start) {
        latch hold;
        auto stream = start(
            few, std::views::iota(0), [&](int) { EXPECT_TRUE(hold.wait()); }, with(penstock::unlimited));
        std::size_t pulled = 0;
        int unchanged = 0;
        EXPECT_TRUE(support::eventually([&] {
            std::this_thread::sleep_for(1ms);
            const std::size_t before = std::exchange(pulled, stream.stats().pulled);
            unchanged = pulled == before ? unchanged + 1 : 0;
            return pulled > 2 && unchanged == 20;
        }));
        EXPECT_LT(stream.stats().pulled, 10'000U);
        EXPECT_EQ(stream.stats().bound, penstock::bound_by::workers);
        hold.open();
        EXPECT_TRUE(stream.next());
    });
}

TEST_P(BlockingCapOutOfOrder, AResultThatIsFinishedWaitsForNoJobThatRuns) {
    in_both_forms([&](auto start) {
        latch hold;
        auto stream = start(
            ex, std::views::iota(0, 9),
            [&](int i) {
                if (i % 3 == 0) {
                    EXPECT_TRUE(hold.wait());
                }
            },
            with(9));
        for (int i = 0; i < 6; ++i) {
            const auto done = stream.next();
            ASSERT_TRUE(done);
            EXPECT_NE(done->index() % 3, 0U);
        }
        hold.open();
        EXPECT_EQ(support::drain(stream), 3U);
    });
}

}  // namespace
