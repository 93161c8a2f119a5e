// SPDX-License-Identifier: MIT
/// C4: options::task_timeout. What runs too long is delivered as timed_out on time and is told by its own token; and
/// from when that counts.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/task_timeout_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using duration = clock_type::duration;
using penstock::task;
using support::blocks;
using support::computes;
using support::computing;
using support::elements;
using support::erases;
using support::eventually;
using support::expect_end;
using support::function_kinds;
using support::functions;
using support::heed;
using support::heeding;
using support::indices;
using support::is_timed_out;
using support::mark;
using support::released_at_last;
using support::soon;
using support::stubborn;
using support::suspends;
using support::task_body;
using support::timed_out;
using support::tracked;
using support::value;

class TaskTimeout : public support::task_timeout_test {};
INSTANTIATE_TEST_SUITE_P(, TaskTimeout, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(TaskTimeout, IsDeliveredWhileTheTaskStillRunsAndMeasuredAsNoShorterThanItIs) {
    in_every_kind([&](const auto& kind) {
        stubborn last;
        const auto what = [&](std::size_t i, const std::stop_token&) { return i == 3 ? last.run(i) : value(i); };
        auto settings = timing_out(1ms, 4);
        settings.measure = true;
        auto stream = kind.start(ex, 4, what, settings);
        const released_at_last guard(last);
        for (int i = 0; i < 4; ++i) {
            auto done = stream.next();
            ASSERT_TRUE(done);
            const bool late = timed_out(*done);
            if (late) {
                EXPECT_GE(done->elapsed(), 1ms);
            }
            EXPECT_TRUE(late || done->index() < 3);
        }
        EXPECT_EQ(last.ended, 0U);
    });
}

TEST_P(TaskTimeout, MakesNothingOfWhatTheTaskComesToLater) {
    in_every_kind([&](const auto& kind) {
        for (const bool throws : {false, true}) {
            with_one_overdue(kind, 1, timing_out(1ms, 2), [&](auto& stream, stubborn& first) {
                first.throws = throws;
                first.released = true;
                EXPECT_TRUE(eventually([&] { return first.ended == 1 && stream.stats().overdue == 0; }));
                expect_end(stream);
                const auto end = stream.stats();
                EXPECT_EQ(end.taken, 1U);
                EXPECT_EQ(end.failed, 1U);
                EXPECT_EQ(end.stopped + end.dropped + end.ready + end.running, 0U);
            });
            EXPECT_EQ(tracked::live(), 0);
        }
    });
}

TEST_P(TaskTimeout, LeavesTheInputToTheTaskThatStillReadsItAndToTheResultForGood) {
    using unique = support::tracked_unique<std::string>;
    const auto check = [&](bool keeps, auto make) {
        stubborn reader;
        std::atomic<int> reads{0}, wrong{0};
        const auto read = [&](const unique& in) {
            EXPECT_TRUE(eventually([&] {
                in.check();
                if (in.value != "seven") ++wrong;
                ++reads;
                return reader.released.load();
            }));
        };
        const auto reads_on = [&] {
            const int seen = reads;
            return eventually([&] { return reads > seen + 1; });
        };
        std::optional<penstock::completed<void, unique>> kept;
        {
            penstock::executor other(workers());
            auto one = [given = false]() mutable -> std::optional<unique> {
                if (std::exchange(given, true)) return std::nullopt;
                return unique("seven");
            };
            auto stream = penstock::as_completed(other, one, make(read), timing_out(1ms, 1));
            const released_at_last guard(reader);
            auto done = stream.next();
            ASSERT_TRUE(done);
            EXPECT_EQ(done->input().value, "seven");
            EXPECT_TRUE(reads_on());
            if (keeps) kept.emplace(*std::move(done));
            done.reset();
            EXPECT_TRUE(reads_on());
        }
        EXPECT_EQ(wrong, 0);
        if (!kept) return;
        kept->input().check();
        EXPECT_EQ(kept->input().value, "seven");
        EXPECT_EQ(kept->index(), 0U);
        EXPECT_TRUE(is_timed_out(kept->error()));
    };
    for (const bool keeps : {false, true}) {
        check(keeps, [](auto read) { return [read](unique& in) { read(in); }; });
        check(keeps,
              [](auto read) { return [read](unique& in) { return penstock::blocking([read, &in] { read(in); }); }; });
        check(keeps, [](auto read) {
            return [read](const unique& in) -> task<> { co_await penstock::run_blocking(read, std::cref(in)); };
        });
    }
}

TEST_P(TaskTimeout, LetsThereBeOneResultEachThoughEndsRaceWithTimeouts) {
    in_every_kind([&](const auto& kind) {
        const auto what = [](std::size_t i, const std::stop_token&) {
            support::spin_for(std::chrono::microseconds(i % 11 * 40));
            return value(i);
        };
        auto stream = kind.start(ex, 30, what, timing_out(200us, 4));
        const std::size_t late = take_all(stream, 30);
        EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 0; }));
        const auto end = stream.stats();
        EXPECT_EQ(end.taken, 30U);
        EXPECT_EQ(end.failed, late);
        EXPECT_EQ(end.running + end.ready + end.dropped + end.stopped, 0U);
    });
}

TEST_P(TaskTimeout, TellsTheTaskByItsTokenAndCountsFromItsOwnStart) {
    in_every_kind_that_hears([&](const auto& kind) {
        mark before;
        auto stream = kind.start(ex, 3, heeding(before, 2ms), timing_out(2ms, 1));
        EXPECT_EQ(take_all(stream, 3), 3U) << "and the stream is not stopped";
    });
}

TEST_P(TaskTimeout, TellsNoOtherTaskThatRunsMeanwhile) {
    const auto check = [&](auto make) {
        std::array<mark, 3> pushed;
        const task_body what = [&](std::size_t i, const std::stop_token& token) {
            return heeding(pushed.at(i), 6ms)(i, token);
        };
        penstock::feed<std::size_t> numbers;
        auto stream = penstock::as_completed(
            ex, numbers, [what, make](std::size_t i) { return make(what, i); }, timing_out(6ms, 3));
        for (std::size_t i = 0; i < 3; ++i) {
            pushed.at(i).set();
            EXPECT_TRUE(numbers.push(i));
            std::this_thread::sleep_for(2ms);
        }
        numbers.close();
        EXPECT_EQ(take_all(stream, 3), 3U);
    };
    check(blocks());
    check(suspends());
}

TEST_P(TaskTimeout, DoesNotCountTheWaitBehindAnotherTaskOnTheSameThread) {
    const auto check = [&](auto start) {
        const auto what = [](std::size_t i, const std::stop_token& token) {
            static thread_local clock_type::time_point last_end;
            const bool waits = i >= 50;  // the others are so short that many are pulled at once
            value result = waits ? heed(i, token) : value(i);
            EXPECT_TRUE(!waits || clock_type::now() - last_end >= 1ms);
            last_end = clock_type::now();
            return result;
        };
        const std::size_t tasks = 54 + workers();
        auto stream = start(ex, tasks, what, timing_out(1ms, 16));
        EXPECT_GE(take_all(stream, tasks), tasks - 50);
    };
    check(&elements<computes>);
    check(&computing);
}

TEST_P(TaskTimeout, DoesNotCountTheWaitForAWorker) {
    const auto check = [&](auto make) {
        mark freed;
        const auto function = make(heeding(freed, 1ms));
        std::optional<support::busy_workers> busy(std::in_place, ex);
        auto stream = penstock::as_completed(ex, penstock::blocking_producer(indices(1)), function, timing_out(1ms, 1));
        EXPECT_TRUE(eventually([&] { return stream.stats().pulled == 1; }));
        EXPECT_FALSE(stream.next_for(2ms));
        freed.set();
        busy.reset();
        EXPECT_EQ(take_all(stream, 1), 1U);
    };
    check([](const task_body& what) { return what; });
    check([](const task_body& what) { return [what](std::size_t i) { return suspends()(what, i); }; });
}

TEST_P(TaskTimeout, DoesNotCountTheWaitForABlockingThread) {
    penstock::executor_options narrow;
    narrow.workers = workers();
    narrow.max_blocking_threads = 1;
    penstock::executor one(narrow);
    const auto check = [&](auto start) {
        mark before;
        auto stream = start(one, 3, heeding(before, 2ms), timing_out(2ms, 3));
        EXPECT_EQ(take_all(stream, 3), 3U);
    };
    check(&elements<blocks>);
    check(&elements<erases<blocks>>);
    check(&functions<blocks>);
}

TEST_P(TaskTimeout, DoesNotCountTheWaitAtAGate) {
    in_each(function_kinds, [&](const auto& kind) {
        if (!kind.hears) return;
        penstock::gate shared(1);
        auto untimed = with(1);
        untimed.shared = &shared;
        stubborn holder;
        auto holding = functions<blocks>(ex, 1, holder.each(), untimed);
        const released_at_last guard(holder);
        ASSERT_TRUE(eventually([&] { return holder.begun == 1; }));

        mark freed;
        auto settings = timing_out(1ms, 2);
        settings.shared = &shared;
        auto stream = kind.start(ex, 1, heeding(freed, 1ms), settings);
        EXPECT_TRUE(eventually([&] { return stream.stats().pulled == 1; }));
        EXPECT_FALSE(stream.next_for(2ms));
        freed.set();
        holder.released = true;
        EXPECT_EQ(take_all(stream, 1), 1U);
    });
}

TEST_P(TaskTimeout, HitsNobodyElseWhenItComesTooLate) {
    // One at a time. Those at even places end when they are just about to be timed out, the others soon after that.
    in_every_kind_that_hears([&](const auto& kind) {
        constexpr std::size_t tasks = 30;
        std::array<mark, tasks + 1> starts;  // no later than the task's
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            support::spin_for(std::chrono::microseconds(i % 2 == 0 ? 185 + i : 20));
            if (token.stop_requested()) {
                EXPECT_GE(starts.at(i).age(), 200us);
            }
            starts.at(i + 1).set();
            return value(i);
        };
        auto stream = kind.start(ex, tasks, what, timing_out(200us, 1));
        take_all(stream, tasks, [&](const auto& done) {
            if (done.error()) {
                EXPECT_GE(starts.at(done.index()).age(), 200us);
            }
        });
    });
}

TEST_P(TaskTimeout, LeavesItToAStopToTellEveryTaskAndIsNoReasonToStay) {
    const auto values_of = [](auto& stream) {
        std::size_t values = 0;
        try {
            while (auto done = soon(stream)) values += timed_out(*done) ? 0U : 1U;
        } catch (const penstock::stopped&) {
            // The end of the source may not have been seen.
        }
        return values;
    };
    in_every_kind_that_hears([&](const auto& kind) {
        for (const bool leaves : {false, true}) {
            const mark begin;
            std::atomic<std::size_t> begun{0}, told{0};
            const auto what = [&](std::size_t i, const std::stop_token& token) {
                ++begun;
                value result = heed(i, token);
                ++told;
                return result;
            };
            {
                auto stream = kind.start(ex, workers(), what, timing_out(1h, workers()));
                EXPECT_TRUE(eventually([&] { return begun == workers(); }));
                EXPECT_EQ(told, 0U);
                if (!leaves) {
                    stream.request_stop();
                    EXPECT_EQ(values_of(stream), workers());
                }
            }
            EXPECT_EQ(told, workers());
            EXPECT_LT(begin.age(), support::patience);
        }
    });
}

TEST_P(TaskTimeout, TouchesNoTaskThatEndsInTime) {
    const auto check = [&](auto start, std::size_t tasks) {
        std::vector<std::stop_token> tokens(tasks);
        const auto what = [&](std::size_t i, const std::stop_token& token) {
            tokens.at(i) = token;
            return value(i);
        };
        auto stream = start(ex, tasks, what, timing_out(1h, 16));
        EXPECT_EQ(take_all(stream, tasks), 0U);
        EXPECT_EQ(stream.stats().failed + stream.stats().overdue, 0U);
        for (const auto& token : tokens) EXPECT_FALSE(token.stop_requested());
    };
    in_every_kind([&](const auto& kind) { check(kind.start, 300); });
    check(&computing, 10'000);
}

TEST_P(TaskTimeout, MayNotBeNegative) {
    for (const auto timeout : {duration(-1), duration(-1h), duration::min()}) {
        in_every_kind([&](const auto& kind) {
            const auto what = [](std::size_t i, const std::stop_token&) {
                ADD_FAILURE() << "it runs";
                return value(i);
            };
            EXPECT_THROW(kind.start(ex, 1, what, timing_out(timeout, 1)), std::invalid_argument);
        });
    }
}

TEST_P(TaskTimeout, OfNothingOrNextToNothingIsOverWhenTheTaskHasStarted) {
    for (const auto timeout : {0ns, 1ns}) {
        in_every_kind([&](const auto& kind) {
            with_one_overdue(kind, 1, timing_out(timeout, 1), [](auto&, stubborn& first) {
                EXPECT_TRUE(eventually([&] { return first.begun == 1; })) << "it does start";
            });
        });
        const auto sleeper = [](std::size_t i) -> task<value> {
            co_await penstock::sleep_for(1h);
            co_return value(i);
        };
        auto stream = penstock::as_completed(ex, indices(3), sleeper, timing_out(timeout, 1));
        EXPECT_EQ(take_all(stream, 3), 3U);
    }
}

TEST_P(TaskTimeout, OfAHugeLengthIsNone) {
    EXPECT_FALSE(penstock::options().task_timeout);
    for (const auto timeout :
         {duration::max(), duration::max() - duration(1), duration::max() / 2, duration(24h * 365 * 250)}) {
        in_each(function_kinds, [&](const auto& kind) {
            const auto what = [](std::size_t i, const std::stop_token& token) {
                std::this_thread::sleep_for(300us);
                EXPECT_FALSE(token.stop_requested());
                return value(i);
            };
            auto stream = kind.start(ex, 2, what, timing_out(timeout, 2));
            EXPECT_EQ(take_all(stream, 2), 0U);
        });
    }
}

}  // namespace
