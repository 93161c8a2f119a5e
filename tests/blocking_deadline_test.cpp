// SPDX-License-Identifier: MIT
/// C5 with blocking jobs: options::deadline bounds next(), and never the destructor.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ranges>
#include <stop_token>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using support::in_both_forms;
using support::latch;
using support::tracked_value;

class BlockingDeadline : public support::contract_test {
protected:
    penstock::options until(std::chrono::steady_clock::time_point time, std::size_t limit) const {
        auto settings = with(limit);
        settings.deadline = time;
        return settings;
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingDeadline, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(BlockingDeadline, EndsTheWaitForAJobThatStillRuns) {
    in_both_forms([&](auto start) {
        int begun_in_time = 0;
        for (auto patience = 20ms; begun_in_time < 2; patience *= 4) {
            latch hold;
            std::atomic<int> begun{0};
            std::atomic<int> ended{0};
            {
                auto stream = start(
                    ex, std::views::iota(0),
                    [&](int, std::stop_token token) {
                        ++begun;
                        while (!token.stop_requested()) std::this_thread::yield();
                        EXPECT_TRUE(hold.wait());
                        ++ended;
                    },
                    until(std::chrono::steady_clock::now() + patience, 2));
                EXPECT_THROW(stream.next(), penstock::timed_out);
                EXPECT_EQ(ended, 0) << "next() waited for a job";
                EXPECT_FALSE(stream.next());
                hold.open();
            }
            begun_in_time = begun;
            EXPECT_EQ(ended, begun) << "the destructor waits";
        }
    });
}

TEST_P(BlockingDeadline, EndsTheWaitForAThread) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const support::busy_threads busy(few, 1);
    in_both_forms([&](auto start) {
        std::atomic<int> ran{0};
        auto stream = start(
            few, std::views::iota(0), [&](int) { ++ran; }, until(std::chrono::steady_clock::now() + 10ms, 4));
        EXPECT_THROW(stream.next(), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(ran, 0);
    });
}

TEST_P(BlockingDeadline, DeliversFirstWhatIsReady) {
    constexpr std::size_t threads = 4;
    penstock::executor few({.workers = workers(), .max_blocking_threads = threads});
    const std::size_t window = in_order() ? 20 : 8;
    in_both_forms([&](auto start) {
        for (auto patience = 50ms;; patience *= 4) {
            const auto time = std::chrono::steady_clock::now() + patience;
            auto stream = start(
                few, std::views::iota(0), [](int i) { return tracked_value(i); }, until(time, threads));
            const auto full = [&] { return stream.stats().ready == window; };
            while (!full() && std::chrono::steady_clock::now() < time) std::this_thread::yield();
            if (!full()) continue;
            // A job counts as ready just before it is published: when all threads are free again, all are.
            { const support::busy_threads met(few, threads); }
            ASSERT_TRUE(support::eventually([&] { return std::chrono::steady_clock::now() > time; }));
            std::size_t delivered = 0;
            EXPECT_THROW(
                {
                    while (stream.next()) ++delivered;
                },
                penstock::timed_out);
            EXPECT_EQ(delivered, window);
            return;
        }
    });
}

}  // namespace
