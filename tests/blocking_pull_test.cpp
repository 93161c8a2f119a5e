// SPDX-License-Identifier: MIT
/// C3, C12 with blocking jobs: a producer is called by one thread at a time, and when it is slow that delays nothing
/// but its own next item.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using support::in_both_forms;
using support::latch;
using support::test_error;
using support::tracked_value;

class BlockingPull : public support::contract_test {
protected:
    /// Gives 0, 1, ... `count - 1`; before it gives `at`, it waits until everything before that was taken.
    struct waiting_source {
        std::atomic<int>& taken;
        int at;
        int count;
        int next = 0;
        std::optional<int> operator()() {
            if (next == at) {
                EXPECT_TRUE(support::eventually([&] { return taken >= at; })) << "at " << at << ": " << taken;
            }
            return next < count ? std::optional(next++) : std::nullopt;
        }
    };
    template <class Stream>
    static void take_all(Stream& stream, std::atomic<int>& taken) {
        while (stream.next()) ++taken;
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingPull, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(BlockingPull, ThatBlocksDelaysNothingThatWasPulledBefore) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 64U}) {
            for (const int at : {1, 2, 3, 5, 8, 13, 40, 100}) {
                std::atomic<int> taken{0};
                auto stream = start(
                    ex, waiting_source{taken, at, 120}, [](int i) { return i; }, with(limit));
                take_all(stream, taken);
                EXPECT_EQ(taken, 120);
                if (HasFailure()) return;
            }
        }
    });
}

TEST_P(BlockingPull, ThatBlocksDelaysNothingThatWaitsForTheOnlyThread) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 2U, 4U}) {
            for (const int at : {2, 3, 7}) {
                std::atomic<int> taken{0};
                auto stream = start(
                    few, waiting_source{taken, at, 12}, [](int) { std::this_thread::sleep_for(2ms); }, with(limit));
                take_all(stream, taken);
                EXPECT_EQ(taken, 12);
                if (HasFailure()) return;
            }
        }
    });
}

TEST_P(BlockingPull, ThatBlocksTakesNoThreadFromJobsThatWaitForOne) {
    // C2: two threads may be made, so two jobs run, wherever the producer is.
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    in_both_forms([&](auto start) {
        latch hold;
        support::rendezvous both(2);
        auto stream = start(
            few,
            [&, given = 0]() mutable -> std::optional<int> {
                if (given == 4) {
                    EXPECT_TRUE(hold.wait());
                }
                return given < 8 ? std::optional(given++) : std::nullopt;
            },
            // Two end, and make room for the item that the producer keeps back. The next two are to meet.
            [&](int i) {
                if (i == 0) std::this_thread::sleep_for(5ms);  // so that no worker is looking for work when it ends
                if (i == 2 || i == 3) {
                    EXPECT_TRUE(both.arrive());
                }
            },
            with(4, 8));
        EXPECT_TRUE(both.happened());
        hold.open();
        EXPECT_EQ(support::drain(stream), 8U);
    });
}

TEST_P(BlockingPull, IsDoneByOneThreadAtATimeAndNeverAfterTheEnd) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {2U, 16U}) {
            std::atomic<int> inside{0};
            std::atomic<int> faults{0};
            std::atomic<int> calls{0};
            auto stream = start(
                ex,
                [&]() -> std::optional<int> {
                    if (inside.fetch_add(1) != 0) ++faults;
                    const int i = calls++;
                    if (i % 50 == 49) std::this_thread::yield();
                    inside.fetch_sub(1);
                    return i < 500 ? std::optional(i) : std::nullopt;
                },
                [](int i) { return i; }, with(limit));
            EXPECT_EQ(support::drain(stream), 500U);
            EXPECT_EQ(faults, 0);
            EXPECT_EQ(calls, 501);
        }
    });
}

TEST_P(BlockingPull, ThatThrowsIsHeardOnceAfterEverythingThatWasPulled) {
    in_both_forms([&](auto start) {
        for (const bool jobs_throw_too : {false, true}) {
            for (const int at : {0, 1, 4, 29}) {
                std::atomic<int> calls{0};
                auto stream = start(
                    ex,
                    [&]() -> std::optional<int> {
                        if (calls++ == at) throw std::logic_error("the producer's own");
                        return 7;
                    },
                    [jobs_throw_too](int i) {
                        if (jobs_throw_too) throw test_error(i);
                        return tracked_value(i);
                    },
                    with(4));
                for (int taken = 0; taken < at; ++taken) {
                    const auto done = stream.next();
                    ASSERT_TRUE(done);
                    EXPECT_EQ(done->has_value(), !jobs_throw_too);
                }
                EXPECT_THROW(stream.next(), std::logic_error);
                EXPECT_FALSE(stream.next());
                EXPECT_TRUE(stream.done());
                EXPECT_EQ(calls, at + 1);
            }
        }
    });
}

}  // namespace
