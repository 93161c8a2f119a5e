// SPDX-License-Identifier: MIT
/// options::retry where it meets what happens at the same time: a gate that is full, a producer that blocks, a stop
/// while the next run waits for a thread, a thread that can not be had, an end while much waits.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <penstock/gate.hpp>
#include <penstock/observer.hpp>
#include <penstock/penstock.hpp>

#include "support/failing_threads.hpp"
#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::bound_by;
using penstock::gate;
using penstock::task;
using support::all_of_the_first;
using support::always;
using support::any;
using support::blocking;
using support::code;
using support::code_of;
using support::endless;
using support::eventually;
using support::failing;
using support::from_elements;
using support::from_function;
using support::heavy;
using support::latch;
using support::let_it_go_wrong;
using support::meter;
using support::number;
using support::opened_at_last;
using support::source;
using support::test_error;
using support::tracked;
using support::trials;
using support::up_to;
using support::without_a_look;
using support::work;
using support::threads::famine;

class Retry : public support::retry_test {
protected:
    ~Retry() override { support::threads::fail_no_more(); }
};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class RetryInOrder : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryInOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_submission_order, support::help)),
                         support::name_of_setting);

/// Counts what it is told of.
struct tally final : penstock::stream_observer {
    void on_start(std::size_t) noexcept override { ++starts; }
    void on_finish(std::size_t) noexcept override { ++ends; }
    void on_error(std::size_t, std::exception_ptr why) noexcept override {
        if (!why) ++faults;
        ++ends;
    }
    std::atomic<int> starts{0}, ends{0}, faults{0};
};

/// Whether it comes true, without holding the worker meanwhile.
template <class Condition>
task<bool> comes_true(Condition condition) {
    const tracked frame;
    const auto until = clock_type::now() + support::patience;
    while (!condition()) {
        if (clock_type::now() >= until) co_return false;
        co_await penstock::sleep_for(100us);
    }
    co_return true;
}

// --- a gate

TEST_P(RetryInOrder, RunsAnEarlierTaskAgainThoughALaterOneFailedWhileAnItemWaitedAtTheGate) {
    const auto check = [&](auto start) {
        gate three({.weight = 3});
        latch others_end, item_waits;
        auto settings = retrying(3, 2, 50ms, 8);
        settings.shared = &three;
        settings.on_error = penstock::on_error::stop;
        settings.retry->again = [](std::exception_ptr why) { return code_of(why) == code(0, 1); };
        auto other = from_elements<heavy<blocking>>()(ex, up_to(1), {[&](int i) { return others_end.wait() ? i : -1; }},
                                                      settings);  // so the gate is never empty
        const opened_at_last other_guard(others_end);
        EXPECT_TRUE(eventually([&] { return three.weight_in_flight() == 1; }));
        trials tried(3);
        const work of{[&](int i) {
            if (i == 1) {
                EXPECT_TRUE(item_waits.wait());
            }
            return tried.run(i, i == 0 ? 1 : always);
        }};
        auto stream = start(ex, up_to(3), of, settings);  // they weigh 1, 2 and 3
        const opened_at_last guard(item_waits);
        EXPECT_TRUE(eventually([&] { return tried.ran(0) > 0 && stream.stats().pulled == 3; }));
        EXPECT_TRUE(comes_to(stream, bound_by::weight) || tried.ran(0) > 1);
        item_waits.open();
        const auto first = stream.next_for(support::patience);
        ASSERT_TRUE(first) << "it was not run again";
        EXPECT_EQ(first->index(), 0U);
        EXPECT_EQ(first->attempts(), 2U);
        EXPECT_TRUE(first->has_value());
        EXPECT_EQ(error_that_ends(stream, without_a_look), code(1, 1));
        EXPECT_EQ(tried.ran(2), 0);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
        EXPECT_EQ(stream.stats().dropped, 1U);
    };
    if (workers() > 1) {
        in_every_weighted_kind(check);
    } else {  // or the second would have the only worker
        check(from_elements<heavy<blocking>>());
        check(from_elements<heavy<any<blocking>>>());
    }
}

// --- a producer that blocks, where there is one place

/// Gives two: the second when it may.
source second_when(latch& open, std::atomic<bool>& asked) {
    return [&, next = 0]() mutable -> std::optional<int> {
        if (next == 1) {
            asked = true;
            EXPECT_TRUE(open.wait());
        }
        return next < 2 ? std::optional(next++) : std::nullopt;
    };
}

TEST_P(Retry, HasThePlaceThatIsKeptForAProducerThatBlocks) {
    in_every_function([&](auto start) {
        trials tried(2);
        latch go;
        std::atomic<bool> asked{false};
        const work of{[&](int i) { return tried.run(i, asked ? 0 : always); }};
        auto stream =
            start(ex, penstock::blocking_producer(second_when(go, asked)), of, retrying(1, UINT_MAX, 300us, 8));
        const opened_at_last guard(go);
        const auto first = stream.next_for(support::patience);
        ASSERT_TRUE(first) << "it waited for the producer";
        EXPECT_EQ(first->index(), 0U);
        EXPECT_GE(first->attempts(), 2U);
        EXPECT_EQ(tried.ran(1), 0);
        go.open();
        const auto second = stream.next_for(support::patience);
        ASSERT_TRUE(second);
        EXPECT_EQ(second->index(), 1U);
        EXPECT_FALSE(stream.next_for(support::patience));
        EXPECT_TRUE(stream.done());
    });
}

/// Of two tasks, the first is run in the place that was kept for the second, which has been pulled meanwhile. Calls
/// then(stream, ends): the run ends when that is opened.
template <class Start, class Then>
void with_one_pulled_that_has_no_place(penstock::executor& ex, Start start, const penstock::options& settings,
                                       trials& tried, Then then) {
    latch go, ends;
    meter running;
    std::atomic<bool> asked{false}, in_its_place{false};
    const work of{[&](int i) {
                      if (i == 0 && !asked) return tried.run(i, always);  // the producer has not got the place yet
                      if (i == 0) {
                          in_its_place = true;
                          EXPECT_TRUE(ends.wait());
                      }
                      return tried.run(i, 0);
                  },
                  &running};
    {
        auto stream = start(ex, penstock::blocking_producer(second_when(go, asked)), of, settings);
        const opened_at_last ends_guard(ends), go_guard(go);
        EXPECT_TRUE(eventually([&] { return in_its_place.load(); }));
        go.open();
        EXPECT_TRUE(eventually([&] { return stream.stats().pulled == 2; }));
        then(stream, ends);
    }
    EXPECT_EQ(running.most(), 1);
}

TEST_P(Retry, MakesWhatAProducerGivesThatBlockedWaitForAPlaceAndThenItIsRun) {
    in_every_function([&](auto start) {
        trials tried(2);
        const auto settings = retrying(1, UINT_MAX, 300us, 8);
        with_one_pulled_that_has_no_place(ex, start, settings, tried, [&](auto& stream, latch& ends) {
            let_it_go_wrong(1ms);
            EXPECT_LE(stream.stats().running, 1U);
            EXPECT_EQ(tried.ran(1), 0);
            ends.open();
            const auto went = run_out(stream, [&](auto& done) {
                EXPECT_EQ(done.get(), number(done));
                EXPECT_EQ(done.attempts(), static_cast<unsigned>(tried.ran(number(done))));
            });
            EXPECT_EQ(went.delivered, 2U);
            EXPECT_EQ(stream.stats().dropped, 0U);
        });
        EXPECT_EQ(tried.ran(1), 1);
    });
}

TEST_P(Retry, LeavesToAStopToDropWhatHasBeenPulledAndHasNoPlace) {
    in_every_function([&](auto start) {
        trials tried(2);
        const auto settings = retrying(1, UINT_MAX, 300us, 8);
        with_one_pulled_that_has_no_place(ex, start, settings, tried, [&](auto& stream, latch& ends) {
            stream.request_stop();
            ends.open();
            const auto went = run_out(stream, [](auto& done) { EXPECT_EQ(done.get(), 0); });
            EXPECT_EQ(went.delivered, 1U);
            EXPECT_EQ(went.stopped, 1);
            EXPECT_EQ(stream.stats().dropped, 1U);
        });
        EXPECT_EQ(tried.ran(1), 0);
    });
}

// --- a stop while the next run waits for a thread

/// Stops a stream whose first task is to be run again, by the only thread, which has the second. Then takes both.
template <class Start, class TakeAll>
void with_one_stopped_before_it_has_a_thread(std::size_t workers, Start start, const penstock::options& settings,
                                             TakeAll take_all) {
    penstock::executor narrow(penstock::executor_options{.workers = workers, .max_blocking_threads = 1});
    latch go;
    trials tried(2);
    std::atomic<bool> begun{false};
    const work of{[&](int i) {
        if (i == 0) std::this_thread::sleep_for(1ms);
        if (i == 0 || tried.ran(0) == 0) return tried.run(i, always);  // the first was overtaken
        begun = true;
        EXPECT_TRUE(go.wait());
        return tried.run(i, 0);
    }};
    auto stream = start(narrow, up_to(2), of, settings);
    const opened_at_last guard(go);
    EXPECT_TRUE(eventually([&] { return begun.load(); }));
    let_it_go_wrong(2ms);
    EXPECT_TRUE(eventually([&] { return stream.stats().running == 2; })) << "the first is due";
    const int before = tried.ran(0);
    stream.request_stop();
    go.open();
    take_all(stream);
    EXPECT_EQ(tried.ran(0), before);
}

TEST_P(Retry, IsMeasuredAsTheRunThatWasIfAStopComesBeforeTheNextHasAThread) {
    in_every_blocking_kind([&](auto start) {
        auto settings = retrying(4, UINT_MAX, 500us);
        settings.measure = true;
        const auto begin = clock_type::now();
        with_one_stopped_before_it_has_a_thread(workers(), start, settings, [&](auto& stream) {
            const auto went = run_out(stream, [&](auto& done) {
                EXPECT_GE(done.elapsed(), done.index() == 0 ? 1ms : 0ms);
                EXPECT_LE(done.elapsed(), clock_type::now() - begin);
                EXPECT_TRUE(done.index() > 0 || code_of(done.error()) == code(0, static_cast<int>(done.attempts())));
            });
            EXPECT_EQ(went.delivered, 2U);
        });
    });
}

TEST_P(Retry, IsAsManyEndsAsStartsForAnObserverIfAStopComesBeforeTheNextHasAThread) {
    in_every_blocking_kind([&](auto start) {
        tally told;
        auto settings = retrying(4, UINT_MAX, 500us);
        settings.observer = &told;
        with_one_stopped_before_it_has_a_thread(workers(), start, settings, [&](auto& stream) {
            EXPECT_EQ(run_out(stream, without_a_look).delivered, 2U);
            EXPECT_EQ(told.starts, told.ends);
            EXPECT_GE(told.starts, 2);
            EXPECT_EQ(told.faults, 0);
        });
    });
}

// --- no thread

bool is_system_error(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const std::system_error&) {
        return true;
    } catch (...) {
    }
    return false;
}

TEST_P(Retry, IsNotForWhatIsRefusedForWantOfAThread) {
    in_every_blocking_kind([&](auto start) {
        penstock::executor fresh(workers());
        trials tried(4);
        std::atomic<int> asked{0};
        auto settings = retrying(2, 3, 300us);
        settings.retry->again = [&](std::exception_ptr) { return ++asked > 0; };
        const famine now;
        auto stream = start(fresh, up_to(4), failing(tried, 0), settings);
        const auto went = run_out(stream, [](auto& done) {
            EXPECT_TRUE(is_system_error(done.error()));
            EXPECT_EQ(done.attempts(), 1U);
        });
        EXPECT_EQ(went.delivered, 4U);
        EXPECT_EQ(tried.runs(), 0);
        EXPECT_EQ(asked, 0);
    });
}

TEST_P(Retry, DoesNotCountAsARunWhatIsRefusedForWantOfAThread) {
    penstock::executor fresh(workers());
    trials tried(1);
    std::atomic<int> asked{0};
    std::optional<famine> now;
    auto settings = retrying(1, 4, 300us);
    settings.retry->again = [&](std::exception_ptr why) {
        EXPECT_GT(code_of(why), 0);
        return ++asked > 0;
    };
    // Fails twice before it returns its job; then there is no thread for that.
    auto stream = penstock::as_completed(
        fresh, up_to(1),
        [&](int i) {
            tried.run(i, 2);
            now.emplace();
            return penstock::blocking([]() -> int { throw test_error(-2); });
        },
        settings);
    const auto done = stream.next_for(support::patience);
    ASSERT_TRUE(done);
    EXPECT_TRUE(is_system_error(done->error()));
    EXPECT_EQ(done->attempts(), 2U);
    EXPECT_EQ(asked, 2);
    EXPECT_FALSE(stream.next_for(support::patience));
}

// --- ends

TEST_P(Retry, LeavesNothingUnaccountedThatWaitsWhenItsStreamIsJoined) {
    in_every_kind([&](auto start) {
        trials tried(3);
        tally told;
        const auto leave = [&](int) -> task<> {
            const tracked frame;
            auto settings = retrying(3, 3, 1h);
            settings.observer = &told;
            auto stream = start(ex, up_to(3), failing(tried, always), settings);
            EXPECT_TRUE(co_await comes_true([&] {
                const auto now = stream.stats();
                return tried.runs() == 3 && now.running + now.ready == 0;
            }));
            co_await stream.async_join();
            const auto end = stream.stats();
            EXPECT_EQ(end.pulled, 3U);
            EXPECT_EQ(end.taken + end.dropped, 3U);
            EXPECT_EQ(end.running + end.ready + end.overdue, 0U);
            EXPECT_FALSE(stream.try_next());
            EXPECT_TRUE(stream.done());
        };
        auto outer = penstock::as_completed(ex, up_to(1), leave, with(1));
        const auto done = outer.next_for(support::patience);
        ASSERT_TRUE(done);
        EXPECT_TRUE(done->has_value());
        EXPECT_EQ(tried.runs(), 3);
        EXPECT_EQ(told.starts, told.ends);
    });
}

TEST_P(Retry, LeavesNoStartWithoutAnEndWhenItsStreamIsDestroyed) {
    in_every_kind([&](auto start) {
        for (const int runs : {0, 3, 7}) {
            trials tried(100);
            tally told;
            {
                auto settings = retrying(3, 3, 1h, 8);
                settings.observer = &told;
                const auto stream = start(ex, endless(), failing(tried, always), settings);
                EXPECT_TRUE(eventually([&] { return tried.runs() >= runs; }));
            }
            EXPECT_EQ(told.starts, told.ends);
            EXPECT_EQ(told.faults, 0);
        }
    });
}

TEST_P(Retry, IsNotWaitedForBeyondTheDeadlineOfAStreamThatFailsFastAndItsErrorIsNotThrown) {
    in_every_kind([&](auto start) {
        bool waited = false;
        for (auto time = 5ms; !waited && time < 10s; time *= 4) {
            trials tried(1);
            auto settings = retrying(3, 3, 1h);
            settings.on_error = penstock::on_error::stop;
            settings.deadline = clock_type::now() + time;
            auto stream = start(ex, up_to(1), failing(tried, always), settings);
            waited = eventually([&] {
                const auto now = stream.stats();
                return clock_type::now() >= *settings.deadline || (tried.runs() == 1 && now.running + now.ready == 0);
            });
            waited = waited && clock_type::now() < *settings.deadline;
            EXPECT_THROW(stream.next_for(support::patience), penstock::timed_out);
            EXPECT_GE(clock_type::now(), *settings.deadline);
            EXPECT_FALSE(stream.next_for(support::patience));
            EXPECT_TRUE(support::eventually_all_accounted(stream));
            EXPECT_EQ(stream.stats().taken, 0U);
        }
        EXPECT_TRUE(waited);
    });
}

TEST_P(RetryInOrder, IsGivenUpForManyTasksAtOnceWhenTheStreamFails) {
    // So many that one look at all of them for each would take longer than there is patience.
    constexpr int count = support::sanitized ? 20'000 : 100'000, bad = count / 2;
    std::atomic<int> runs{0};
    penstock::completion_source<> go;
    auto settings = retrying(penstock::unlimited, 2, 1h);
    settings.on_error = penstock::on_error::stop;
    settings.retry->again = [](std::exception_ptr why) { return code_of(why) != bad; };
    const auto fail = [&](int i) -> task<int> {
        ++runs;
        if (i == bad) co_await go.wait();
        throw test_error(i);
    };
    auto begin = clock_type::now();
    {
        auto stream = penstock::as_completed(ex, up_to(count), fail, settings);
        EXPECT_TRUE(eventually([&] { return runs == count && stream.stats().running == 1; }));
        begin = clock_type::now();
        go.set_value();
        EXPECT_TRUE(eventually([&] {
            EXPECT_FALSE(stream.next_for(1ms)) << "the first waits for an hour";
            const auto now = stream.stats();
            return now.dropped + now.ready == count - bad;
        }));
    }
    EXPECT_LT(clock_type::now() - begin, support::patience);
}

}  // namespace
