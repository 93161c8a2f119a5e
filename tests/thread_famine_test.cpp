// SPDX-License-Identifier: MIT
/// S15: a thread for blocking jobs can not be made. Those that there are do the work; if there is none, it is refused,
/// and nothing is lost.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <ranges>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/failing_threads.hpp"
#include "support/lane_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::counted_ticket;
using support::eventually;
using support::in_both_forms;
using support::lane;
using support::latch;
using support::tracked_value;
using support::threads::famine;

/// Whether it is what std::thread throws.
bool is_system_error(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const std::system_error& e) {
        // Tickets that are refused together share the exception, and libstdc++.so counts its owners where
        // ThreadSanitizer does not see it.
        return support::sanitized || e.code() == std::errc::resource_unavailable_try_again;
    } catch (...) {
    }
    return false;
}

class LaneFamine : public support::lane_test {
protected:
    ~LaneFamine() override { support::threads::fail_no_more(); }
};

TEST_F(LaneFamine, RefusesEachTicketOnceWhereThereIsNoThread) {
    lane own(4, "test", long_patience);
    std::deque<counted_ticket> tickets(20);
    {
        const famine now;
        for (auto& each : tickets) own.add(each);
    }
    for (const auto& each : tickets) {
        EXPECT_EQ(each.refused, 1);
        EXPECT_EQ(each.served, 0);
        EXPECT_TRUE(is_system_error(each.reason));
    }
    EXPECT_EQ(own.approx_threads(), 0U);
    counted_ticket later;
    own.add(later);
    EXPECT_TRUE(eventually([&] { return later.served == 1; })) << "it tries again";
}

TEST_F(LaneFamine, ServesEveryTicketByTheThreadsThatThereAre) {
    for (long made = 1; made <= 5; ++made) {
        latch go;
        std::deque<counted_ticket> tickets;
        lane own(8, "test", long_patience);
        support::threads::fail(made + 1, LONG_MAX);
        for (int i = 0; i < 40; ++i) {
            tickets.emplace_back([&] { EXPECT_TRUE(go.wait()); });
            own.add(tickets.back());
        }
        EXPECT_EQ(own.approx_threads(), static_cast<std::size_t>(made));
        go.open();
        EXPECT_TRUE(support::all_served(tickets)) << made;
        for (const auto& each : tickets) EXPECT_EQ(each.refused, 0);
    }
}

TEST_F(LaneFamine, WakesAnIdleThreadForWhatWasLeftToOneThatCanNotBeMade) {
    for (const auto patience : {std::chrono::nanoseconds(long_patience), std::chrono::nanoseconds(50ms)}) {
        latch go;
        counted_ticket first([&] { EXPECT_TRUE(go.wait()); });
        counted_ticket second;
        counted_ticket left;
        lane own(4, "test", patience);
        own.add(first);
        support::threads::meanwhile = [&] {
            go.open();
            EXPECT_TRUE(eventually([&] { return second.served == 1; })) << "by the thread that there is";
            std::this_thread::sleep_for(5ms);  // so that it is idle
            own.add(left);
        };
        support::threads::fail(1, 1);
        own.add(second);
        support::threads::meanwhile = nullptr;
        // A thread that was idle for too long may have ended meanwhile; then there was none, and it is refused.
        const auto settled = [&] { return patience == long_patience ? left.served == 1 : left.settled(); };
        EXPECT_TRUE(eventually(settled));
        counted_ticket last;  // whatever is left in the lane, it goes with this one
        own.add(last);
        EXPECT_TRUE(eventually([&] { return last.served == 1 && settled(); }));
    }
}

TEST_F(LaneFamine, SettlesEveryTicketOnceWhicheverThreadCanNotBeMade) {
    for (long failing = 1; failing <= 12; ++failing) {
        for (const long until : {failing, failing + 2, LONG_MAX}) {
            for (const auto patience : {0ns, std::chrono::nanoseconds(long_patience)}) {
                std::deque<counted_ticket> tickets(50);
                lane own(6, "test", patience);
                support::threads::fail(failing, until);
                for (auto& each : tickets) own.add(each);
                EXPECT_TRUE(eventually([&] {
                    return std::all_of(tickets.begin(), tickets.end(), [](const auto& t) { return t.settled(); });
                })) << failing
                    << ", " << until;
                support::threads::fail_no_more();
                for (const auto& each : tickets) EXPECT_EQ(each.served + each.refused, 1);
            }
        }
    }
}

TEST_F(LaneFamine, SettlesWhatManyAddAtOnceWhileThreadsFailNowAndThen) {
    for (int round = 0; round < 50; ++round) {
        std::array<std::deque<counted_ticket>, 3> tickets;
        for (auto& mine : tickets) mine.resize(100);
        std::array<std::thread, 3> adders;
        lane own(static_cast<std::size_t>(round % 4 + 1), "test", 0s);
        for (std::size_t who = 0; who < adders.size(); ++who) {
            adders[who] = std::thread([&, who] {
                for (auto& each : tickets[who]) own.add(each);
            });
        }
        support::threads::fail(round % 7 + 1, round % 7 + 1 + round % 50);
        for (auto& adder : adders) adder.join();
        for (const auto& mine : tickets) {
            EXPECT_TRUE(eventually([&] {
                return std::all_of(mine.begin(), mine.end(), [](const auto& t) { return t.served + t.refused == 1; });
            }));
        }
        support::threads::fail_no_more();
    }
}

class Famine : public support::contract_test {
protected:
    ~Famine() override { support::threads::fail_no_more(); }

    struct outcomes {
        std::size_t values = 0;
        std::size_t refused = 0;
    };
    template <class Stream>
    static outcomes take_all(Stream& stream) {
        outcomes came;
        std::set<std::size_t> indexes;
        while (auto done = stream.next()) {
            EXPECT_TRUE(indexes.insert(done->index()).second);
            if (done->has_value()) {
                ++came.values;
            } else {
                ++came.refused;
                EXPECT_TRUE(is_system_error(done->error()));
            }
        }
        const auto end = stream.stats();
        EXPECT_EQ(end.failed, came.refused);
        EXPECT_EQ(end.taken, indexes.size());
        EXPECT_EQ(end.pulled, indexes.size());
        return came;
    }
};
INSTANTIATE_TEST_SUITE_P(, Famine, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

TEST_P(Famine, OfAllThreadsMakesEveryJobsOutcomeASystemError) {
    in_both_forms([&](auto start) {
        const famine now;
        auto stream = start(
            ex, std::views::iota(0, 200),
            [held = support::tracked()](int i) {
                ADD_FAILURE() << "there is no thread for it";
                return tracked_value(i);
            },
            with(6));
        EXPECT_EQ(take_all(stream).refused, 200U);
    });
}

TEST_P(Famine, ThatEndsHoldsUpNothing) {
    in_both_forms([&](auto start) {
        std::optional<famine> now(std::in_place);
        auto stream = start(
            ex, std::views::iota(0, 100), [](int i) { return tracked_value(i); }, with(3));
        for (int i = 0; i < 20; ++i) ASSERT_TRUE(stream.next());
        now.reset();
        std::size_t values = 0;
        while (auto done = stream.next()) values += done->has_value();
        EXPECT_GT(values, 0U);
        EXPECT_EQ(stream.stats().taken, 100U);
    });
}

TEST_P(Famine, CostsNoJobItsResultWhileOneThreadLives) {
    in_both_forms([&](auto start) {
        for (const long made : {1L, 2L, 4L}) {
            penstock::executor own({.workers = workers(), .max_blocking_threads = 8});
            support::threads::fail(made + 1, LONG_MAX);
            auto stream = start(
                own, std::views::iota(0, 100), [](int i) { return tracked_value(i); }, with(8));
            EXPECT_EQ(take_all(stream).values, 100U);
            support::threads::fail_no_more();
        }
    });
}

TEST_P(Famine, OfAnyOneThreadLosesNothing) {
    in_both_forms([&](auto start) {
        for (long failing = 1; failing <= 12; ++failing) {
            for (const long count : {1L, 4L}) {
                penstock::executor own({.workers = workers(), .max_blocking_threads = 8});
                support::threads::fail(failing, failing + count - 1);
                auto stream = start(
                    own, std::views::iota(0, 60),
                    [](int i) {
                        if (i % 8 == 0) std::this_thread::sleep_for(50us);
                        return tracked_value(i);
                    },
                    with(8));
                const outcomes came = take_all(stream);
                EXPECT_EQ(came.values + came.refused, 60U);
                support::threads::fail_no_more();
            }
        }
    });
}

TEST_P(Famine, IsAnErrorLikeAnyOtherForAStreamThatFailsFast) {
    in_both_forms([&](auto start) {
        const famine now;
        auto settings = with(4);
        settings.on_error = penstock::on_error::stop;
        auto stream = start(
            ex, std::views::iota(0), [](int i) { return tracked_value(i); }, settings);
        EXPECT_THROW(support::drain(stream), std::system_error);
        EXPECT_FALSE(stream.next());
        EXPECT_GE(stream.stats().failed, 1U);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    });
}

TEST_P(Famine, LeavesAStreamToTheWorkersWhenTheyAreFreeAgain) {
    in_both_forms([&](auto start) {
        std::optional<support::busy_workers> busy(std::in_place, ex);
        std::optional<famine> now(std::in_place);
        auto stream = start(
            ex, std::views::iota(0, 50), [](int i) { return tracked_value(i); }, with(4));
        now.reset();
        busy.reset();
        EXPECT_EQ(support::drain(stream), 50U);
    });
}

TEST_P(Famine, EndsAStreamInsideATask) {
    // Who waits there may run what waits for a thread before it is refused (C7).
    in_both_forms([&](auto start) {
        const famine now;
        const auto came = ex.submit([&] {
                                auto stream = start(
                                    ex, std::views::iota(0, 20), [](int i) { return tracked_value(i); }, with(3));
                                return take_all(stream);
                            }).get();
        EXPECT_EQ(came.refused + came.values, 20U);
    });
}

TEST_P(Famine, EndsAStreamThatIsStoppedOrLeft) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 30; ++round) {
            const famine now;
            auto stream = start(
                ex, std::views::iota(0), [](int i) { return tracked_value(i); }, with(4));
            for (int i = 0; i < round; ++i) ASSERT_TRUE(stream.next());
            if (round % 2 == 0) continue;
            stream.request_stop();
            EXPECT_THROW(support::drain(stream), penstock::stopped);
        }
    });
}

TEST_F(LaneFamine, LeavesNothingToAThreadThatMayNotCome) {
    // The only thread is in a producer; another is being made for a job, and can not be. Meanwhile it comes back.
    lane own(1, "test", long_patience);
    latch inside;
    latch go;
    counted_ticket pump([&] {
        inside.open();
        EXPECT_TRUE(go.wait());
    });
    pump.as = penstock::detail::ticket::kind::pump;
    counted_ticket job;
    own.add(pump);
    ASSERT_TRUE(inside.wait());
    support::threads::meanwhile = [&] {
        go.open();
        EXPECT_TRUE(eventually([&] { return pump.served == 1; }));
        std::this_thread::sleep_for(5ms);  // the case: it has looked for more
    };
    support::threads::fail(1, 1);
    own.add(job);
    support::threads::meanwhile = nullptr;
    EXPECT_TRUE(eventually([&] { return job.settled(); }));
    EXPECT_EQ(job.served, 1) << "there was a thread for it";
}

TEST_F(LaneFamine, HoldsAThreadToItsPromiseIfThereIsNoOther) {
    lane own(2, "test", long_patience);
    latch announced;
    latch added;
    counted_ticket promised;
    bool let_go = true;
    counted_ticket first([&] {
        own.announce_return();
        announced.open();
        EXPECT_TRUE(added.wait());
        const famine now;
        let_go = own.revoke_return();
    });
    own.add(first);
    ASSERT_TRUE(announced.wait());
    own.add(promised);
    added.open();
    EXPECT_TRUE(eventually([&] { return promised.served == 1; }));
    EXPECT_FALSE(let_go);
}

TEST_P(Famine, OfTheTimersLeavesACoroutineThatConsumesItsDeadline) {
    penstock::completion_source<> never;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1),
        [&](int) -> penstock::task<bool> {
            std::optional<famine> now(std::in_place);
            auto settings = with(1);
            settings.deadline = std::chrono::steady_clock::now() + 10ms;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 1), [&](int) -> penstock::task<> { co_await never.wait(); }, settings);
            try {
                co_await inner.async_next();
            } catch (const penstock::timed_out&) {
                now.reset();
                never.set_value();
                co_return true;
            }
            co_return false;
        },
        with(1));
    EXPECT_TRUE(stream.next()->get());
}

}  // namespace
