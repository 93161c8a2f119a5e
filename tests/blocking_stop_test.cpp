// SPDX-License-Identifier: MIT
/// C5 with blocking jobs: a stop cuts a stream off in good order, and what waits for a thread does not wait any longer.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/stop_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::as_returned;
using support::in_both_forms;
using support::latch;
using support::tracked_value;

class BlockingStop : public support::stop_test {};
INSTANTIATE_TEST_SUITE_P(, BlockingStop, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(BlockingStop, DeliversExactlyWhatHasStarted) {
    in_both_forms([&](auto start) {
        std::atomic<std::size_t> started{0};
        auto stream = start(
            ex, std::views::iota(0),
            [&](int i) {
                ++started;
                return tracked_value(i);
            },
            with(8));
        for (int i = 0; i < 50; ++i) ASSERT_TRUE(stream.next());
        stream.request_stop();
        const auto went = run_out(stream);
        EXPECT_EQ(went.stopped, 1) << "an endless source has been cut off";
        EXPECT_EQ(50U + went.delivered.size(), started);
    });
}

TEST_P(BlockingStop, MayComeAtAnyMoment) {
    // S34: from another thread, against every step of a stream of tiny jobs.
    in_both_forms([&](auto start) {
        for (int round = 0; round < 100; ++round) {
            std::stop_source source;
            auto settings = with(static_cast<std::size_t>(round % 5 + 1));
            settings.stop = source.get_token();
            std::atomic<std::size_t> started{0};
            std::thread other([&] {
                support::spin_for(round * 5us);
                source.request_stop();
            });
            auto stream = start(
                ex, std::views::iota(0, 200),
                [&](int i) {
                    ++started;
                    return tracked_value(i);
                },
                settings);
            const auto went = run_out(stream);
            EXPECT_EQ(went.delivered.size(), started);
            if (went.stopped == 0) {
                EXPECT_EQ(went.delivered.size(), 200U) << "it ended quietly though something was cut off";
            }
            other.join();
        }
    });
}

TEST_P(BlockingStop, AndTheEndOfAJobLeaveItOneOutcome) {
    // S35
    in_both_forms([&](auto start) {
        for (int round = 0; round < 300; ++round) {
            std::atomic<bool> go{false};
            std::atomic<int> ran{0};
            auto stream = start(
                ex, std::views::iota(0, 1),
                [&](int) {
                    ++ran;
                    while (!go) std::this_thread::yield();
                },
                with(1));
            if (round % 4 != 0) {
                ASSERT_TRUE(support::eventually([&] { return ran == 1; }));
            }
            std::thread other([&] { go = true; });
            support::spin_for(round % 50 * 1us);
            stream.request_stop();
            const auto went = run_out(stream);
            EXPECT_EQ(went.delivered.size(), static_cast<std::size_t>(ran));
            EXPECT_EQ(stream.stats().taken, went.delivered.size());
            other.join();
        }
    });
}

TEST_P(BlockingStop, DropsWhatWaitsForAThreadWithoutWaitingForOne) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const support::busy_threads busy(few, 1);
    in_both_forms([&](auto start) {
        std::atomic<int> ran{0};
        auto stream = start(
            few, std::views::iota(0), [&, held = support::tracked()](int) { ++ran; }, with(6));
        std::this_thread::sleep_for(1ms);
        stream.request_stop();
        const auto went = run_out(stream);
        EXPECT_EQ(went.stopped, 1);
        EXPECT_TRUE(went.delivered.empty());
        EXPECT_EQ(stream.stats().taken, 0U);
        EXPECT_EQ(ran, 0);
    });
}

TEST_P(BlockingStop, DropsWhatWaitsForAThreadWhileTheConsumerSleeps) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const support::busy_threads busy(few, 1);
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            auto stream = start(
                few, std::views::iota(0), [](int) {}, with(3));
            std::thread other([&] {
                support::spin_for(round * 20us);
                stream.request_stop();
            });
            EXPECT_EQ(run_out(stream).stopped, 1);
            other.join();
        }
    });
}

TEST_P(BlockingStop, DropsWhatItsThreadIsAboutToLeaveBehindAnothersJob) {
    // The only thread ends a job, pulls the next and finds another stream's job before it, which ends only afterwards.
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const int rounds = support::sanitized ? 200 : 1500;
    const auto enough = std::chrono::steady_clock::now() + support::patience / 2;  // each turn may take a tick
    for (int round = 0; round < rounds && std::chrono::steady_clock::now() < enough; ++round) {
        latch over;
        latch started;
        std::atomic<bool> go{false};
        std::atomic<bool> first{true};
        auto settings = with(1);
        auto stopped = as_returned{}(
            few, std::views::iota(0),
            [&](int) {
                if (!first.exchange(false)) return;
                started.open();
                while (!go) std::this_thread::yield();
            },
            settings);
        ASSERT_TRUE(started.wait());
        auto before = as_returned{}(
            few, std::views::iota(0, 1), [&](int) { EXPECT_TRUE(over.wait()); }, settings);
        if (round % 4 != 0) std::this_thread::sleep_for(100us);
        go = true;
        support::spin_for(round % 400 * 50ns);
        stopped.request_stop();
        EXPECT_LE(run_out(stopped).stopped, 1);
        over.open();
        EXPECT_EQ(support::drain(before), 1U);
    }
}

TEST_P(BlockingStop, DropsWhatASurplusThreadHasKeptWhileAllOthersAreBusy) {
    // The only thread ends a job and pulls the next; meanwhile another is made in its place, for another stream's job.
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    latch pulls;
    latch runs;
    latch over;
    std::stop_source source;
    auto settings = with(1);
    settings.stop = source.get_token();
    auto stopped = penstock::as_completed(
        few, std::views::iota(0),
        [&](int i) {
            if (i == 1) {
                pulls.open();
                EXPECT_TRUE(runs.wait());
                source.request_stop();
            }
            return penstock::blocking([] {});
        },
        settings);
    ASSERT_TRUE(pulls.wait());
    auto other = as_returned{}(
        few, std::views::iota(0, 1),
        [&](int) {
            runs.open();
            EXPECT_TRUE(over.wait());
        },
        with(1));
    EXPECT_EQ(run_out(stopped).stopped, 1);
    over.open();
    EXPECT_EQ(support::drain(other), 1U);
}

TEST_P(BlockingStop, MayBeRequestedInsideAJob) {
    in_both_forms([&](auto start) {
        std::stop_source source;
        auto settings = with(4);
        settings.stop = source.get_token();
        auto stream = start(
            ex, std::views::iota(0),
            [&](int i) {
                if (i == 25) source.request_stop();
                return tracked_value(i);
            },
            settings);
        const auto went = run_out(stream);
        EXPECT_EQ(went.stopped, 1);
        EXPECT_TRUE(went.delivered.contains(25)) << "it had started";
    });
}

TEST_P(BlockingStop, RequestedBeforeTheStreamBeginsPullsNothing) {
    in_both_forms([&](auto start) {
        std::stop_source source;
        source.request_stop();
        auto settings = with(4);
        settings.stop = source.get_token();
        std::atomic<int> pulled{0};
        auto stream = start(
            ex, [&]() -> std::optional<int> { return pulled++; }, [](int) {}, settings);
        EXPECT_THROW(stream.next(), penstock::stopped);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(pulled, 0);
    });
}

TEST_P(BlockingStop, ReachesJobsByTheirToken) {
    in_both_forms([&](auto start) {
        std::atomic<int> begun{0};
        auto stream = start(
            ex, std::views::iota(0),
            [&begun](int, std::stop_token token) {
                EXPECT_TRUE(token.stop_possible());
                ++begun;
                latch told;
                const std::stop_callback on_stop(token, [&] { told.open(); });
                EXPECT_TRUE(told.wait());
            },
            with(5));
        ASSERT_TRUE(support::eventually([&] { return begun == 5; }));
        stream.request_stop();
        const auto went = run_out(stream);
        EXPECT_EQ(went.stopped, 1);
        EXPECT_EQ(went.delivered.size(), 5U);
        EXPECT_EQ(stream.stats().failed, 0U);
    });
}

TEST_P(BlockingStop, ReachesAFunctionAndTheJobThatItReturnsByTheSameToken) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [](int, std::stop_token outer) {
            return penstock::blocking(
                [outer](const std::stop_token& inner) { return inner.stop_possible() && inner == outer; });
        },
        with(1));
    EXPECT_TRUE(stream.next()->get());
}

TEST_P(BlockingStop, CountsAJobThatThrowsStoppedAsStoppedAndNotAsFailed) {
    in_both_forms([&](auto start) {
        std::atomic<bool> running{false};
        auto stream = start(
            ex, std::views::iota(0, 1),
            [&](int, std::stop_token token) {
                running = true;
                while (!token.stop_requested()) std::this_thread::yield();
                throw penstock::stopped();
            },
            with(1));
        ASSERT_TRUE(support::eventually([&] { return running.load(); }));
        stream.request_stop();
        EXPECT_EQ(run_out(stream).delivered.size(), 1U);
        EXPECT_EQ(stream.stats().stopped, 1U);
        EXPECT_EQ(stream.stats().failed, 0U);
    });
}

TEST_P(BlockingStop, RunsCallbacksThatTakeALockWhichJobsHoldWhenTheyEnd) {
    // S37
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            std::mutex mutex;
            std::atomic<int> begun{0};
            auto stream = start(
                ex, std::views::iota(0),
                [&](int, std::stop_token token) {
                    const std::stop_callback on_stop(token, [&] { const std::lock_guard guard(mutex); });
                    ++begun;
                    const std::lock_guard guard(mutex);
                    std::this_thread::yield();
                },
                with(4));
            ASSERT_TRUE(support::eventually([&] { return begun > round % 6; }));
            stream.request_stop();
            EXPECT_EQ(run_out(stream).stopped, 1);
        }
    });
}

}  // namespace
