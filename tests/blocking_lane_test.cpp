// SPDX-License-Identifier: MIT
/// The threads that blocking jobs run on: made while there is more to do than threads (B1), gone when they are idle,
/// never too many, and none of them for ever (S13, S14).
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/lane_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::counted_ticket;
using support::eventually;
using support::lane;
using support::latch;
using support::meter;
using support::rendezvous;

class BlockingLane : public support::lane_test {};

/// With short patience threads end all the time, with long patience never.
class BlockingLanePatience : public support::lane_test,
                             public ::testing::WithParamInterface<std::chrono::nanoseconds> {};
INSTANTIATE_TEST_SUITE_P(, BlockingLanePatience, ::testing::Values(0ns, 1us, 1ms, 1h),
                         [](const auto& each) { return "ns" + std::to_string(each.param.count()); });

TEST_F(BlockingLane, HasNoThreadBeforeItNeedsOne) {
    lane own(4, "test", long_patience);
    EXPECT_EQ(own.most_threads(), 4U);
    EXPECT_EQ(own.approx_threads(), 0U);
}

TEST_P(BlockingLanePatience, HasAThreadForEachTicketUpToItsMaximum) {
    for (const std::size_t most : {1U, 2U, 5U, 20U}) {
        meter inside;
        rendezvous all(most);
        std::deque<counted_ticket> tickets;
        lane own(most, "test", GetParam());
        for (std::size_t i = 0; i < 10 * most; ++i) {
            tickets.emplace_back([&] {
                const meter::visit here(inside);
                EXPECT_TRUE(all.arrive());
            });
            own.add(tickets.back());
            EXPECT_LE(own.approx_threads(), most);
        }
        EXPECT_TRUE(support::all_served(tickets));
        EXPECT_EQ(inside.most(), static_cast<long>(most));
    }
}

TEST_P(BlockingLanePatience, ServesFirstInFirstOutWithOneThread) {
    std::vector<int> order;
    std::deque<counted_ticket> tickets;
    latch go;
    lane own(1, "test", GetParam());
    for (int i = 0; i < 200; ++i) {
        tickets.emplace_back([&, i] {
            if (i == 0) {
                EXPECT_TRUE(go.wait());
            }
            order.push_back(i);
        });
        own.add(tickets.back());
    }
    go.open();
    EXPECT_TRUE(support::all_served(tickets));
    for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST_P(BlockingLanePatience, ServesEachTicketOnceWhoeverAddsItWhenever) {
    constexpr std::size_t adders = 4;
    const std::size_t each = support::sanitized ? 500 : 3000;
    for (const std::size_t most : {1U, 3U, 8U}) {
        meter inside;
        std::vector<std::deque<counted_ticket>> tickets(adders);
        lane own(most, "test", GetParam());
        std::vector<std::jthread> threads;
        for (std::size_t who = 0; who < adders; ++who) {
            threads.emplace_back([&, who] {
                for (std::size_t i = 0; i < each; ++i) {
                    tickets[who].emplace_back([&, i] {
                        const meter::visit here(inside);
                        if (i % 64 == 0) std::this_thread::yield();
                    });
                    own.add(tickets[who].back());
                    // Now and then the threads find nothing and begin to end.
                    if (i % 100 == 99) support::spin_for(std::chrono::microseconds(i % 7 * 20));
                }
            });
        }
        threads.clear();
        for (const auto& mine : tickets) EXPECT_TRUE(support::all_served(mine));
        EXPECT_LE(inside.most(), static_cast<long>(most));
    }
}

TEST_F(BlockingLane, UsesAThreadThatIsIdleAgain) {
    std::mutex mutex;
    std::set<std::thread::id> ids;
    lane own(1000, "test", long_patience);
    for (int i = 0; i < 300; ++i) {
        counted_ticket next([&] {
            const std::lock_guard guard(mutex);
            ids.insert(std::this_thread::get_id());
        });
        own.add(next);
        ASSERT_TRUE(eventually([&] { return next.served == 1; }));
    }
    EXPECT_LT(ids.size(), 50U) << "at most one more whenever the last was not idle yet";
}

TEST_F(BlockingLane, LetsThreadsEndThatWereIdleForLong) {
    const std::size_t before = support::threads_of_process();
    lane own(8, "test", 1ms);
    for (int round = 0; round < 5; ++round) {
        rendezvous all(8);
        std::deque<counted_ticket> tickets;
        for (int i = 0; i < 8; ++i) {
            tickets.emplace_back([&] { EXPECT_TRUE(all.arrive()); });
            own.add(tickets.back());
        }
        EXPECT_TRUE(support::all_served(tickets));
        EXPECT_TRUE(eventually([&] { return own.approx_threads() == 0; }));
        EXPECT_TRUE(eventually([&] { return support::threads_of_process() <= before; }));
    }
}

TEST_F(BlockingLane, KeepsThreadsForAsLongAsItIsPatientAndEndsThemAtOnceWithItself) {
    const std::size_t before = support::threads_of_process();
    {
        rendezvous all(8);
        std::deque<counted_ticket> tickets;
        lane own(8, "test", long_patience);
        for (int i = 0; i < 8; ++i) {
            tickets.emplace_back([&] { EXPECT_TRUE(all.arrive()); });
            own.add(tickets.back());
        }
        EXPECT_TRUE(support::all_served(tickets));
        std::this_thread::sleep_for(5ms);
        EXPECT_EQ(own.approx_threads(), 8U);
    }
    EXPECT_TRUE(eventually([&] { return support::threads_of_process() <= before; })) << "they were joined";
}

TEST_P(BlockingLanePatience, LosesNoTicketThatComesWhenAThreadEnds) {
    // S14: tickets aimed at the moment at which the last thread's patience is over.
    const int rounds = support::sanitized ? 1000 : 20'000;
    const auto enough = std::chrono::steady_clock::now() + support::patience / 2;  // each turn may take a tick
    std::optional<lane> own;
    for (int round = 0; round < rounds && std::chrono::steady_clock::now() < enough; ++round) {
        if (round % 3 == 0) own.emplace(static_cast<std::size_t>(round % 2 + 1), "test", GetParam());
        counted_ticket next;
        own->add(next);
        while (next.served == 0) std::this_thread::yield();
        if (GetParam() < 1ms || (GetParam() == 1ms && round % 16 == 0)) {
            support::spin_for(GetParam() + std::chrono::nanoseconds(round % 64 * 500 - 8000));
        }
    }
}

TEST_P(BlockingLanePatience, CanBeMadeAndDestroyedManyTimes) {
    for (int round = 0; round < 300; ++round) {
        std::deque<counted_ticket> tickets(static_cast<std::size_t>(round % 4));
        lane own(2, "test", GetParam());
        for (auto& each : tickets) own.add(each);
        EXPECT_TRUE(support::all_served(tickets));
    }
}

/// A figure of /proc/self/status, in KiB.
std::size_t kib_of(const std::string& what) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(what + ":")) return std::stoul(line.substr(what.size() + 1));
    }
    return 0;
}

TEST_F(BlockingLane, LeavesNoMemoryBehindForThreadsThatHaveEnded) {
    // S13: many short-lived threads, each for a ticket or a few.
    const std::size_t before = support::threads_of_process();
    lane own(4, "test", 0s);
    std::atomic<std::size_t> threads{0};
    static thread_local bool counted = false;
    const auto make_threads = [&](std::size_t more) {
        const std::size_t enough = threads + more;
        const auto until = std::chrono::steady_clock::now() + support::patience;  // each turn may take a tick
        for (int round = 0; threads < enough && std::chrono::steady_clock::now() < until; ++round) {
            std::deque<counted_ticket> tickets;
            for (int t = 0; t <= round % 3; ++t) {
                tickets.emplace_back([&] {
                    if (!std::exchange(counted, true)) ++threads;
                });
                own.add(tickets.back());
            }
            for (const auto& each : tickets) {
                while (each.served == 0) std::this_thread::yield();
            }
        }
    };
    const std::size_t many = support::sanitized ? 1000 : 30'000;
    make_threads(many / 10);
    const std::size_t resident = kib_of("VmRSS");
    const std::size_t reserved = kib_of("VmSize");
    make_threads(many);
    // One that has ended may be waiting for the one before it, and that for a CPU.
    EXPECT_TRUE(eventually([&] { return support::threads_of_process() <= before; }));
    if (!support::sanitized) {
        EXPECT_LT(kib_of("VmRSS"), resident + 1024);
        EXPECT_LT(kib_of("VmSize"), reserved + 65'536) << "a stack that nobody frees is 8 MiB";
    }
}

TEST_F(BlockingLane, LeavesATicketToAThreadThatKeepsItBehindThoseThatWait) {
    lane own(1, "test", long_patience);
    std::vector<int> order;
    counted_ticket kept([&] { order.push_back(3); });
    counted_ticket waiting([&] { order.push_back(2); });
    latch go;
    counted_ticket first([&] {
        order.push_back(1);
        EXPECT_TRUE(go.wait());
        own.add_for_this_thread(kept);
    });
    own.add(first);
    own.add(waiting);
    go.open();
    ASSERT_TRUE(eventually([&] { return kept.served == 1; }));
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST_F(BlockingLane, WakesNoThreadForATicketThatOneKeeps) {
    lane own(100, "test", long_patience);
    constexpr int length = 500;
    std::set<std::thread::id> ids;  // one thread after the other, if there are more
    std::deque<counted_ticket> chain;
    for (int i = 0; i < length; ++i) {
        chain.emplace_back([&, i] {
            ids.insert(std::this_thread::get_id());
            if (i + 1 == length) return;
            own.add_for_this_thread(chain[static_cast<std::size_t>(i) + 1]);
        });
    }
    own.add(chain.front());
    EXPECT_TRUE(support::all_served(chain));
    EXPECT_EQ(ids.size(), 1U);
    EXPECT_EQ(own.approx_threads(), 1U);
}

TEST_F(BlockingLane, KeepsNothingOnAThreadOfSomebodyElse) {
    lane own(2, "test", long_patience);
    counted_ticket next;
    own.add_for_this_thread(next);
    EXPECT_TRUE(eventually([&] { return next.served == 1; }));
    // Nor does a thread of one lane keep anything for another.
    lane other(2, "test", long_patience);
    counted_ticket last;
    counted_ticket first([&] {
        other.add_for_this_thread(last);
        EXPECT_TRUE(eventually([&] { return last.served == 1; }));
    });
    own.add(first);
    EXPECT_TRUE(eventually([&] { return first.served == 1; }));
}

TEST_F(BlockingLane, LeavesATicketToAThreadThatIsAboutToReturn) {
    // B1: no thread is made for it; and one is, if the other does not return after all.
    for (const bool revokes : {false, true}) {
        lane own(4, "test", long_patience);
        latch announced;
        latch added;
        latch end;
        counted_ticket late;
        counted_ticket first([&] {
            own.announce_return();
            announced.open();
            EXPECT_TRUE(added.wait());
            EXPECT_EQ(own.approx_threads(), 1U);
            if (!revokes) return;
            EXPECT_TRUE(own.revoke_return());
            EXPECT_TRUE(end.wait());
        });
        own.add(first);
        ASSERT_TRUE(announced.wait());
        own.add(late);
        added.open();
        EXPECT_TRUE(eventually([&] { return late.served == 1; }));
        EXPECT_EQ(own.approx_threads(), revokes ? 2U : 1U);
        end.open();
        EXPECT_TRUE(eventually([&] { return first.served == 1; }));
    }
}

TEST_P(BlockingLanePatience, CountsNoPumpAmongItsThreads) {
    // C12: a pump may be held up by the producer. Jobs have all the threads meanwhile, and no more than those
    // afterwards.
    for (const bool job_first : {false, true}) {
        lane own(1, "test", GetParam());
        meter inside;
        latch go;
        counted_ticket pump([&] { EXPECT_TRUE(go.wait()); });
        pump.as = penstock::detail::ticket::kind::pump;
        std::deque<counted_ticket> jobs;
        for (int i = 0; i < 100; ++i) {
            jobs.emplace_back([&] {
                const meter::visit here(inside);
                std::this_thread::yield();
            });
        }
        if (job_first) own.add(jobs[0]);
        own.add(pump);
        if (!job_first) own.add(jobs[0]);
        EXPECT_TRUE(eventually([&] { return jobs[0].served == 1; })) << "while the pump waits";
        for (int i = 1; i < 50; ++i) own.add(jobs[static_cast<std::size_t>(i)]);
        go.open();
        for (int i = 50; i < 100; ++i) own.add(jobs[static_cast<std::size_t>(i)]);
        EXPECT_TRUE(support::all_served(jobs));
        EXPECT_TRUE(eventually([&] { return pump.served == 1; }));
        EXPECT_EQ(inside.most(), 1);
        EXPECT_TRUE(eventually([&] { return own.approx_threads() <= 1; }));
    }
}

TEST_F(BlockingLane, CountsNoThreadThatHasBeenReleasedFromItsPromise) {
    // C12: it may be in a producer now, which may wait for what comes next.
    for (const bool announces : {true, false}) {
        lane own(1, "test", long_patience);
        latch away;
        latch done;
        counted_ticket first([&] {
            if (announces) own.announce_return();
            EXPECT_TRUE(own.revoke_return());
            away.open();
            EXPECT_TRUE(done.wait());
        });
        counted_ticket next;
        first.as = next.as = penstock::detail::ticket::kind::record;
        own.add(first);
        ASSERT_TRUE(away.wait());
        own.add(next);
        EXPECT_TRUE(eventually([&] { return next.served == 1; }));
        done.open();
        EXPECT_TRUE(eventually([&] { return first.served == 1 && own.approx_threads() <= 1; }));
    }
}

TEST_F(BlockingLane, LeavesWhatAThreadKeepsToTheOneMadeInItsPlace) {
    lane own(1, "test", long_patience);
    counted_ticket between;
    counted_ticket kept;
    counted_ticket first([&] {
        EXPECT_TRUE(own.revoke_return());
        own.add(between);
        EXPECT_TRUE(eventually([&] { return between.served == 1; }));
        own.add_for_this_thread(kept);
    });
    first.as = between.as = kept.as = penstock::detail::ticket::kind::record;
    own.add(first);
    EXPECT_TRUE(eventually([&] { return kept.served == 1; }));
    EXPECT_TRUE(eventually([&] { return own.approx_threads() <= 1; }));
}

TEST_F(BlockingLane, DoesNotReleaseAThreadFromItsPromiseWhileThereIsNoOther) {
    lane own(1, "test", long_patience);
    latch announced;
    latch added;
    counted_ticket late;
    counted_ticket first([&] {
        own.announce_return();
        announced.open();
        EXPECT_TRUE(added.wait());
        EXPECT_FALSE(own.revoke_return());
    });
    own.add(first);
    ASSERT_TRUE(announced.wait());
    own.add(late);
    added.open();
    EXPECT_TRUE(eventually([&] { return late.served == 1; }));
}

/// Gives up every ticket, or none; may run those of some other.
struct named_owner final : penstock::detail::ticket_owner {
    using ticket = penstock::detail::ticket;
    bool gives_up(const ticket& waiting) const noexcept override {
        EXPECT_EQ(waiting.owner(), this);
        return all;
    }
    bool may_run(const ticket& ready) const noexcept override { return ready.owner() == helped; }
    void rouse_nested() noexcept override { ++roused; }
    void rouse_nested_locked() noexcept override {}
    bool all = true;
    const ticket_owner* helped = nullptr;
    std::atomic<int> roused{0};
};

TEST_F(BlockingLane, GivesBackWhatWaitsOfOneStreamAndServesTheRest) {
    named_owner mine;
    named_owner others;
    lane own(1, "test", long_patience);
    latch go;
    counted_ticket first([&] { EXPECT_TRUE(go.wait()); });
    own.add(first);
    ASSERT_TRUE(eventually([&] { return own.approx_threads() == 1 && !own.approx_crowded(); }));
    std::deque<counted_ticket> tickets(10);
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        tickets[i].of = i % 2 ? &mine : &others;
        own.add(tickets[i]);
    }
    EXPECT_TRUE(own.approx_crowded());
    EXPECT_GE(mine.roused, 4) << "who waits for it may have to run it";
    mine.all = false;
    EXPECT_FALSE(own.withdraw(mine));
    mine.all = true;
    std::set<penstock::detail::ticket*> back;
    while (auto* each = own.withdraw(mine)) EXPECT_TRUE(back.insert(each).second);
    EXPECT_EQ(back.size(), 5U);
    for (auto* each : back) EXPECT_EQ(each->owner(), &mine);
    // And to a thread that waits for one of the others.
    mine.helped = &others;
    auto* const seen = own.take_for(mine, true);
    ASSERT_TRUE(seen);
    auto* const taken = own.take_for(mine, false);
    EXPECT_EQ(taken, seen);
    go.open();
    for (std::size_t i = 0; i < tickets.size(); i += 2) {
        if (&tickets[i] == taken) continue;
        EXPECT_TRUE(eventually([&] { return tickets[i].served == 1; }));
    }
    for (std::size_t i = 1; i < tickets.size(); i += 2) EXPECT_EQ(tickets[i].served, 0);
}

/// Counts how often it is told of something that waits.
struct nested_waiter final : penstock::detail::ticket_owner {
    bool gives_up(const penstock::detail::ticket&) const noexcept override { return false; }
    bool may_run(const penstock::detail::ticket&) const noexcept override { return true; }
    void rouse_nested() noexcept override { ++roused; }
    void rouse_nested_locked() noexcept override { ++roused; }
    std::atomic<int> roused{0};
};

TEST_F(BlockingLane, TellsWhoWaitsInsideATaskOfATicketThatWasKept) {
    // Its thread is one too many when it comes back, and no other is coming.
    lane own(1, "test", long_patience);
    nested_waiter waiting;
    latch other_runs;
    latch over;
    counted_ticket other([&] {
        other_runs.open();
        EXPECT_TRUE(over.wait());
    });
    counted_ticket kept;
    kept.of = &waiting;
    counted_ticket first([&] {
        EXPECT_TRUE(own.revoke_return());
        own.add(other);
        EXPECT_TRUE(other_runs.wait());
        own.add_for_this_thread(kept);
    });
    own.add(first);
    EXPECT_TRUE(eventually([&] { return waiting.roused > 0; }));
    EXPECT_EQ(own.take_for(waiting, true), &kept);
    over.open();
    EXPECT_TRUE(eventually([&] { return kept.served == 1; }));
}

TEST_F(BlockingLane, HasAThreadForAnAlarmWhateverTheOthersDo) {
    lane own(2, "test", long_patience);
    latch over;
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    std::deque<counted_ticket> jobs;
    for (int i = 0; i < 6; ++i) {
        jobs.emplace_back([&] {
            const int now = ++running;
            if (now > most) most = now;
            EXPECT_TRUE(over.wait());
            --running;
        });
        own.add(jobs.back());
    }
    ASSERT_TRUE(eventually([&] { return running == 2; }));
    for (int round = 0; round < 20; ++round) {
        counted_ticket alarm;
        alarm.as = penstock::detail::ticket::kind::alarm;
        own.add(alarm);
        ASSERT_TRUE(eventually([&] { return alarm.served == 1; })) << "it may be what all of them wait for";
    }
    EXPECT_EQ(running, 2) << "no job got the alarm's thread";
    over.open();
    EXPECT_TRUE(support::all_served(jobs));
    EXPECT_LE(most, 2);
}

}  // namespace
