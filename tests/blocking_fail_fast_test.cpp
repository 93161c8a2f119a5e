// SPDX-License-Identifier: MIT
/// C5 with blocking jobs: on_error::stop, in both orders.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ranges>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using support::in_both_forms;
using support::latch;
using support::test_error;
using support::tracked_value;

class BlockingFailFast : public support::contract_test {
protected:
    penstock::options failing_fast(std::size_t limit) const {
        auto settings = with(limit);
        settings.on_error = penstock::on_error::stop;
        return settings;
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingFailFast, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

class BlockingFailFastOutOfOrder : public BlockingFailFast {};
INSTANTIATE_TEST_SUITE_P(, BlockingFailFastOutOfOrder,
                         ::testing::ValuesIn(support::settings_with(support::help, support::in_completion_order)),
                         support::name_of_setting);

class BlockingFailFastInOrder : public BlockingFailFast {};
INSTANTIATE_TEST_SUITE_P(, BlockingFailFastInOrder,
                         ::testing::ValuesIn(support::settings_with(support::help, support::in_submission_order)),
                         support::name_of_setting);

TEST_P(BlockingFailFast, ThrowsTheErrorOnceAndThenEnds) {
    in_both_forms([&](auto start) {
        for (const int failing : {0, 1, 7, 40, 199}) {
            auto stream = start(
                ex, std::views::iota(0, 200),
                [failing](int i) {
                    if (i == failing) throw test_error(i);
                    return tracked_value(i);
                },
                failing_fast(8));
            std::set<std::size_t> delivered;
            long thrown = -1;
            try {
                while (auto done = stream.next()) {
                    EXPECT_TRUE(done->has_value());
                    EXPECT_TRUE(delivered.insert(done->index()).second);
                }
            } catch (const test_error& error) {
                thrown = error.code;
            }
            EXPECT_EQ(thrown, failing);
            EXPECT_FALSE(stream.next());
            EXPECT_TRUE(stream.done());
            const auto stats = stream.stats();
            EXPECT_EQ(stats.failed, 1U);
            EXPECT_EQ(stats.taken, delivered.size() + 1) << "the failing job counts as taken";
            EXPECT_TRUE(support::eventually_all_accounted(stream));
        }
    });
}

TEST_P(BlockingFailFast, ThrowsWhatTheFunctionThrewBeforeItCameToABlockingJob) {
    for (const int failing : {0, 3, 60}) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 100),
            [failing](int i) {
                if (i == failing) throw test_error(i);
                return penstock::blocking([i] { return tracked_value(i); });
            },
            failing_fast(8));
        EXPECT_THROW(support::drain(stream), test_error);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(stream.stats().failed, 1U);
        if (in_order()) {
            EXPECT_EQ(stream.stats().taken, static_cast<std::size_t>(failing) + 1);
        }
    }
}

TEST_P(BlockingFailFastInOrder, EqualsTheSequentialLoopInSubmissionOrder) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            // Several fail, the later ones sooner: the lowest index counts.
            const std::size_t first = static_cast<std::size_t>(5 + round * 3);
            std::vector<std::atomic<int>> ran(100);
            auto stream = start(
                ex, std::views::iota(std::size_t{0}, ran.size()),
                [&](std::size_t i) {
                    ++ran[i];
                    if (i <= first) std::this_thread::sleep_for((first - i) % 7 * 20us);
                    if (i >= first && (i - first) % 2 == 0) throw test_error(static_cast<long>(i));
                    return tracked_value(i);
                },
                failing_fast(8));
            std::vector<std::size_t> delivered;
            long thrown = -1;
            try {
                while (auto done = stream.next()) delivered.push_back(done->get().value);
            } catch (const test_error& error) {
                thrown = error.code;
            }
            EXPECT_EQ(thrown, static_cast<long>(first));
            ASSERT_EQ(delivered.size(), first) << "every lower index is delivered, and nothing else";
            for (std::size_t i = 0; i < first; ++i) EXPECT_EQ(delivered[i], i);
            EXPECT_TRUE(std::all_of(ran.begin(), ran.begin() + static_cast<std::ptrdiff_t>(first),
                                    [](const auto& n) { return n == 1; }));
        }
    });
}

TEST_P(BlockingFailFastInOrder, LetsEveryLowerIndexRunUndisturbedInSubmissionOrder) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    in_both_forms([&](auto start) {
        latch failed;
        auto stream = start(
            few, std::views::iota(0, 5),
            [&](int i, std::stop_token token) {
                if (i == 1) {
                    failed.open();
                    throw test_error(1);
                }
                if (i > 1) return i;  // pulled after 0 had ended, before 1 had thrown
                EXPECT_TRUE(failed.wait());
                std::this_thread::sleep_for(1ms);
                if (token.stop_requested()) throw penstock::stopped();
                return i;
            },
            failing_fast(2));
        auto first = stream.next();
        ASSERT_TRUE(first);
        EXPECT_TRUE(first->has_value()) << "a job before the failing one was cancelled";
        EXPECT_THROW(stream.next(), test_error);
    });
}

TEST_P(BlockingFailFast, DropsWhatWaitsForAThreadWithoutWaitingForOne) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const support::busy_threads busy(few, 1);
    std::this_thread::sleep_for(1ms);
    auto stream = penstock::as_completed(
        few, std::views::iota(0, 6),
        [&](int i) {
            // In submission order those before it would have to run first.
            if (i == (in_order() ? 0 : 5)) throw test_error(i);
            return penstock::blocking([] { ADD_FAILURE() << "there is no thread for it"; });
        },
        failing_fast(6));
    EXPECT_THROW(support::drain(stream), test_error);
    EXPECT_EQ(stream.stats().taken, 1U);
    EXPECT_TRUE(support::eventually_all_accounted(stream));
}

TEST_P(BlockingFailFast, ThrowsTheRealErrorAndNeverACancellationThatItCaused) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            std::atomic<int> waiting{0};
            auto stream = start(
                ex, std::views::iota(0),
                [&](int i, std::stop_token token) {
                    if (i == 1) {
                        EXPECT_TRUE(support::eventually([&] { return in_order() || waiting > 0; }));
                        throw test_error(i);
                    }
                    if (in_order() && i == 0) return;
                    ++waiting;
                    EXPECT_TRUE(support::eventually([&] { return in_order() || token.stop_requested(); }));
                    throw penstock::stopped();
                },
                failing_fast(4));
            EXPECT_THROW(support::drain(stream), test_error);
            EXPECT_FALSE(stream.next());
        }
    });
}

TEST_P(BlockingFailFastOutOfOrder, DeliversNothingThatFinishedAfterTheErrorInCompletionOrder) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            std::atomic<bool> waiting{false};
            auto stream = start(
                ex, std::views::iota(0, 2),
                [&](int i, std::stop_token token) {
                    if (i == 1) {
                        EXPECT_TRUE(support::eventually([&] { return waiting.load(); }));
                        throw test_error(1);
                    }
                    waiting = true;
                    EXPECT_TRUE(support::eventually([&] { return token.stop_requested(); }));
                    return tracked_value(i);
                },
                failing_fast(2));
            EXPECT_THROW(stream.next(), test_error);
            EXPECT_FALSE(stream.next());
            EXPECT_EQ(stream.stats().taken, 1U);
            EXPECT_EQ(stream.stats().dropped, 1U);
        }
    });
}

TEST_P(BlockingFailFast, StartsNothingOnceTheErrorWasThrown) {
    // S31
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            std::atomic<int> started{0};
            std::atomic<int> ended{0};
            auto stream = start(
                ex, std::views::iota(0),
                [&](int i) {
                    ++started;
                    if (i % 5 == 0) std::this_thread::yield();
                    ++ended;
                    if (i == round) throw test_error(i);
                },
                failing_fast(6));
            EXPECT_THROW(support::drain(stream), test_error);
            const int then = started;
            EXPECT_EQ(then, ended);
            EXPECT_FALSE(stream.next());
            std::this_thread::yield();
            EXPECT_EQ(started, then);
        }
    });
}

TEST_P(BlockingFailFastOutOfOrder, LetsAStopCallbackOfTheUsersHoldUpNoOtherStreamsJob) {
    latch in_callback;
    latch go_on;
    latch registered;
    auto failing = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int i) {
            return penstock::blocking([&, i](std::stop_token token) {
                if (i == 1) {
                    EXPECT_TRUE(registered.wait());
                    throw test_error(1);
                }
                const std::stop_callback slow(token, [&] {
                    in_callback.open();
                    EXPECT_TRUE(go_on.wait());
                });
                registered.open();
                EXPECT_TRUE(support::eventually([&] { return token.stop_requested(); }));
            });
        },
        failing_fast(2));
    ASSERT_TRUE(in_callback.wait());
    auto other = penstock::as_completed(
        ex, std::views::iota(0, 1), [](int) { return penstock::blocking([] {}); }, with(1));
    EXPECT_TRUE(other.next_for(support::patience / 2)) << "it was left to a thread that is in a callback";
    go_on.open();
    EXPECT_THROW(support::drain(failing), test_error);
}

TEST_P(BlockingFailFast, IsNotTheDefault) {
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 600),
            [](int i) {
                if (i % 3 == 0) throw test_error(i);
                return i;
            },
            with(8));
        std::size_t errors = 0;
        while (auto done = stream.next()) {
            EXPECT_EQ(done->has_value(), done->index() % 3 != 0);
            if (!done->has_value()) ++errors;
        }
        EXPECT_EQ(errors, 200U);
        EXPECT_EQ(stream.stats().failed, 200U);
        EXPECT_EQ(stream.stats().taken, 600U);
    });
}

}  // namespace
