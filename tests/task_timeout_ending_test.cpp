// SPDX-License-Identifier: MIT
/// C4: options::task_timeout. How a stream goes on and ends while a task of it runs too long: with a feed, when it
/// fails fast, is stopped or has a deadline, watched by an observer, with another attempt.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <ranges>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>

#include <penstock/observer.hpp>
#include <penstock/penstock.hpp>

#include "support/task_timeout_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::task;
using support::blocks;
using support::computing;
using support::eventually;
using support::expect_end;
using support::expect_timed_out;
using support::function_stream;
using support::functions;
using support::hears;
using support::heed;
using support::indices;
using support::is_timed_out;
using support::kind;
using support::let_it_go_wrong;
using support::mark;
using support::released_at_last;
using support::soon;
using support::stubborn;
using support::suspends;
using support::task_body;
using support::test_error;
using support::timed_out;
using support::tracked;
using support::value;

class TaskTimeout : public support::task_timeout_test {};
INSTANTIATE_TEST_SUITE_P(, TaskTimeout, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(TaskTimeout, OfTheHeadOfTheLineIsDeliveredInItsPlaceAndHoldsUpNobody) {
    in_every_kind([&](const auto& kind) {
        if (!others_can_run(kind)) return;
        stubborn first;
        auto stream = kind.start(ex, 6, first.first(), timing_out(1ms, 2));
        const released_at_last guard(first);
        EXPECT_GE(take_all(stream, 6), 1U);
        EXPECT_EQ(first.ended, 0U);
    });
}

TEST_P(TaskTimeout, DoesNotKeepTheStreamFromItsEndButItsDestructorWaits) {
    in_every_kind([&](const auto& kind) {
        if (!others_can_run(kind)) return;  // or nobody asks the source whether there is more
        with_one_overdue(kind, 1, timing_out(1ms, 2), [](auto& stream, stubborn& first) {
            expect_end(stream);
            EXPECT_FALSE(stream.next());
            EXPECT_EQ(first.ended, 0U);
            const std::jthread later([&] {
                let_it_go_wrong(500us);
                first.released = true;
            });
            { const auto gone = std::move(stream); }
            EXPECT_EQ(first.ended, 1U);
        });
    });
}

TEST_P(TaskTimeout, DoesNotEndAFeedThatTheTaskMayStillPushInto) {
    const auto check = [&](auto make) {
        penstock::feed<std::size_t> numbers;
        EXPECT_TRUE(numbers.push(0));
        stubborn first;
        const task_body what = [&](std::size_t i, const std::stop_token&) {
            if (i > 0) return value(i);
            value result = first.run(i);
            EXPECT_TRUE(numbers.push(1));
            return result;
        };
        auto stream = penstock::as_completed(ex, numbers, make(what), timing_out(1ms, 2));
        const released_at_last guard(first);
        expect_timed_out(stream.next(), 0);
        EXPECT_FALSE(stream.next_for(2ms));
        EXPECT_FALSE(stream.done());
        EXPECT_EQ(first.ended, 0U);
        first.released = true;
        const auto done = soon(stream);
        ASSERT_TRUE(done) << "what an overdue task pushed";
        EXPECT_EQ(done->input(), 1U);
        expect_end(stream);
        EXPECT_FALSE(numbers.push(2));
    };
    check([](const task_body& what) { return what; });
    check([](const task_body& what) { return [what](std::size_t i) { return blocks()(what, i); }; });
    check([](const task_body& what) { return [what](std::size_t i) { return suspends()(what, i); }; });
}

TEST_P(TaskTimeout, IsToldToAConsumerThatIsACoroutine) {
    in_every_kind([&](const auto& kind) {
        if (!kind.leaves_worker) return;
        stubborn first;
        const auto consume = [&](std::size_t) -> task<> {
            auto stream = kind.start(ex, 1, first.each(), timing_out(1ms, 2));
            const released_at_last guard(first);
            auto late = co_await stream.async_next();
            EXPECT_TRUE(late && timed_out(*late));
            EXPECT_FALSE(co_await stream.async_next());
            EXPECT_EQ(first.ended, 0U);
        };
        auto consumer = penstock::as_completed(ex, indices(1), consume, with(1));
        const auto done = soon(consumer);
        ASSERT_TRUE(done);
        EXPECT_TRUE(done->has_value());
    });
}

TEST_P(TaskTimeout, IsThrownAtOnceWhenTheStreamFailsFast) {
    in_every_kind([&](const auto& kind) {
        stubborn first;
        {
            auto settings = timing_out(1ms, 2);
            settings.on_error = penstock::on_error::stop;
            auto stream = kind.start(ex, 1, first.each(), settings);
            const released_at_last guard(first);
            EXPECT_THROW(stream.next(), penstock::timed_out);
            expect_end(stream);
            EXPECT_EQ(stream.stats().failed, 1U);
            EXPECT_EQ(stream.stats().taken, 1U);
            EXPECT_EQ(first.ended, 0U);
        }
        EXPECT_EQ(first.ended, 1U);
    });
}

TEST_P(TaskTimeout, IsThrownAfterWhatHadFinishedWhenTheStreamFailsFast) {
    for (auto timeout = 5ms;; timeout *= 8) {
        stubborn last;
        std::atomic<bool> told{false};
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            if (i < 5) return value(i);
            told = hears(token);
            return last.run(i);
        };
        auto settings = timing_out(timeout, 8);
        settings.on_error = penstock::on_error::stop;
        auto stream = functions<blocks>(ex, 6, what, settings);
        const released_at_last guard(last);
        EXPECT_TRUE(eventually([&] { return told || stream.stats().failed > 0; }));
        std::size_t delivered = 0;
        const auto take = [&] {
            while (auto done = soon(stream)) {
                EXPECT_FALSE(timed_out(*done));
                EXPECT_TRUE(!in_order() || done->index() == delivered);
                ++delivered;
            }
        };
        EXPECT_THROW(take(), penstock::timed_out);
        expect_end(stream);
        EXPECT_EQ(last.ended, 0U);
        if (HasFailure() || delivered == 5) return;
        ASSERT_LT(timeout, 1s) << "the short ones can not have been timed out each time";
    }
}

TEST_P(TaskTimeout, IsNotChangedByAStopThatComesLater) {
    in_every_kind_that_hears([&](const auto& kind) {
        stubborn first;
        std::atomic<bool> told{false};
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            told = hears(token);
            return first.run(i);
        };
        auto stream = kind.start(ex, 1, what, timing_out(1ms, 1));
        const released_at_last guard(first);
        EXPECT_TRUE(eventually([&] { return told.load(); }));
        stream.request_stop();
        expect_timed_out(soon(stream), 0);
        EXPECT_EQ(first.ended, 0U);
        EXPECT_EQ(stream.stats().failed, 1U);
        EXPECT_EQ(stream.stats().stopped, 0U);
    });
}

TEST_P(TaskTimeout, RacesWithAStopAndAThrowAndThereIsOneOutcome) {
    for (int round = 0; round < 20; ++round) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}),
            [](std::size_t i) -> task<> {
                const tracked frame;
                co_await penstock::sleep_for(i % 3 == 0 ? 300us : 3'600'000'000us);
                throw test_error(static_cast<long>(i));
            },
            timing_out(300us, 8));
        std::this_thread::sleep_for(std::chrono::microseconds(round * 25));
        stream.request_stop();
        std::set<std::size_t> seen;
        try {
            while (auto done = soon(stream)) {
                EXPECT_TRUE(seen.insert(done->index()).second);
                EXPECT_FALSE(done->has_value());
            }
        } catch (const penstock::stopped&) {
        }
        expect_end(stream);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
        EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 0; }));
        const auto end = stream.stats();
        EXPECT_EQ(end.taken, seen.size());
        EXPECT_EQ(end.failed + end.stopped, seen.size());
    }
}

TEST_P(TaskTimeout, IsNotWaitedForBeyondADeadline) {
    in_every_kind([&](const auto& kind) {
        stubborn first;
        auto settings = timing_out(1h, 1);
        settings.deadline = clock_type::now() + 1ms;
        auto stream = kind.start(ex, 1, first.each(), settings);
        const released_at_last guard(first);
        EXPECT_THROW(stream.next(), penstock::timed_out);
        expect_end(stream);
        EXPECT_EQ(first.ended, 0U);
    });
}

TEST_P(TaskTimeout, IsAResultLikeAnyOtherUnderADeadlineThatIsLater) {
    auto settings = timing_out(1ms, 2);
    settings.deadline = clock_type::now() + 1h;
    with_one_overdue(kind<function_stream>{"", &functions<blocks>}, 1, settings,
                     [](auto& stream, stubborn&) { expect_end(stream); });
}

/// Counts what it is told of each task.
struct witness final : penstock::stream_observer {
    void on_start(std::size_t index) noexcept override { ++started.at(index); }
    void on_finish(std::size_t index) noexcept override { end(index); }
    void on_error(std::size_t index, std::exception_ptr why) noexcept override {
        if (!why) ++faults;
        end(index);
    }
    void end(std::size_t index) noexcept {
        if (started.at(index) != 1) ++faults;
        ++ended.at(index);
    }
    std::array<std::atomic<int>, 8> started{}, ended{};
    std::atomic<int> faults{0};
};

TEST_P(TaskTimeout, IsOneStartAndOneEndForAnObserver) {
    in_every_kind([&](const auto& kind) {
        witness all;
        const auto what = [](std::size_t i, const std::stop_token&) {
            support::spin_for(std::chrono::microseconds(i * 60));
            return value(i);
        };
        auto settings = timing_out(200us, 4);
        settings.observer = &all;
        {
            auto stream = kind.start(ex, all.started.size(), what, settings);
            take_all(stream, all.started.size(), [&](const auto& done) { EXPECT_EQ(all.started.at(done.index()), 1); });
        }
        for (const auto& times : all.started) EXPECT_EQ(times, 1);
        for (const auto& times : all.ended) EXPECT_EQ(times, 1);
        EXPECT_EQ(all.faults, 0);
    });
}

TEST_P(TaskTimeout, OfAnAttemptThatHeedsItsTokenIsFollowedByAnother) {
    in_every_kind_that_hears([&](const auto& kind) {
        if (!kind.repeats) return;
        std::atomic<unsigned> begun{0}, late{0};
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            return ++begun < 3 ? heed(i, token) : value(i);
        };
        auto settings = retrying(1'000'000);  // the short one may be timed out as well
        settings.retry->again = [&](const std::exception_ptr& error) {
            if (is_timed_out(error)) ++late;
            return true;
        };
        auto stream = kind.start(ex, 1, what, settings);
        auto done = soon(stream);
        ASSERT_TRUE(done);
        EXPECT_FALSE(timed_out(*done));
        EXPECT_GE(done->attempts(), 3U);
        EXPECT_EQ(late, done->attempts() - 1);
    });
}

TEST_P(TaskTimeout, OfTheLastAttemptIsDeliveredWhileThatStillRuns) {
    in_every_kind_that_hears([&](const auto& kind) {
        if (!kind.repeats) return;
        std::atomic<int> begun{0};
        stubborn last;
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            return ++begun < 3 ? heed(i, token) : last.run(i);
        };
        auto stream = kind.start(ex, 1, what, retrying(3));
        const released_at_last guard(last);
        auto done = soon(stream);
        ASSERT_TRUE(done);
        EXPECT_EQ(done->attempts(), 3U);
        EXPECT_TRUE(timed_out(*done));
        EXPECT_EQ(last.ended, 0U);
    });
}

TEST_P(TaskTimeout, ComesOnTimeThoughEveryWorkerIsBusy) {
    const auto check = [&](auto make) {
        stubborn tasks;
        auto stream = penstock::as_completed(ex, indices(workers()), make(tasks), timing_out(1ms, workers()));
        const released_at_last guard(tasks);
        for (std::size_t i = 0; i < workers(); ++i) {
            auto done = stream.next();
            ASSERT_TRUE(done);
            EXPECT_TRUE(timed_out(*done));
        }
        EXPECT_EQ(tasks.ended, 0U);
    };
    check([](stubborn& tasks) { return [&tasks](std::size_t i) { return tasks.run(i); }; });
    check([](stubborn& tasks) {
        return [&tasks](std::size_t i) -> task<value> {
            co_await penstock::yield();
            co_return tasks.run(i);
        };
    });
}

TEST_P(TaskTimeout, EndsTasksThatSpinUntilTheyAreTold) {
    const auto what = [](std::size_t i, const std::stop_token& token) {
        const mark begin;
        while (!token.stop_requested() && begin.age() < support::patience) {
        }
        EXPECT_TRUE(token.stop_requested());
        return value(i);
    };
    auto stream = computing(ex, 2 * workers(), what, timing_out(1ms, workers()));
    EXPECT_EQ(take_all(stream, 2 * workers()), 2 * workers());
}

}  // namespace
