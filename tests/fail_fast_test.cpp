// SPDX-License-Identifier: MIT
/// C5: on_error::stop, in both orders; and that errors are results like any other without it.
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

#include "support/contract_test.hpp"

namespace {

using support::latch;
using support::test_error;
using support::tracked_value;

class FailFast : public support::contract_test {
protected:
    penstock::options failing_fast(std::size_t limit) const {
        auto settings = with(limit);
        settings.on_error = penstock::on_error::stop;
        return settings;
    }
};
INSTANTIATE_TEST_SUITE_P(, FailFast, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

class FailFastOutOfOrderOnSeveralWorkers : public FailFast {};
INSTANTIATE_TEST_SUITE_P(, FailFastOutOfOrderOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::in_completion_order,
                                                                    support::several_workers)),
                         support::name_of_setting);

class FailFastOutOfOrder : public FailFast {};
INSTANTIATE_TEST_SUITE_P(, FailFastOutOfOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_completion_order)),
                         support::name_of_setting);

class FailFastOnSeveralWorkers : public FailFast {};
INSTANTIATE_TEST_SUITE_P(, FailFastOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::several_workers)),
                         support::name_of_setting);

class FailFastInOrderOnSeveralWorkers : public FailFast {};
INSTANTIATE_TEST_SUITE_P(, FailFastInOrderOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::in_submission_order,
                                                                    support::several_workers)),
                         support::name_of_setting);

class FailFastInOrder : public FailFast {};
INSTANTIATE_TEST_SUITE_P(, FailFastInOrder, ::testing::ValuesIn(support::settings_with(support::in_submission_order)),
                         support::name_of_setting);

TEST_P(FailFast, ThrowsTheErrorOnceAndThenEnds) {
    for (const int failing : {0, 1, 7, 40, 299}) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 300),
            [&](int i) {
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
        EXPECT_FALSE(delivered.contains(static_cast<std::size_t>(failing)));
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(stream.done());
        const auto stats = stream.stats();
        EXPECT_EQ(stats.failed, 1U);
        EXPECT_EQ(stats.taken, delivered.size() + 1) << "the failing task counts as taken";
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    }
}

TEST_P(FailFastInOrder, EqualsTheSequentialLoopInSubmissionOrder) {
    for (int round = 0; round < 30; ++round) {
        // Several fail, the later ones sooner: the lowest index counts.
        const std::size_t first = static_cast<std::size_t>(5 + round * 3);
        std::vector<std::atomic<int>> ran(300);
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}, std::size_t{300}),
            [&](std::size_t i) {
                ++ran[i];
                if (i == first) support::spin_for(std::chrono::microseconds(50));
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
}

TEST_P(FailFastInOrderOnSeveralWorkers, LetsEveryLowerIndexRunUndisturbedInSubmissionOrder) {
    latch failed;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int i, std::stop_token token) {
            if (i == 1) {
                failed.open();
                throw test_error(1);
            }
            EXPECT_TRUE(failed.wait());
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            if (token.stop_requested()) throw penstock::stopped();
            return i;
        },
        failing_fast(2));
    auto first = stream.next();
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->has_value()) << "a task before the failing one was cancelled";
    EXPECT_THROW(stream.next(), test_error);
}

TEST_P(FailFastOnSeveralWorkers, ThrowsTheRealErrorAndNeverACancellationThatItCaused) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> waiting{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int i, std::stop_token token) {
                if (i == 1) {
                    EXPECT_TRUE(support::eventually([&] { return in_order() || waiting.load() > 0; }));
                    throw test_error(i);
                }
                if (in_order() && i == 0) return;
                ++waiting;
                EXPECT_TRUE(support::eventually([&] { return in_order() || token.stop_requested(); }));
                throw penstock::stopped();
            },
            failing_fast(2));
        try {
            while (stream.next()) {
            }
            FAIL() << "nothing was thrown";
        } catch (const test_error& error) {
            EXPECT_EQ(error.code, 1);
        } catch (const penstock::stopped&) {
            // In submission order nobody is cancelled by a later failure: then throwing `stopped` unasked is an error.
            FAIL() << "a cancellation was thrown";
        }
    }
}

TEST_P(FailFastOutOfOrder, DeliversWhatFinishedBeforeTheErrorInCompletionOrder) {
    std::atomic<int> finished{0};
    auto settings = failing_fast(5);
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 5),
        [&](int i) {
            // With one worker they run one after the other; with more the last one waits for the others.
            if (i == 4) {
                EXPECT_TRUE(support::eventually([&] { return finished == 4; }));
                throw test_error(4);
            }
            ++finished;
            return tracked_value(i);
        },
        settings);
    // An observer outside the tasks can not tell when a task has finished, only when its body has: so wait for the
    // rest.
    std::size_t delivered = 0;
    EXPECT_THROW(
        {
            while (stream.next()) ++delivered;
        },
        test_error);
    const std::size_t others = workers() - 1 + (GetParam().help ? 1 : 0);
    EXPECT_GE(delivered, 4U - std::min<std::size_t>(others, 4));
    EXPECT_EQ(stream.stats().taken, delivered + 1);
    EXPECT_TRUE(support::eventually_all_accounted(stream));
}

TEST_P(FailFastOutOfOrderOnSeveralWorkers, DeliversNothingThatFinishedAfterTheErrorInCompletionOrder) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> waiting{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 2),
            [&](int i, std::stop_token token) {
                if (i == 1) {
                    EXPECT_TRUE(support::eventually([&] { return waiting.load(); }));
                    throw test_error(1);
                }
                waiting = true;
                // The failure tells the others to stop: this one finishes, with a value, after it.
                EXPECT_TRUE(support::eventually([&] { return token.stop_requested(); }));
                return tracked_value(i);
            },
            failing_fast(2));
        EXPECT_THROW(stream.next(), test_error);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(stream.stats().taken, 1U);
        EXPECT_EQ(stream.stats().dropped, 1U);
    }
}

TEST_P(FailFastOutOfOrder, StartsNothingAfterTheError) {
    for (int round = 0; round < 50; ++round) {
        std::atomic<std::size_t> late{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int i, std::stop_token token) {
                // The failure sets the token. Each thread may have been on its way into one task at that moment.
                if (token.stop_requested()) ++late;
                if (i == 20 + round) throw test_error(i);
            },
            failing_fast(16));
        EXPECT_THROW(support::drain(stream), test_error);
        EXPECT_LE(late, workers());
    }
}

TEST_P(FailFast, StopsPulling) {
    std::atomic<std::size_t> pulled{0};
    auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                    ++pulled;
                    return [i] {
                        if (i == 10) throw test_error(i);
                    };
                });
    auto stream = penstock::as_completed(ex, jobs, failing_fast(4));
    EXPECT_THROW(support::drain(stream), test_error);
    const std::size_t at_the_end = pulled;
    // In completion order others may go on for as long as the failing task's thread is kept from running it. In
    // submission order nothing beyond it is taken, so the window bounds what is pulled.
    if (in_order()) {
        EXPECT_LE(at_the_end, 11U + 4 + 16) << "the window, after the failing task";
    }
    EXPECT_FALSE(stream.next());
    EXPECT_TRUE(support::eventually_all_accounted(stream));
    EXPECT_LE(pulled, at_the_end + 1) << "one call may have begun";
}

TEST_P(FailFast, IsNotTheDefault) {
    // S32: errors are results like any other.
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1000),
        [](int i) -> int {
            if (i % 3 == 0) throw test_error(i);
            return i;
        },
        with(8));
    std::size_t errors = 0;
    std::size_t values = 0;
    while (auto done = stream.next()) {
        const long index = static_cast<long>(done->index());
        if (done->has_value()) {
            EXPECT_EQ(done->get(), index);
            ++values;
        } else {
            EXPECT_EQ(index % 3, 0);
            try {
                done->get();
                ADD_FAILURE() << "get() did not throw";
            } catch (const test_error& error) {
                EXPECT_EQ(error.code, index);
            }
            ++errors;
        }
    }
    EXPECT_EQ(errors, 334U);
    EXPECT_EQ(values, 666U);
    EXPECT_EQ(stream.stats().failed, 334U);
}

}  // namespace
