// SPDX-License-Identifier: MIT
/// How often tasks start under a gate with a rate: in no window more than it says, and in the long run as many (S41).
///
/// A start is granted just before the task begins, on the same thread, which may be held up in between. So of the tasks
/// that are seen to begin in a window, those may have been granted their starts before it that had been granted and not
/// begun when it opened: no more than may be in flight. Nothing else makes a window fuller; and nothing at all makes
/// n starts come sooner than (n - burst) * per / count after the gate was made.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <ranges>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::gate;
using penstock::rate;
using penstock::task;
using std::chrono::nanoseconds;
using support::drain;
using support::eventually;
using support::latch;
using support::meter;

/// When tasks started.
class starts {
public:
    void add() {
        const auto now = clock_type::now();
        const std::lock_guard guard(mutex_);
        times_.push_back(now);
    }
    std::size_t count() const {
        const std::lock_guard guard(mutex_);
        return times_.size();
    }
    std::vector<clock_type::time_point> in_order() const {
        const std::lock_guard guard(mutex_);
        auto sorted = times_;
        std::sort(sorted.begin(), sorted.end());
        return sorted;
    }

private:
    mutable std::mutex mutex_;
    std::vector<clock_type::time_point> times_;
};

/// Functions of each kind; the tasks note their start and call body(input).
struct computed {
    template <class Body>
    auto operator()(starts& seen, Body body) const {
        return [&seen, body](int i) {
            seen.add();
            return body(i);
        };
    }
};
struct blocking {
    template <class Body>
    auto operator()(starts& seen, Body body) const {
        return [&seen, body](int i) {
            return penstock::blocking([&seen, body, i] {
                seen.add();
                return body(i);
            });
        };
    }
};
template <class Body>
auto note_and_pause(starts& seen, Body body, int i) -> task<decltype(body(i))> {
    seen.add();
    co_await penstock::yield();
    co_return body(i);
}
struct suspended {
    template <class Body>
    auto operator()(starts& seen, Body body) const {
        return [&seen, body](int i) { return note_and_pause(seen, body, i); };
    }
};
template <class Test>
void in_every_kind(Test test) {
    {
        SCOPED_TRACE("computed");
        test(computed{});
    }
    {
        SCOPED_TRACE("blocking");
        test(blocking{});
    }
    {
        SCOPED_TRACE("suspended");
        test(suspended{});
    }
}

int as_it_is(int i) { return i; }

class Rate : public support::contract_test {
protected:
    penstock::options under(gate& shared, std::size_t limit, std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.shared = &shared;
        return settings;
    }
    static double intervals(nanoseconds time, const rate& how) {
        return static_cast<double>(time.count()) * static_cast<double>(how.count) /
               static_cast<double>(how.per.count());
    }
    /// The n-th start, and each before it, comes no sooner after `since` than the rate allows.
    static void expect_no_sooner(const starts& seen, const rate& how, clock_type::time_point since) {
        const auto times = seen.in_order();
        for (std::size_t i = 0; i < times.size(); ++i) {
            const double allowed = static_cast<double>(how.burst) + intervals(times[i] - since, how);
            EXPECT_LE(static_cast<double>(i + 1), allowed + 0.01) << "start " << i << " came too soon";
        }
    }
    /// No window is too full, wherever it begins; `late` as it says at the top.
    static void expect_no_full_window(const starts& seen, const rate& how, std::size_t late) {
        const auto times = seen.in_order();
        for (std::size_t first = 0; first < times.size(); ++first) {
            for (std::size_t last = first; last < times.size(); ++last) {
                const auto begun = static_cast<double>(last - first + 1);
                const double allowed =
                    static_cast<double>(how.burst + late) + intervals(times[last] - times[first], how);
                ASSERT_LE(begun, allowed + 0.01) << "from start " << first << " to start " << last;
            }
        }
    }
    /// Time for what must not happen; nothing depends on its length but what a fault would show.
    static void let_it_go_wrong() { std::this_thread::sleep_for(3ms); }
};
INSTANTIATE_TEST_SUITE_P(, Rate, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

class RateInBothOrders : public Rate {};
INSTANTIATE_TEST_SUITE_P(, RateInBothOrders, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

// --- no more than it says

TEST_P(Rate, IsExceededInNoWindow) {
    // A limiter that counted in windows of its own would let 20 start at once.
    constexpr rate how{.count = 20, .per = 10ms, .burst = 3};
    in_every_kind([&](auto kind) {
        starts seen;
        const auto since = clock_type::now();
        gate shared({.starts = how});
        auto stream = penstock::as_completed(ex, std::views::iota(0, 200), kind(seen, as_it_is), under(shared, 2));
        EXPECT_EQ(drain(stream), 200U);
        expect_no_sooner(seen, how, since);
        expect_no_full_window(seen, how, 2);
    });
}

TEST_P(Rate, IsExceededInNoWindowBySeveralStreamsTogether) {
    constexpr rate how{.count = 20, .per = 10ms, .burst = 3};
    penstock::executor other(workers());
    in_every_kind([&](auto kind) {
        starts seen;
        const auto since = clock_type::now();
        gate shared({.starts = how});
        const auto run = [&](penstock::executor& on) {
            auto stream = penstock::as_completed(on, std::views::iota(0, 70), kind(seen, as_it_is), under(shared, 2));
            EXPECT_EQ(drain(stream), 70U);
        };
        {
            const std::jthread second([&] { run(ex); }), third([&] { run(other); });
            run(ex);
        }
        EXPECT_EQ(seen.count(), 210U);
        expect_no_sooner(seen, how, since);
        expect_no_full_window(seen, how, 6);
    });
}

TEST_P(Rate, SpacesStartsByAnIntervalThatIsLong) {
    constexpr rate how{.count = 1, .per = 50ms};
    in_every_kind([&](auto kind) {
        starts seen;
        const auto since = clock_type::now();
        gate shared({.starts = how});
        auto stream = penstock::as_completed(ex, std::views::iota(0, 4), kind(seen, as_it_is), under(shared, 4));
        EXPECT_EQ(drain(stream), 4U);
        expect_no_sooner(seen, how, since);
        EXPECT_GE(clock_type::now() - since, 150ms);
    });
}

TEST_P(RateInBothOrders, LetsTheBurstStartAtOnceAndThenNothing) {
    in_every_kind([&](auto kind) {
        for (const std::size_t burst : {1U, 5U, 40U}) {
            starts seen;
            gate shared({.starts = rate{.count = 1, .per = 1h, .burst = burst}});
            auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(shared, 8, 100));
            EXPECT_TRUE(eventually([&] { return seen.count() == burst; })) << seen.count();
            for (std::size_t taken = 0; taken < burst; ++taken) {
                ASSERT_TRUE(stream.next());
            }
            let_it_go_wrong();
            EXPECT_EQ(seen.count(), burst);
            EXPECT_FALSE(stream.try_next());
            EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; })) << "what waits for the rate holds nothing";
        }
    });
}

TEST_P(Rate, SavesUpNoMoreThanTheBurstDuringAPause) {
    constexpr rate how{.count = 1, .per = 30ms, .burst = 2};
    gate shared({.starts = how});
    for (int round = 0; round < 2; ++round) {
        std::this_thread::sleep_for(150ms);
        starts seen;
        const auto since = clock_type::now();
        auto stream = penstock::as_completed(ex, std::views::iota(0, 5), computed()(seen, as_it_is), under(shared, 5));
        EXPECT_EQ(drain(stream), 5U);
        expect_no_sooner(seen, how, since);
    }
}

// --- and no less

TEST_P(Rate, IsReachedInTheLongRun) {
    // What comes late is caught up on, as far as the burst goes: here that is 100 ms. If the machine was kept from us
    // for longer, once more.
    constexpr rate how{.count = 200, .per = 1s, .burst = 20};
    constexpr auto ideal = 300ms;  // for 60 more than the burst
    auto shortest = std::chrono::nanoseconds::max();
    for (int attempt = 0; attempt < 6 && shortest > ideal * 1.1; ++attempt) {
        starts seen;
        const auto since = clock_type::now();
        gate shared({.starts = how});
        auto stream = penstock::as_completed(ex, std::views::iota(0, 80), computed()(seen, as_it_is), under(shared, 8));
        EXPECT_EQ(drain(stream), 80U);
        expect_no_sooner(seen, how, since);
        shortest = std::min<nanoseconds>(shortest, seen.in_order().back() - since);
    }
    EXPECT_LE(shortest, ideal * 1.1);
}

TEST_P(RateInBothOrders, NeedsNoConsumer) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = 2ms}});
        auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(shared, 4, 6));
        EXPECT_TRUE(eventually([&] { return stream.stats().ready == 10; }));
        EXPECT_EQ(seen.count(), 10U);
    });
}

TEST_P(Rate, MayBeAnything) {
    // However large or small its numbers are: what is more than there are tasks holds back none of them.
    constexpr std::size_t tasks = 100;
    const std::vector<rate> loose{{.count = 1, .per = 1ns},
                                  {.count = 7, .per = 10ns, .burst = 3},
                                  {.count = 1'000'000'000'000, .per = 1s},
                                  {.count = SIZE_MAX, .per = 1ns},
                                  {.count = SIZE_MAX, .per = 1ns, .burst = SIZE_MAX},
                                  {.count = SIZE_MAX, .per = nanoseconds::max(), .burst = 1},
                                  {.count = 1, .per = nanoseconds::max(), .burst = tasks},
                                  {.count = 1, .per = nanoseconds::max(), .burst = SIZE_MAX},
                                  {.count = 3, .per = 1h, .burst = SIZE_MAX}};
    in_every_kind([&](auto kind) {
        for (const rate& how : loose) {
            starts seen;
            gate shared({.starts = how});
            auto stream = penstock::as_completed(ex, std::views::iota(0, static_cast<int>(tasks)), kind(seen, as_it_is),
                                                 under(shared, 8));
            EXPECT_EQ(drain(stream), tasks) << how.count << " per " << how.per.count() << " ns, burst " << how.burst;
        }
    });
}

TEST_P(Rate, MayBeThatNothingStartsAfterTheBurst) {
    for (const nanoseconds per : {nanoseconds::max(), nanoseconds::max() - 1ns, nanoseconds(24h * 365 * 100)}) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = per, .burst = 2}});
        auto stream = penstock::as_completed(ex, std::views::iota(0), computed()(seen, as_it_is), under(shared, 4));
        ASSERT_TRUE(stream.next());
        ASSERT_TRUE(stream.next());
        let_it_go_wrong();
        EXPECT_EQ(seen.count(), 2U);
    }
}

// --- together with other limits

TEST_P(Rate, OfAParentIsSharedByItsChildren) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate parent({.starts = rate{.count = 1, .per = 1h, .burst = 7}});
        gate one({.in_flight = 2}, parent), two({.in_flight = 3}, parent);
        const auto first = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(one, 4, 20));
        const auto second = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(two, 4, 20));
        EXPECT_TRUE(eventually([&] { return seen.count() == 7; }));
        let_it_go_wrong();
        EXPECT_EQ(seen.count(), 7U);
        EXPECT_TRUE(eventually([&] { return one.in_flight() + two.in_flight() == 0; }));
    });
}

TEST_P(Rate, LosesNoStartToWhoWaitsForAnotherLimit) {
    in_every_kind([&](auto kind) {
        starts holding, seen;
        latch end;
        gate parent({.starts = rate{.count = 1, .per = 1h, .burst = 4}});
        gate child({.in_flight = 1}, parent);
        auto held = penstock::as_completed(ex, std::views::iota(0, 1),
                                           blocking()(holding, [&](int) { EXPECT_TRUE(end.wait()); }), under(child, 1));
        EXPECT_TRUE(eventually([&] { return holding.count() == 1; }));
        // It waits for the child's count, so it has taken nothing of the parent's.
        starts none;
        std::atomic<bool> pulled{false};
        const auto waiting = penstock::as_completed(ex, std::views::iota(0) | std::views::transform([&](int i) {
                                                            pulled = true;
                                                            return i;
                                                        }),
                                                    kind(none, as_it_is), under(child, 4));
        EXPECT_TRUE(eventually([&] { return pulled.load(); }));
        const auto direct = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(parent, 4, 20));
        EXPECT_TRUE(eventually([&] { return seen.count() == 3; })) << seen.count();
        let_it_go_wrong();
        EXPECT_EQ(seen.count(), 3U);
        EXPECT_EQ(none.count(), 0U);
        end.open();
        EXPECT_EQ(drain(held), 1U);
    });
}

TEST_P(Rate, LetsWhoWaitsForItHoldNothingElse) {
    in_every_kind([&](auto kind) {
        starts used, seen;
        gate parent({.in_flight = 1, .weight = 1});
        gate child({.starts = rate{.count = 1, .per = 1h}}, parent);
        auto waiting = penstock::as_completed(ex, std::views::iota(0), kind(used, as_it_is), under(child, 4));
        ASSERT_TRUE(waiting.next());
        EXPECT_TRUE(eventually([&] { return waiting.stats().bound == penstock::bound_by::rate; }));
        auto passing = penstock::as_completed(ex, std::views::iota(0, 50), kind(seen, as_it_is), under(parent, 4));
        EXPECT_EQ(drain(passing), 50U);
        EXPECT_EQ(used.count(), 1U);
    });
}

TEST_P(Rate, LeavesTheOtherLimitsOfItsGateAsTheyAre) {
    constexpr rate how{.count = 10, .per = 1ms, .burst = 8};
    in_every_kind([&](auto kind) {
        starts seen;
        meter running;
        gate shared({.in_flight = 2, .weight = 3, .starts = how});
        const auto body = [&](int i) {
            const meter::visit here(running);
            if (i % 8 == 0) support::spin_for(50us);
        };
        const auto run = [&] {
            auto stream = penstock::as_completed(ex, std::views::iota(0, 100), kind(seen, body), under(shared, 8));
            EXPECT_EQ(drain(stream), 100U);
        };
        {
            const std::jthread second(run);
            run();
        }
        EXPECT_LE(running.most(), 2);
        EXPECT_EQ(shared.in_flight(), 0U);
        EXPECT_EQ(shared.weight_in_flight(), 0U);
    });
}

TEST_P(Rate, IsNotUsedUpByJobsThatAreTooHeavyToStart) {
    starts seen;
    gate shared({.weight = 5, .starts = rate{.count = 1, .per = 1h, .burst = 3}});
    auto jobs = std::views::iota(0, 6) | std::views::transform([&](int i) {
                    return penstock::weighted(i % 2 == 0 ? 6 : 5, [&seen] { seen.add(); });
                });
    auto stream = penstock::as_completed(ex, jobs, under(shared, 2));
    EXPECT_EQ(drain(stream), 6U);
    EXPECT_EQ(seen.count(), 3U);
}

TEST_P(Rate, HoldsForProducersThatBlockAndForFeeds) {
    constexpr rate how{.count = 10, .per = 10ms, .burst = 2};
    in_every_kind([&](auto kind) {
        starts seen;
        const auto since = clock_type::now();
        gate shared({.starts = how});
        auto pulled = penstock::as_completed(ex, penstock::blocking_producer(std::views::iota(0, 20)),
                                             kind(seen, as_it_is), under(shared, 2));
        EXPECT_EQ(drain(pulled), 20U);
        penstock::feed<int> numbers;
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(numbers.push(i));
        auto fed = penstock::as_completed(ex, numbers, kind(seen, as_it_is), under(shared, 2));
        EXPECT_EQ(drain(fed), 20U);
        expect_no_sooner(seen, how, since);
        expect_no_full_window(seen, how, 2);
    });
}

// --- who waits for it

TEST_P(RateInBothOrders, IsWhatTheStatisticsName) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = 1h}});
        auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(shared, 4));
        ASSERT_TRUE(stream.next());
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
    });
}

TEST_P(RateInBothOrders, IsNotWaitedForByWhoStops) {
    in_every_kind([&](auto kind) {
        starts seen;
        std::stop_source source;
        gate shared({.starts = rate{.count = 1, .per = 1h}});
        auto settings = under(shared, 4);
        settings.stop = source.get_token();
        auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), settings);
        ASSERT_TRUE(stream.next());
        const std::jthread stopper([&] {
            EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
            source.request_stop();
        });
        EXPECT_THROW(stream.next(), penstock::stopped);
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(seen.count(), 1U);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    });
}

TEST_P(RateInBothOrders, IsNotWaitedForByWhoLeaves) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = 1h}});
        for (int round = 0; round < 3; ++round) {
            auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(shared, 4));
            if (round == 0) {
                ASSERT_TRUE(stream.next());
            }
            EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
        }
        EXPECT_EQ(seen.count(), 1U);
    });
}

TEST_P(RateInBothOrders, IsNotWaitedForBeyondTheDeadline) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = 1h, .burst = 1}});
        auto settings = under(shared, 4);
        settings.deadline = clock_type::now() + 10ms;
        auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), settings);
        EXPECT_THROW(drain(stream), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_LE(seen.count(), 1U);
    });
}

TEST_P(RateInBothOrders, KeepsNoThreadWhileItIsWaitedFor) {
    starts seen;
    gate shared({.starts = rate{.count = 1, .per = 1h}});
    auto stream = penstock::as_completed(ex, std::views::iota(0), suspended()(seen, as_it_is), under(shared, 4));
    ASSERT_TRUE(stream.next());
    EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
    support::rendezvous all(workers());
    auto other = penstock::as_completed(
        ex, std::views::iota(std::size_t{0}, workers()), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
        with(workers()));
    EXPECT_EQ(drain(other), workers());
}

// --- when it changes

TEST_P(Rate, ThatIsLiftedLetsInAtOnceWhoWaits) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate shared({.starts = rate{.count = 1, .per = 1h}});
        auto stream = penstock::as_completed(ex, std::views::iota(0, 20), kind(seen, as_it_is), under(shared, 4));
        ASSERT_TRUE(stream.next());
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
        shared.set_limits({});
        EXPECT_EQ(drain(stream), 19U);
    });
}

TEST_P(Rate, ThatBecomesFasterLetsInWhoWaits) {
    in_every_kind([&](auto kind) {
        starts seen;
        gate parent({.starts = rate{.count = 1, .per = 1h}});
        gate child({.in_flight = 3}, parent);
        auto stream = penstock::as_completed(ex, std::views::iota(0, 10), kind(seen, as_it_is), under(child, 4));
        ASSERT_TRUE(stream.next());
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
        constexpr rate faster{.count = 1, .per = 2ms};
        const auto since = clock_type::now();
        parent.set_limits({.starts = faster});
        EXPECT_EQ(drain(stream), 9U);
        EXPECT_GE(clock_type::now() - since, 16ms);
    });
}

TEST_P(Rate, ThatIsImposedHoldsFromThenOn) {
    in_every_kind([&](auto kind) {
        gate shared(8);
        starts before, after;
        auto free = penstock::as_completed(ex, std::views::iota(0, 50), kind(before, as_it_is), under(shared, 4));
        EXPECT_EQ(drain(free), 50U);
        shared.set_limits({.in_flight = 8, .starts = rate{.count = 1, .per = 1h, .burst = 3}});
        const auto held = penstock::as_completed(ex, std::views::iota(0), kind(after, as_it_is), under(shared, 4, 20));
        EXPECT_TRUE(eventually([&] { return after.count() > 0; }));
        EXPECT_TRUE(eventually([&] { return held.stats().bound == penstock::bound_by::rate; }));
        let_it_go_wrong();
        EXPECT_LE(after.count(), 3U);
    });
}

TEST_P(Rate, ThatIsSetAgainGrantsNoFurtherBurst) {
    // As one does who changes the number in flight now and then and leaves the rate as it is.
    in_every_kind([&](auto kind) {
        constexpr rate how{.count = 1, .per = 1h, .burst = 3};
        starts seen;
        gate shared({.in_flight = 4, .starts = how});
        const auto stream = penstock::as_completed(ex, std::views::iota(0), kind(seen, as_it_is), under(shared, 4, 20));
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::rate; }));
        EXPECT_TRUE(eventually([&] { return seen.count() == 3; }));
        for (const std::size_t in_flight : {5U, 6U, 7U}) {
            shared.set_limits({.in_flight = in_flight, .starts = how});
            let_it_go_wrong();
        }
        EXPECT_EQ(seen.count(), 3U);
    });
}

}  // namespace
