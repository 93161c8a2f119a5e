// SPDX-License-Identifier: MIT
/// C5 when nobody waits: a deadline stops a stream's tasks while its consumer is away, or is a coroutine.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::eventually;
using support::tracked;
using support::tracked_value;
using clock = std::chrono::steady_clock;

class Alarm : public support::contract_test {
protected:
    template <class Patience>
    penstock::options within(Patience patience, std::size_t limit) const {
        auto settings = with(limit);
        settings.deadline = clock::now() + patience;
        return settings;
    }
    /// Runs a coroutine as the one task of a stream; gives what it came to.
    template <class Make>
    auto run(Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1), [&](int) { return make(); }, with(1));
        auto done = stream.next();
        return done->get();
    }
    task<int> sleep_long(int i, std::atomic<int>& stopped) {
        const tracked frame;
        ++begun_;
        try {
            co_await penstock::sleep_for(1h);
        } catch (const penstock::stopped&) {
            ++stopped;
            throw;
        }
        co_return i;
    }
    /// A stream `count` tasks of which have begun before its deadline. start(settings)
    template <class Start>
    auto begun_in_time(int count, Start start) {
        for (auto patience = 10ms;; patience *= 4) {
            begun_ = 0;
            const auto settings = within(patience, static_cast<std::size_t>(count));
            auto stream = start(settings);
            while (begun_ < count && clock::now() < *settings.deadline) std::this_thread::yield();
            if (begun_ == count) return stream;
        }
    }
    /// Until it is told to stop.
    void wait_for(const std::stop_token& token, std::atomic<int>& told) {
        ++begun_;
        EXPECT_TRUE(eventually([&] { return token.stop_requested(); }));
        ++told;
    }

    std::atomic<int> begun_{0};
};
INSTANTIATE_TEST_SUITE_P(, Alarm, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Alarm, WakesTasksThatSleepWhileTheConsumerIsAway) {
    std::atomic<int> stopped{0};
    auto stream = begun_in_time(5, [&](const penstock::options& settings) {
        stopped = 0;
        return penstock::as_completed(
            ex, std::views::iota(0), [&](int i) { return sleep_long(i, stopped); }, settings);
    });
    EXPECT_TRUE(eventually([&] { return stopped == 5; }));
    EXPECT_THROW(stream.next(), penstock::timed_out);
    EXPECT_FALSE(stream.next());
    EXPECT_TRUE(stream.done());
    EXPECT_TRUE(eventually([&] { return stream.stats().dropped == 5; }));
    EXPECT_EQ(stream.stats().pulled, 5U);
    EXPECT_EQ(stream.stats().taken, 0U);
}

TEST_P(Alarm, EndsQuietlyNoStreamWhoseTasksItStopped) {
    // Its source has ended, and nothing runs any more; but something was cut off.
    std::atomic<int> stopped{0};
    auto stream = begun_in_time(3, [&](const penstock::options& settings) {
        stopped = 0;
        return penstock::as_completed(
            ex, std::views::iota(0, 3), [&](int i) { return sleep_long(i, stopped); }, settings);
    });
    EXPECT_TRUE(eventually([&] { return stream.stats().running == 0 && stopped == 3; }));
    EXPECT_THROW(stream.next(), penstock::timed_out);
    EXPECT_FALSE(stream.next());
}

TEST_P(Alarm, LeavesWhatWasReadyInTime) {
    for (auto patience = 1ms;; patience *= 4) {
        const auto settings = within(patience, 4);
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 4), [](int i) { return tracked_value(i); }, settings);
        while (stream.stats().ready < 4 && clock::now() < *settings.deadline) std::this_thread::yield();
        if (stream.stats().ready < 4) continue;
        // A task counts as ready just before it can be taken: when all workers are free again, all can.
        { const support::busy_workers met(ex); }
        EXPECT_TRUE(eventually([&] { return clock::now() > *settings.deadline + 2ms; }));
        std::size_t count = 0;
        try {
            while (stream.next()) ++count;
        } catch (const penstock::timed_out&) {
            // The source may not have been asked in time whether there is more.
        }
        EXPECT_EQ(count, 4U);
        return;
    }
}

TEST_P(Alarm, TellsTasksThatComputeOnEveryWorker) {
    std::atomic<int> told{0};
    const int count = static_cast<int>(workers());
    auto stream = begun_in_time(count, [&](const penstock::options& settings) {
        told = 0;
        return penstock::as_completed(
            ex, std::views::iota(0, count), [&](int, std::stop_token token) { wait_for(token, told); }, settings);
    });
    EXPECT_TRUE(eventually([&] { return told == count; })) << "with no worker left to serve the alarm";
    EXPECT_THROW(
        {
            while (stream.next()) {
            }
        },
        penstock::timed_out)
        << "the source was not asked for more in time";
}

TEST_P(Alarm, TellsBlockingJobsWhileNoBlockingThreadIsLeft) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    support::in_both_forms([&](auto start) {
        std::atomic<int> told{0};
        auto stream = begun_in_time(2, [&](const penstock::options& settings) {
            told = 0;
            return start(
                few, std::views::iota(0, 2), [&](int, std::stop_token token) { wait_for(token, told); }, settings);
        });
        EXPECT_TRUE(eventually([&] { return told == 2; }));
    });
}

TEST_P(Alarm, TellsTasksWhileEverybodyIsBusyWithOthersForALittleWhile) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    std::atomic<int> stopped{0};
    auto stream = begun_in_time(3, [&](const penstock::options& settings) {
        stopped = 0;
        return penstock::as_completed(
            few, std::views::iota(0, 3), [&](int i) { return sleep_long(i, stopped); }, settings);
    });
    {
        const support::busy_threads busy(few, 1);
        const support::busy_workers busy_too(few);
        std::this_thread::sleep_for(20ms);
    }
    EXPECT_TRUE(eventually([&] { return stopped == 3; }));
}

TEST_P(Alarm, EndsTheWaitOfAConsumerThatIsACoroutine) {
    for (int round = 0; round < 10; ++round) {
        std::atomic<int> stopped{0};
        const bool late = run([&]() -> task<bool> {
            const auto settings = within(std::chrono::milliseconds(round), 4);
            auto inner = penstock::as_completed(
                ex, std::views::iota(0), [&](int i) { return sleep_long(i, stopped); }, settings);
            bool thrown = false;
            try {
                static_cast<void>(co_await inner.async_next());
            } catch (const penstock::timed_out&) {
                thrown = true;
            }
            EXPECT_GE(clock::now(), *settings.deadline);
            EXPECT_FALSE(co_await inner.async_next());
            co_return thrown;
        });
        EXPECT_TRUE(late);
    }
}

TEST_P(Alarm, EndsTheWaitOfACoroutineForJobsThatHearNothing) {
    support::latch hold;
    const bool late = run([&]() -> task<bool> {
        auto inner = penstock::as_completed(
            ex, std::views::iota(0, 2), [&](int) { return penstock::blocking([&] { EXPECT_TRUE(hold.wait()); }); },
            within(5ms, 2));
        bool thrown = false;
        try {
            static_cast<void>(co_await inner.async_next());
        } catch (const penstock::timed_out&) {
            thrown = true;
        }
        hold.open();
        co_await inner.async_join();
        co_return thrown;
    });
    EXPECT_TRUE(late);
}

TEST_P(Alarm, DeliversFirstWhatWasReadyToACoroutine) {
    bool in_time = false;
    for (auto patience = 20ms; !in_time; patience *= 4) {
        std::atomic<int> stopped{0};
        const std::size_t delivered = run([&]() -> task<std::size_t> {
            const auto settings = within(patience, 6);
            auto inner = penstock::as_completed(
                ex, std::views::iota(0),
                [&](int i) -> task<int> {
                    if (i >= 3) co_return co_await sleep_long(i, stopped);
                    co_return i;
                },
                settings);
            // Before the deadline nothing but the three can be ready: the clock is read after the count.
            while (!in_time && clock::now() < *settings.deadline) {
                co_await penstock::yield();
                in_time = inner.stats().ready == 3 && clock::now() < *settings.deadline;
            }
            while (clock::now() <= *settings.deadline) co_await penstock::sleep_for(1ms);
            std::size_t count = 0;
            try {
                while (co_await inner.async_next()) ++count;
            } catch (const penstock::timed_out&) {
            }
            co_return count;
        });
        EXPECT_LE(delivered, 3U);
        if (in_time) {
            EXPECT_EQ(delivered, 3U);
        }
    }
}

TEST_P(Alarm, MayGoOffAtAnyPointOfAStreamsLife) {
    for (int round = 0; round < 300; ++round) {
        std::atomic<int> stopped{0};
        const auto patience = std::chrono::microseconds(round % 50 * 4);
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, round % 7), [&](int i) { return sleep_long(i, stopped); },
            within(patience, static_cast<std::size_t>(round % 3 + 1)));
        if (round % 2) support::spin_for(std::chrono::microseconds(round % 60 * 4));
        if (round % 5 == 0) stream.request_stop();
        if (round % 3) continue;
        try {
            while (stream.next()) {
            }
        } catch (const penstock::timed_out&) {
        } catch (const penstock::stopped&) {
        }
    }
}

TEST_P(Alarm, OfAStreamThatIsOverHoldsUpNoExecutor) {
    bool in_time = false;
    // 1 ms goes off while the executor is being destroyed, if the stream is over in time; an hour does not.
    for (clock::duration patience = 1ms;; patience = in_time ? 1h : patience * 4) {
        auto own = std::make_unique<penstock::executor>(workers());
        std::atomic<bool> ended{false};
        const auto settings = within(patience, 4);
        auto stream = penstock::as_completed(
            *own,
            [&, next = 0]() mutable -> std::optional<int> {
                if (next < 3) return next++;
                ended = true;
                return std::nullopt;
            },
            [](int i) { return tracked_value(i); }, settings);
        const auto over = [&] {
            if (!ended) return false;
            const auto now = stream.stats();
            return now.ready == 3 && now.bound == penstock::bound_by::none;
        };
        while (!over() && clock::now() < *settings.deadline) std::this_thread::yield();
        in_time = over() && clock::now() < *settings.deadline;
        if (!in_time) continue;
        own.reset();
        EXPECT_EQ(support::drain(stream), 3U);
        if (patience == 1h) break;
    }
}

TEST_P(Alarm, StopsAStreamThatAnExecutorOutlivesInTheMiddleOfItsTasks) {
    // It is over, because its deadline was heard of; its tasks are not, and the executor waits for them.
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> stopped{0};
        auto own = std::make_unique<penstock::executor>(workers());
        auto stream = penstock::as_completed(
            *own, std::views::iota(0, 4),
            [&](int i) -> task<int> {
                const tracked frame;
                try {
                    co_await penstock::sleep_for(1h);
                } catch (const penstock::stopped&) {
                }
                co_await penstock::run_blocking([](int us) { std::this_thread::sleep_for(us * 1us); }, 100 * i);
                ++stopped;
                co_return i;
            },
            within(1ms, 4));
        EXPECT_THROW(
            {
                while (stream.next()) {
                }
            },
            penstock::timed_out);
        own.reset();
        EXPECT_EQ(tracked::live(), 0) << "a frame is left";
    }
}

TEST_P(Alarm, IsNotSetForADeadlineThatNeverComes) {
    auto settings = with(2);
    settings.deadline = clock::time_point::max();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20), [](int i) { return tracked_value(i); }, settings);
    EXPECT_EQ(support::drain(stream), 20U);
}

TEST_P(Alarm, GoesOffInTheirOrderForManyStreams) {
    std::atomic<int> stopped{0};
    using stream = penstock::completion_stream<int, int>;
    std::vector<stream> all;
    for (int i = 0; i < 40; ++i) {
        all.push_back(penstock::as_completed(
            ex, std::views::iota(0, 1), [&](int each) { return sleep_long(each, stopped); },
            within(std::chrono::microseconds(i * 37 % 40 * 250), 1)));
        if (i % 4 == 3) all.erase(all.begin() + i / 8);
    }
    EXPECT_TRUE(eventually([&] {
        for (const auto& each : all) {
            if (each.stats().running > 0) return false;
        }
        return true;
    }));
    for (auto& each : all) EXPECT_THROW(each.next(), penstock::timed_out);
}

TEST_P(Alarm, TellsTasksThatHoldEveryThreadOfBothKinds) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    std::atomic<int> told{0};
    const int count = static_cast<int>(workers()) + 1;
    auto stream = begun_in_time(count, [&](const penstock::options& settings) {
        told = 0;
        return penstock::as_completed(
            few, std::views::iota(0, count) | std::views::transform([&](int i) -> penstock::any_job<void> {
                     if (i == 0)
                         return penstock::blocking([&](const std::stop_token& token) { wait_for(token, told); });
                     return [&](const std::stop_token& token) { wait_for(token, told); };
                 }),
            settings);
    });
    EXPECT_TRUE(eventually([&] { return told == count; }));
}

TEST_P(Alarm, TellsABlockingJobWhileAnotherStreamKeepsTheWorkers) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    std::atomic<int> told{0};
    auto stream = begun_in_time(1, [&](const penstock::options& settings) {
        told = 0;
        return penstock::as_completed(
            few, std::views::iota(0, 1),
            [&](int) { return penstock::blocking([&](const std::stop_token& token) { wait_for(token, told); }); },
            settings);
    });
    auto other = with(4 * workers(), penstock::unlimited);
    other.help = false;
    auto endless = penstock::as_completed(
        few, std::views::iota(0), [](int) { std::this_thread::sleep_for(100us); }, other);
    EXPECT_TRUE(eventually([&] { return told == 1; }));
}

}  // namespace
