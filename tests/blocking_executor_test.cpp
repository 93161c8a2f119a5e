// SPDX-License-Identifier: MIT
/// Blocking jobs and their executor: they take no worker, share its blocking threads, and leave nothing behind when it
/// goes.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::blocking;
using support::in_both_forms;
using support::latch;
using support::meter;
using support::rendezvous;
using support::test_error;
using support::tracked_value;

class BlockingExecutor : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, BlockingExecutor, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(BlockingExecutor, TakesNoWorker) {
    in_both_forms([&](auto start) {
        std::atomic<bool> over{false};
        auto waiting = start(
            ex, std::views::iota(0, 20), [&](int) { EXPECT_TRUE(support::eventually([&] { return over.load(); })); },
            with(20));
        auto computing = penstock::as_completed(
            ex, std::views::iota(0, 1000), [](int i) { return i; }, with(16));
        EXPECT_EQ(support::drain(computing), 1000U);
        over = true;
        EXPECT_EQ(support::drain(waiting), 20U);
    });
}

TEST_P(BlockingExecutor, NeedsNoWorkerToBeginOrToGoOn) {
    const support::busy_workers busy(ex);
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 300), [](int i) { return i; }, with(4, 300));
        EXPECT_EQ(support::drain(stream), 300U);
    });
}

TEST_P(BlockingExecutor, AThousandSleepersRunFiveHundredAtOnce) {
    const std::size_t limit = support::sanitized ? 100 : 500;
    in_both_forms([&](auto start) {
        meter running;
        rendezvous all(limit);
        auto stream = start(
            ex, std::views::iota(std::size_t{0}, 2 * limit),
            [&](std::size_t i) {
                const meter::visit here(running);
                EXPECT_TRUE(all.arrive());
                std::this_thread::sleep_for(1ms);
                return i;
            },
            with(limit, 2 * limit));
        EXPECT_EQ(support::drain(stream), 2 * limit);
        EXPECT_EQ(running.most(), static_cast<long>(limit));
    });
}

TEST_P(BlockingExecutor, StreamsThatRunAtOnceShareTheThreadsAndKeepTheirOwnCaps) {
    constexpr std::size_t threads = 5;
    penstock::executor few({.workers = workers(), .max_blocking_threads = threads});
    meter all;
    in_both_forms([&](auto start) {
        std::vector<std::jthread> consumers;
        for (const std::size_t limit : {1U, 3U, 8U}) {
            consumers.emplace_back([&, limit] {
                meter own;
                auto stream = start(
                    few, std::views::iota(0, 200),
                    [&](int i) {
                        const meter::visit here(all);
                        const meter::visit inside(own);
                        if (i % 16 == 0) std::this_thread::sleep_for(100us);
                    },
                    with(limit));
                EXPECT_EQ(support::drain(stream), 200U);
                EXPECT_LE(own.most(), static_cast<long>(limit));
            });
        }
    });
    EXPECT_LE(all.most(), static_cast<long>(threads));
}

TEST_P(BlockingExecutor, StreamsOfBothKindsGetThroughBesideEachOther) {
    in_both_forms([&](auto start) {
        auto hungry = penstock::as_completed(
            ex, std::views::iota(0), [](int) { support::spin_for(20us); },
            penstock::options{.limit = 64, .buffer = penstock::unlimited});
        auto waiting = start(
            ex, std::views::iota(0, 300), [](int i) { return i; }, with(8));
        auto computing = penstock::as_completed(
            ex, std::views::iota(0, 300), [](int i) { return i; }, with(8));
        EXPECT_EQ(support::drain(waiting), 300U);
        EXPECT_EQ(support::drain(computing), 300U);
        EXPECT_FALSE(hungry.done());
    });
}

TEST_P(BlockingExecutor, LeavesNothingBehindThatItsExecutorHasToWaitFor) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 30; ++round) {
            penstock::executor own({.workers = workers(), .max_blocking_threads = 4});
            if (round % 3 == 0) continue;
            auto stream = start(
                own, std::views::iota(0, round), [](int i) { return tracked_value(i); }, with(6));
            EXPECT_EQ(support::drain(stream), static_cast<std::size_t>(round));
        }
    });
}

/// Gives 0, 1, ... `count - 1`, and tells when it has been asked for more.
struct ending_source {
    int count;
    std::atomic<bool>& ended;
    int next = 0;
    std::optional<int> operator()() {
        if (next < count) return next++;
        ended = true;
        return std::nullopt;
    }
};

/// Whether it knows its end, and its jobs have ended.
template <class Stream>
bool is_over(const Stream& stream, std::size_t jobs, const std::atomic<bool>& source_ended) {
    if (!source_ended) return false;
    const auto now = stream.stats();  // somebody is in the producer until the stream has heard of its end
    return now.ready == jobs && now.bound == penstock::bound_by::none;
}

TEST_P(BlockingExecutor, AStreamThatIsOverMayOutliveItsExecutor) {
    in_both_forms([&](auto start) {
        for (const bool stops : {false, true}) {
            auto own = std::make_unique<penstock::executor>(workers());
            std::atomic<bool> ended{false};
            auto stream = start(
                *own, ending_source{5, ended}, [](int i) { return tracked_value(i); }, with(8));
            ASSERT_TRUE(support::eventually([&] { return is_over(stream, 5, ended); }));
            own.reset();
            if (stops) stream.request_stop();
            EXPECT_EQ(stream.stats().ready, 5U);
            EXPECT_EQ(support::drain(stream), 5U);
            EXPECT_TRUE(stream.done());
            stream.request_stop();
            EXPECT_FALSE(stream.next());
        }
    });
}

TEST_P(BlockingExecutor, StreamsThatAreOverLeaveNothingToDoForAnExecutorThatGoesAtOnce) {
    for (int round = 0; round < 60; ++round) {
        in_both_forms([&](auto start) {
            std::optional<penstock::executor> own(std::in_place, workers());
            const int jobs = round % 6;
            std::atomic<bool> first_ended{false};
            std::atomic<bool> second_ended{false};
            const auto make = [&](std::atomic<bool>& ended) {
                return start(
                    *own, ending_source{jobs, ended}, [](int i) { return tracked_value(i); }, with(8));
            };
            auto first = make(first_ended);
            auto second = make(second_ended);
            const auto count = static_cast<std::size_t>(jobs);
            while (!is_over(first, count, first_ended) || !is_over(second, count, second_ended)) {
                std::this_thread::yield();
            }
            own.reset();
            EXPECT_EQ(support::drain(first), count);
            EXPECT_EQ(support::drain(second), count);
        });
    }
}

TEST_P(BlockingExecutor, AResultOutlivesStreamAndExecutor) {
    std::vector<penstock::completed<tracked_value<std::string>, int>> kept;
    {
        penstock::executor own(workers());
        auto stream = penstock::as_completed(
            own, std::views::iota(0, 20),
            [](int i) {
                return blocking([i] {
                    if (i == 7) throw test_error(7);
                    return tracked_value<std::string>("result of " + std::to_string(i));
                });
            },
            with(4));
        while (auto done = stream.next()) kept.push_back(std::move(*done));
    }
    EXPECT_EQ(kept.size(), 20U);
    for (auto& done : kept) {
        if (done.input() == 7) {
            EXPECT_THROW(done.get(), test_error);
        } else {
            EXPECT_EQ(done.get().value, "result of " + std::to_string(done.input()));
        }
    }
}

TEST_P(BlockingExecutor, NoThreadsAtAllIsAnInvalidArgument) {
    EXPECT_THROW(penstock::executor({.workers = workers(), .max_blocking_threads = 0}), std::invalid_argument);
}

TEST_P(BlockingExecutor, APostedTaskDoesNotWaitForAPumpThatWasForABlockingThread) {
    penstock::executor few({.workers = 1, .max_blocking_threads = 4});
    latch free_worker;
    latch free_threads;
    latch worker_is_busy;
    auto first = few.submit([&] {
        worker_is_busy.open();
        EXPECT_TRUE(free_worker.wait());
    });
    ASSERT_TRUE(worker_is_busy.wait());
    std::atomic<int> busy{0};
    auto other = penstock::as_completed(
        few, std::views::iota(0, 4),
        [&](int) {
            return penstock::blocking([&] {
                ++busy;
                EXPECT_TRUE(free_threads.wait());
            });
        },
        4);
    ASSERT_TRUE(support::eventually([&] { return busy == 4; }));
    // Every thread is busy: the pump of this stream waits for a blocking one, and the worker takes it when it is free.
    std::atomic<bool> over{false};
    std::atomic<int> pulls{0};
    auto settings = with(4);
    settings.help = false;
    auto stream = penstock::as_completed(
        few,
        [&]() -> std::optional<int> {
            if (pulls == 0) {
                EXPECT_TRUE(free_threads.wait());
            }
            if (over) return std::nullopt;
            return pulls++;
        },
        [](int i) { return penstock::blocking([i] { return i; }); }, settings);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    free_worker.open();
    free_threads.open();
    std::jthread consumer([&] { support::drain(stream); });
    EXPECT_TRUE(support::eventually([&] { return pulls > 20; }));
    const auto posted = few.submit([] {});
    EXPECT_EQ(posted.wait_for(support::patience / 2), std::future_status::ready);
    over = true;
    first.get();
}

}  // namespace
