// SPDX-License-Identifier: MIT
/// C5: options::deadline bounds next(), and never the destructor.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using support::latch;
using support::tracked_value;

class Deadline : public support::contract_test {
protected:
    penstock::options until(clock_type::time_point time, std::size_t limit) const {
        auto settings = with(limit);
        settings.deadline = time;
        return settings;
    }
};
INSTANTIATE_TEST_SUITE_P(, Deadline, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Deadline, ThatHasPassedThrowsAtOnceAndRunsNothing) {
    for (const auto time :
         {clock_type::now(), clock_type::now() - 1h, clock_type::time_point::min(), clock_type::time_point{}}) {
        std::atomic<int> ran{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [&](int) { ++ran; }, until(time, 4));
        EXPECT_THROW(stream.next(), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(stream.done());
        EXPECT_EQ(ran, 0);
    }
}

TEST_P(Deadline, FarAwayChangesNothing) {
    for (const auto time : {clock_type::now() + 1h, clock_type::time_point::max()}) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 500), [](int i) { return tracked_value(i); }, until(time, 4));
        EXPECT_EQ(support::drain(stream), 500U);
        EXPECT_TRUE(stream.done());
    }
}

TEST_P(Deadline, EndsTheWaitForATaskThatStillRuns) {
    bool begun_in_time = false;
    for (auto patience = 20ms; !begun_in_time; patience *= 4) {
        latch hold;
        std::atomic<bool> begun{false};
        std::atomic<bool> ended{false};
        {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int, std::stop_token token) {
                    begun = true;
                    // It is asked to stop, and takes its time.
                    while (!token.stop_requested()) std::this_thread::yield();
                    EXPECT_TRUE(hold.wait());
                    ended = true;
                },
                until(clock_type::now() + patience, 1));
            EXPECT_THROW(stream.next(), penstock::timed_out);
            EXPECT_FALSE(ended) << "next() waited for the task";
            EXPECT_FALSE(stream.next());
            hold.open();
        }
        begun_in_time = begun;
        EXPECT_EQ(ended.load(), begun.load()) << "the destructor must wait for the task";
    }
}

TEST_P(Deadline, EndsTheWaitForAProducerThatBlocks) {
    std::atomic<bool> inside{false};
    for (auto patience = 20ms; !inside; patience *= 4) {
        latch hold;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<int (*)()> {
                inside = true;
                EXPECT_TRUE(hold.wait());
                return std::nullopt;
            },
            until(clock_type::now() + patience, 1));
        EXPECT_THROW(stream.next(), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        hold.open();
    }
}

TEST_P(Deadline, DeliversFirstWhatIsReady) {
    const std::size_t window = in_order() ? 20 : 8;
    for (auto patience = 50ms;; patience *= 4) {
        const auto time = clock_type::now() + patience;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [](int i) { return tracked_value(i); }, until(time, 4));
        const auto full = [&] { return stream.stats().ready == window; };
        while (!full() && clock_type::now() < time) std::this_thread::yield();
        if (!full()) continue;
        // A task counts as ready just before it can be taken: when all workers are free again, all can.
        { const support::busy_workers met(ex); }
        ASSERT_TRUE(support::eventually([&] { return clock_type::now() > time; }));
        std::size_t delivered = 0;
        EXPECT_THROW(
            {
                while (stream.next()) ++delivered;
            },
            penstock::timed_out);
        EXPECT_EQ(delivered, window);
        EXPECT_FALSE(stream.next());
        return;
    }
}

TEST_P(Deadline, IsQuietWhenOnlyReadyResultsAreLeft) {
    for (auto patience = 50ms;; patience *= 4) {
        const auto time = clock_type::now() + patience;
        std::atomic<int> calls{0};
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<tracked_value<int> (*)()> {
                if (calls++ == 3) return std::nullopt;
                return [] { return tracked_value(1); };
            },
            until(time, 8));
        // A stream whose deadline has passed is bound by nothing, too: so the clock is read last.
        bool in_time = false;
        while (!in_time && clock_type::now() < time) {
            std::this_thread::yield();
            const auto now = stream.stats();
            in_time = calls == 4 && now.ready == 3 && now.bound == penstock::bound_by::none && clock_type::now() < time;
        }
        if (!in_time) continue;
        { const support::busy_workers met(ex); }
        ASSERT_TRUE(support::eventually([&] { return clock_type::now() > time; }));
        EXPECT_EQ(support::drain(stream), 3U) << "and nothing is thrown";
        return;
    }
}

TEST_P(Deadline, CutsAnEndlessStreamShort) {
    std::size_t delivered = 0;
    for (auto patience = 30ms; delivered == 0; patience *= 4) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [](int i) { return tracked_value(i); }, until(clock_type::now() + patience, 16));
        EXPECT_THROW(
            {
                while (stream.next()) ++delivered;
            },
            penstock::timed_out);
        EXPECT_FALSE(stream.next());
    }
}

TEST_P(Deadline, BoundsNextForAsWell) {
    latch hold;
    {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1), [&](int) { EXPECT_TRUE(hold.wait()); }, until(clock_type::now() + 20ms, 1));
        EXPECT_THROW(stream.next_for(std::chrono::hours(1)), penstock::timed_out);
        hold.open();
    }
}

TEST_P(Deadline, IsNoReasonForTheConsumerToRunTasks) {
    const auto consumer = std::this_thread::get_id();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2000), [&](int) { EXPECT_NE(std::this_thread::get_id(), consumer); },
        until(clock_type::now() + 1h, 8));
    EXPECT_EQ(support::drain(stream), 2000U);
}

}  // namespace
