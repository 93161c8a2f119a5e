// SPDX-License-Identifier: MIT
/// options::retry: streams that fail fast, are stopped, come to their deadline or are left while something waits to be
/// run again.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::task;
using support::always;
using support::code;
using support::code_of;
using support::endless;
using support::eventually;
using support::failing;
using support::latch;
using support::let_it_go_wrong;
using support::number;
using support::tracked;
using support::trials;
using support::up_to;
using support::without_a_look;
using support::work;

class Retry : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class RetryInOrder : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryInOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_submission_order, support::help)),
                         support::name_of_setting);

class RetryOutOfOrder : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryOutOfOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_completion_order, support::help)),
                         support::name_of_setting);

class RetryWithAndWithoutHelp : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

// --- fail-fast

TEST_P(Retry, AnErrorThatIsRetriedAwayDoesNotStopTheStream) {
    in_every_kind([&](auto start) {
        trials tried(20);
        auto settings = retrying(4, 3, 50us);
        settings.on_error = penstock::on_error::stop;
        auto stream = start(ex, up_to(20), failing(tried, 2), settings);
        expect_all(stream, 20, [](auto& done) { EXPECT_EQ(done.attempts(), 3U); });
    });
}

TEST_P(Retry, TheErrorOfTheLastRunStopsTheStream) {
    in_every_kind([&](auto start) {
        trials tried(8);
        auto settings = retrying(4, 3, 50us);
        settings.on_error = penstock::on_error::stop;
        const work of{[&](int i) { return i == 7 ? tried.run(i, always) : i; }};
        auto stream = start(ex, endless(), of, settings);
        std::size_t delivered = 0;
        EXPECT_EQ(error_that_ends(stream,
                                  [&](auto& done) {
                                      EXPECT_EQ(done.get(), number(done));
                                      ++delivered;
                                  }),
                  code(7, 3));
        if (in_order()) {
            EXPECT_EQ(delivered, 7U);
        }
        EXPECT_EQ(tried.ran(7), 3);
        EXPECT_FALSE(stream.next_for(support::patience));
        EXPECT_TRUE(stream.done());
        EXPECT_EQ(stream.stats().failed, 1U);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    });
}

TEST_P(RetryInOrder, AnEarlierTaskThatWaitsIsRunAgainAndDeliveredBeforeTheErrorOfALaterOne) {
    in_every_kind([&](auto start) {
        for (const bool succeeds : {true, false}) {
            trials tried(100);
            auto settings = retrying(1, 2, 1ms);
            settings.on_error = penstock::on_error::stop;
            settings.retry->again = [](std::exception_ptr why) { return code_of(why) == code(0, 1); };
            auto stream =
                start(ex, endless(), failing(tried, [&](int i) { return i == 0 && succeeds ? 1 : always; }), settings);
            std::vector<int> delivered;
            const auto look = [&](auto& done) {
                EXPECT_EQ(done.attempts(), 2U);
                delivered.push_back(done.get());
            };
            EXPECT_EQ(error_that_ends(stream, look), succeeds ? code(1, 1) : code(0, 2));
            EXPECT_EQ(delivered, succeeds ? std::vector{0} : std::vector<int>());
            EXPECT_EQ(tried.ran(0), 2);
        }
    });
}

TEST_P(RetryOutOfOrder, TheErrorThatStopsAStreamDoesNotWaitForATaskThatWaits) {
    in_every_kind([&](auto start) {
        trials tried(100);
        auto settings = retrying(1, 3, 1h, 8);
        settings.on_error = penstock::on_error::stop;
        settings.retry->again = [](std::exception_ptr why) { return code_of(why) == code(0, 1); };
        auto stream = start(ex, endless(), failing(tried, always), settings);
        EXPECT_EQ(error_that_ends(stream, without_a_look), code(1, 1));
        EXPECT_EQ(tried.ran(0), 1);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    });
}

TEST_P(Retry, TheErrorThatStopsAStreamDoesNotWaitForALaterTaskThatWaits) {
    in_every_blocking_kind([&](auto start) {
        trials tried(10);
        latch failed;
        auto settings = retrying(2, 3, 1h, 0);
        settings.on_error = penstock::on_error::stop;
        settings.retry->again = [](std::exception_ptr why) { return code_of(why) == code(1, 1); };
        const work of{[&](int i) {
            if (i == 1) failed.open();
            if (i == 0) {
                EXPECT_TRUE(failed.wait());
                let_it_go_wrong(2ms);
            }
            return tried.run(i, always);
        }};
        auto stream = start(ex, endless(), of, settings);
        EXPECT_EQ(error_that_ends(stream, without_a_look), code(0, 1));
        EXPECT_EQ(tried.runs(), 2);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    });
}

// --- stop, deadline, leaving

TEST_P(Retry, AStopDeliversWhatWaitsWithItsLastError) {
    in_every_kind([&](auto start) {
        trials tried(100);
        auto settings = retrying(3, 5, 500us, 0);
        settings.retry->factor = 1e9;  // a day before the third run
        auto stream = start(ex, endless(), failing(tried, always), settings);
        EXPECT_TRUE(eventually_all_wait(stream, tried, 6));
        stream.request_stop();
        const auto went = run_out(stream, [](auto& done) {
            EXPECT_EQ(code_of(done.error()), code(number(done), 2));
            EXPECT_EQ(done.attempts(), 2U);
        });
        EXPECT_EQ(went.delivered, 3U);
        EXPECT_EQ(went.stopped, 1) << "the source had not ended";
        EXPECT_EQ(tried.runs(), 6);
        const auto stats = stream.stats();
        EXPECT_EQ(stats.failed, 3U);
        EXPECT_EQ(stats.stopped + stats.dropped, 0U);
    });
}

TEST_P(RetryWithAndWithoutHelp, AStopWakesAConsumerThatWaitsForWhatWaits) {
    in_every_kind([&](auto start) {
        trials tried(1);
        std::stop_source asked;
        auto settings = retrying(2, 3, 1h);
        settings.stop = asked.get_token();
        auto stream = start(ex, up_to(1), failing(tried, always), settings);
        const std::jthread stopper([&] {
            EXPECT_TRUE(eventually_all_wait(stream, tried, 1));
            asked.request_stop();
        });
        const auto done = stream.next();
        ASSERT_TRUE(done);
        EXPECT_EQ(code_of(done->error()), code(0, 1));
        EXPECT_EQ(done->attempts(), 1U);
    });
}

TEST_P(Retry, AStopDeliversWhatIsDueAndHasNoPlace) {
    in_every_kind([&](auto start) {
        trials tried(2);
        latch go;
        const work of{[&](int i) {
            tried.run(i, i == 0 ? always : 0);
            EXPECT_TRUE(go.wait());
            return i;
        }};
        auto stream = start(ex, up_to(2), of, retrying(1, UINT_MAX, 500us, 8));
        EXPECT_TRUE(eventually([&] { return tried.ran(1) == 1; }));
        let_it_go_wrong(2ms);
        const int before = tried.ran(0);
        stream.request_stop();
        go.open();
        const auto went = run_out(stream, [&](auto& done) {
            if (done.index() == 1) return;
            EXPECT_EQ(code_of(done.error()), code(0, before));
            EXPECT_EQ(done.attempts(), static_cast<unsigned>(before));
        });
        EXPECT_EQ(went.delivered, 2U);
        EXPECT_EQ(tried.ran(0), before) << "it had no place";
    });
}

TEST_P(Retry, IsOverOnceAStopWasRequested) {
    in_every_kind([&](auto start) {
        trials tried(1);
        std::atomic<bool> begun{false};
        latch go;
        const work of{[&](int i) {
            begun = true;
            EXPECT_TRUE(go.wait());
            return tried.run(i, always);
        }};
        auto stream = start(ex, up_to(1), of, retrying(1, 3));
        EXPECT_TRUE(eventually([&] { return begun.load(); }));
        stream.request_stop();
        go.open();
        const auto went = run_out(stream, [](auto& done) {
            EXPECT_EQ(code_of(done.error()), code(0, 1));
            EXPECT_EQ(done.attempts(), 1U);
        });
        EXPECT_EQ(went.delivered, 1U);
        EXPECT_EQ(tried.runs(), 1);
    });
}

TEST_P(Retry, IsNotForATaskThatWasStopped) {
    std::atomic<int> runs{0}, asked{0};
    const auto until_stopped = [&](const std::stop_token& token) -> int {
        ++runs;
        while (!token.stop_requested()) std::this_thread::sleep_for(50us);
        throw penstock::stopped();
    };
    auto settings = retrying(1, 3);
    settings.retry->again = [&](std::exception_ptr) { return ++asked > 0; };
    const auto check = [&](auto function) {
        runs = 0;
        auto stream = penstock::as_completed(ex, up_to(1), function, settings);
        EXPECT_TRUE(eventually([&] { return runs == 1; }));
        stream.request_stop();
        const auto done = stream.next_for(support::patience);
        ASSERT_TRUE(done);
        EXPECT_THROW(std::rethrow_exception(done->error()), penstock::stopped);
        EXPECT_EQ(done->attempts(), 1U);
        EXPECT_EQ(runs, 1);
        EXPECT_EQ(stream.stats().stopped, 1U);
        EXPECT_EQ(stream.stats().failed, 0U);
    };
    check([&](int, std::stop_token token) { return until_stopped(token); });
    check([&](int) { return penstock::blocking([&](std::stop_token token) { return until_stopped(token); }); });
    check([&](int) -> task<int> {
        const tracked frame;
        ++runs;
        co_await penstock::sleep_for(1h);
        co_return 0;
    });
    EXPECT_EQ(asked, 0);
}

TEST_P(Retry, IsNotWaitedForBeyondTheDeadline) {
    in_every_kind([&](auto start) {
        bool ran = false;
        for (auto time = 5ms; !ran && time < 10s; time *= 4) {
            trials tried(1);
            {
                auto settings = retrying(2, 3, 1h);
                settings.deadline = clock_type::now() + time;
                auto stream = start(ex, up_to(1), failing(tried, always), settings);
                EXPECT_THROW(stream.next_for(support::patience), penstock::timed_out);
                EXPECT_FALSE(stream.next_for(support::patience));
                EXPECT_TRUE(stream.done());
                EXPECT_TRUE(support::eventually_all_accounted(stream));
                EXPECT_EQ(stream.stats().taken, 0U);
                EXPECT_EQ(stream.stats().dropped, stream.stats().pulled);
                EXPECT_GE(clock_type::now(), *settings.deadline);
            }
            EXPECT_LE(tried.runs(), 1);
            ran = tried.runs() > 0;
        }
        EXPECT_TRUE(ran);
    });
}

TEST_P(Retry, IsNotWaitedForByWhoLeaves) {
    in_every_kind([&](auto start) {
        trials tried(100);
        auto begun_to_leave = clock_type::now();
        {
            const auto stream = start(ex, endless(), failing(tried, always), retrying(3, 3, 1h, 2));
            EXPECT_TRUE(eventually_all_wait(stream, tried, 5));
            begun_to_leave = clock_type::now();
        }
        EXPECT_LT(clock_type::now() - begun_to_leave, support::patience);
        EXPECT_EQ(tried.runs(), 5);
    });
}

TEST_P(Retry, RunsNothingOnceTheStreamIsLeft) {
    in_every_kind([&](auto start) {
        for (const int runs : {0, 5, 20}) {
            trials tried(100);
            std::atomic<int> asked{0};
            {
                auto settings = retrying(4, UINT_MAX, 50us);
                settings.retry->again = [&](std::exception_ptr) { return ++asked > 0; };
                const auto stream = start(ex, endless(), failing(tried, always), settings);
                EXPECT_TRUE(eventually([&] { return tried.runs() >= runs; }));
            }
            const int before = tried.runs(), asked_before = asked;
            std::this_thread::sleep_for(300us);
            EXPECT_EQ(tried.runs(), before);
            EXPECT_EQ(asked, asked_before);
        }
    });
}

}  // namespace
