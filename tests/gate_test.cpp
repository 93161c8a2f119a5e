// SPDX-License-Identifier: MIT
/// A gate that streams share: all of them together never have more in flight than it says, and it loses nothing.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"
#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::gate;
using penstock::gate_limits;
using penstock::task;
using support::drain;
using support::eventually;
using support::latch;
using support::meter;
using support::rendezvous;
using support::test_error;
using support::tracked;
using support::tracked_value;

static_assert(!std::movable<gate> && !std::copyable<gate>);
static_assert(!std::is_convertible_v<std::size_t, gate> && std::is_constructible_v<gate, std::size_t>);
static_assert(std::is_aggregate_v<gate_limits> && std::is_aggregate_v<penstock::rate>);

/// The kinds of function that a stream may have. Each task calls body(input), and is inside `running` from its start to
/// its end.
struct computed {
    template <class Meter, class Body>
    auto operator()(Meter& running, Body body) const {
        return [&running, body](int i) {
            const typename Meter::visit here(running);
            return body(i);
        };
    }
};
struct blocking {
    template <class Meter, class Body>
    auto operator()(Meter& running, Body body) const {
        return [&running, body](int i) {
            return penstock::blocking([&running, body, i] {
                const typename Meter::visit here(running);
                return body(i);
            });
        };
    }
};
template <class Meter, class Body>
auto pause_and_call(Meter& running, Body body, int i) -> task<decltype(body(i))> {
    const typename Meter::visit here(running);
    const tracked frame;
    if (i % 3 == 0) {
        co_await penstock::sleep_for(50us);
    } else {
        co_await penstock::yield();
    }
    co_return body(i);
}
struct suspended {
    template <class Meter, class Body>
    auto operator()(Meter& running, Body body) const {
        return [&running, body](int i) { return pause_and_call(running, body, i); };
    }
};

/// Calls test(kind) with each of them.
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

/// Takes mostly no time, and now and then enough to be overtaken.
void now_and_then_longer(int i) {
    if (i % 16 == 0) support::spin_for(20us);
}

/// Two meters at once.
struct both_meters {
    meter& own;
    meter& common;
    struct visit {
        explicit visit(both_meters& m) : in_own(m.own), in_common(m.common) {}
        meter::visit in_own, in_common;
    };
};

/// Tasks that stay inside until they may leave.
struct crowd {
    meter running;
    std::atomic<bool> open{false};
};
auto stay_blocking(crowd& in) {
    return penstock::blocking([&in] {
        const meter::visit here(in.running);
        while (!in.open) std::this_thread::sleep_for(1ms);
    });
}
task<> stay_suspended(crowd& in) {
    const meter::visit here(in.running);
    while (!in.open) co_await penstock::sleep_for(1ms);
}

/// Holds permits of a gate until it is told to give them back. It needs no worker.
class holder {
public:
    holder(penstock::executor& ex, gate& of, std::size_t count)
        : ends_(count), stream_(penstock::as_completed(
                            ex, std::views::iota(std::size_t{0}, count),
                            [this](std::size_t i) {
                                return penstock::blocking([this, i] {
                                    const meter::visit here(holding_);
                                    EXPECT_TRUE(ends_[i].wait());
                                });
                            },
                            penstock::options{.limit = count, .shared = &of})) {
        EXPECT_TRUE(eventually([&] { return holding_.inside() == static_cast<long>(count); }));
    }
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() {
        release();
        EXPECT_EQ(drain(stream_), ends_.size()) << "what holds a permit is never cancelled";
    }
    void release_one() { ends_[released_++].open(); }
    void release() {
        while (released_ < ends_.size()) release_one();
    }

private:
    meter holding_;
    std::vector<latch> ends_;
    std::size_t released_ = 0;
    penstock::completion_stream<void, std::size_t> stream_;
};

/// 0 .. count - 1, and how many of them have been pulled.
auto counted(std::atomic<int>& pulled, int count) {
    return std::views::iota(0, count) | std::views::transform([&pulled](int i) {
               ++pulled;
               return i;
           });
}

class Gate : public support::contract_test {
protected:
    penstock::options under(gate& shared, std::size_t limit, std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.shared = &shared;
        return settings;
    }
    /// Takes everything, `count` results, in the order that was asked for.
    template <class Stream>
    void expect_all(Stream& stream, std::size_t count) const {
        std::size_t taken = 0;
        while (auto done = stream.next()) {
            if (in_order()) {
                EXPECT_EQ(done->index(), taken);
            }
            ++taken;
        }
        EXPECT_EQ(taken, count);
    }
    static void expect_free(const gate& shared) {
        EXPECT_EQ(shared.in_flight(), 0U) << "a permit was lost";
        EXPECT_EQ(shared.weight_in_flight(), 0U);
    }
    /// Time for what must not happen; nothing depends on its length but what a fault would show.
    static void let_it_go_wrong() { std::this_thread::sleep_for(3ms); }
};
INSTANTIATE_TEST_SUITE_P(, Gate, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class GateWithAndWithoutHelp : public Gate {};
INSTANTIATE_TEST_SUITE_P(, GateWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

TEST_P(GateWithAndWithoutHelp, NeverLetsMoreTasksOfItsStreamsRunAtOnceThanItSays) {
    in_every_kind([&](auto kind) {
        for (const std::size_t cap : {1U, 2U, 5U}) {
            gate shared(cap);
            meter running;
            const auto run = [&] {
                auto stream = penstock::as_completed(ex, std::views::iota(0, 100), kind(running, now_and_then_longer),
                                                     under(shared, 8));
                expect_all(stream, 100);
            };
            {
                const std::jthread second(run), third(run);
                run();
            }
            EXPECT_LE(running.most(), static_cast<long>(cap));
            expect_free(shared);
        }
    });
}

TEST_P(Gate, NeverLetsMoreTasksRunAtOnceWhicheverExecutorTheyAreOn) {
    penstock::executor other(workers());
    in_every_kind([&](auto kind) {
        for (const std::size_t cap : {1U, 3U}) {
            gate shared(cap);
            meter running;
            const auto run = [&](penstock::executor& on) {
                auto stream = penstock::as_completed(on, std::views::iota(0, 200), kind(running, now_and_then_longer),
                                                     under(shared, 8));
                expect_all(stream, 200);
            };
            {
                const std::jthread second([&] { run(other); });
                run(ex);
            }
            EXPECT_LE(running.most(), static_cast<long>(cap));
            expect_free(shared);
        }
    });
}

TEST_P(Gate, NeverLetsMoreTasksRunAtOnceWhoseKindOnlyTheyKnow) {
    gate shared(3);
    meter running;
    const auto run = [&] {
        int made = 0;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<penstock::any_job<>> {
                if (made == 200) return std::nullopt;
                const int i = made++;
                if (i % 3 == 0) return [&running, i] { computed()(running, now_and_then_longer)(i); };
                if (i % 3 == 1) return blocking()(running, now_and_then_longer)(i);
                return pause_and_call(running, now_and_then_longer, i);
            },
            under(shared, 8));
        expect_all(stream, 200);
    };
    {
        const std::jthread second(run);
        run();
    }
    EXPECT_LE(running.most(), 3);
    expect_free(shared);
}

TEST_P(Gate, IsFilledByTasksThatWaitInStreamsThatAreNarrower) {
    penstock::executor other(workers());
    const auto check = [&](auto stay) {
        for (const std::size_t cap : {1U, 2U, 7U}) {
            gate shared(cap);
            crowd all;
            const auto start = [&](penstock::executor& on) {
                return penstock::as_completed(
                    on, std::views::iota(0, 20), [&all, stay](int) { return stay(all); }, under(shared, 5));
            };
            auto one = start(ex), two = start(other);
            EXPECT_TRUE(eventually([&] { return all.running.inside() == static_cast<long>(cap); }))
                << all.running.inside() << " of " << cap;
            EXPECT_EQ(shared.in_flight(), cap);
            EXPECT_EQ(shared.weight_in_flight(), cap) << "each weighs 1";
            all.open = true;
            expect_all(one, 20);
            expect_all(two, 20);
            EXPECT_EQ(all.running.most(), static_cast<long>(cap));
        }
    };
    check(stay_blocking);
    check(stay_suspended);
}

TEST_P(Gate, IsFilledByTasksThatComputeAsFarAsThereAreWorkers) {
    for (const std::size_t cap : {1U, 2U, 3U, 8U}) {
        const std::size_t most = std::min(cap, workers());
        const std::size_t tasks = 10 * most;
        gate shared(cap);
        rendezvous all(most);
        const auto start = [&] {
            return penstock::as_completed(
                ex, std::views::iota(std::size_t{0}, tasks), [&](std::size_t) { EXPECT_TRUE(all.arrive()); },
                under(shared, most, tasks));
        };
        auto one = start(), two = start();
        {
            const std::jthread second([&] { expect_all(two, tasks); });
            expect_all(one, tasks);
        }
        EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; }));
    }
}

TEST_P(Gate, LeavesEachStreamItsOwnLimit) {
    in_every_kind([&](auto kind) {
        gate shared(10);
        meter running;
        auto stream =
            penstock::as_completed(ex, std::views::iota(0, 200), kind(running, now_and_then_longer), under(shared, 2));
        expect_all(stream, 200);
        EXPECT_LE(running.most(), 2);
    });
}

TEST_P(Gate, WithoutLimitsHoldsBackNothing) {
    for (const std::size_t cap : {penstock::unlimited, penstock::unlimited - 1, std::size_t{1} << 31}) {
        in_every_kind([&](auto kind) {
            gate shared(cap);
            meter running;
            auto stream = penstock::as_completed(ex, std::views::iota(0, 300), kind(running, now_and_then_longer),
                                                 under(shared, 8));
            expect_all(stream, 300);
        });
    }
}

// --- what was taken comes back

TEST_P(Gate, IsFreeWhenItsStreamHasEnded) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 200), kind(running, [](int i) { return tracked_value(i); }), under(shared, 8));
            expect_all(stream, 200);
            EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; }));
        }
        expect_free(shared);
    });
}

TEST_P(Gate, IsFreeAfterTasksThatThrew) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        {
            const auto body = [](int i) {
                if (i % 2 == 0) throw test_error(i);
                return tracked_value(i);
            };
            auto stream = penstock::as_completed(ex, std::views::iota(0, 200), kind(running, body), under(shared, 8));
            expect_all(stream, 200);
            EXPECT_EQ(stream.stats().failed, 100U);
        }
        expect_free(shared);
    });
}

/// Throws at its `left`-th move; to be run it is moved some times.
struct fragile_job : tracked {
    fragile_job(long v, int moves) : value(v), left(moves) {}
    fragile_job(fragile_job&& other) : tracked(std::move(other)), value(other.value), left(other.left) {
        if (left > 0 && --left == 0) throw test_error(value);
    }
    fragile_job& operator=(fragile_job&&) = delete;
    long operator()() const { return value; }
    long value;
    int left;
};

TEST_P(Gate, IsFreeAfterJobsThatThrewWhenTheyWereMoved) {
    const auto run = [&](auto jobs, std::size_t count) {
        gate shared(2);
        {
            // The producer moves nothing: what throws, throws between the pull and the start.
            auto source = jobs | std::views::transform([](auto& job) -> auto&& { return std::move(*job); });
            auto stream = penstock::as_completed(ex, source, under(shared, 3));
            expect_all(stream, count);
        }
        expect_free(shared);
    };
    for (int moves = 1; moves <= 6; ++moves) {
        using blocking_job = decltype(penstock::blocking(std::declval<fragile_job>()));
        std::vector<std::unique_ptr<fragile_job>> computing;
        std::vector<std::unique_ptr<blocking_job>> waiting;
        for (int i = 0; i < 10; ++i) {
            const int last = i % 3 == 1 ? moves : 0;
            computing.push_back(std::make_unique<fragile_job>(i, last));
            waiting.emplace_back(new blocking_job{fragile_job(i, last)});
        }
        run(std::views::all(computing), 10);
        run(std::views::all(waiting), 10);
    }
}

TEST_P(Gate, IsFreeWhenAStreamWasLeftHalfWay) {
    in_every_kind([&](auto kind) {
        for (const int last : {-1, 0, 1, 7, 40}) {
            gate shared(3);
            meter running;
            {
                auto stream = penstock::as_completed(
                    ex, std::views::iota(0), kind(running, [](int i) { return tracked_value(i); }), under(shared, 8));
                for (int taken = 0; taken <= last; ++taken) {
                    ASSERT_TRUE(stream.next());
                }
            }
            EXPECT_EQ(running.inside(), 0);
            expect_free(shared);
        }
    });
}

TEST_P(Gate, IsFreeAfterAStop) {
    in_every_kind([&](auto kind) {
        for (const int before : {0, 1, 30}) {
            gate shared(3);
            meter running;
            {
                auto stream = penstock::as_completed(
                    ex, std::views::iota(0), kind(running, [](int i) { return tracked_value(i); }), under(shared, 8));
                for (int taken = 0; taken < before; ++taken) {
                    ASSERT_TRUE(stream.next());
                }
                stream.request_stop();
                EXPECT_THROW(drain(stream), penstock::stopped);
            }
            expect_free(shared);
        }
    });
}

TEST_P(Gate, IsFreeAfterAFailure) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        {
            auto settings = under(shared, 8);
            settings.on_error = penstock::on_error::stop;
            const auto body = [](int i) {
                if (i == 30) throw test_error(i);
                return tracked_value(i);
            };
            auto stream = penstock::as_completed(ex, std::views::iota(0), kind(running, body), settings);
            EXPECT_THROW(drain(stream), test_error);
        }
        expect_free(shared);
    });
}

TEST_P(Gate, IsFreeAfterADeadline) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        {
            auto settings = under(shared, 8);
            settings.deadline = std::chrono::steady_clock::now() + 5ms;
            auto stream = penstock::as_completed(ex, std::views::iota(0),
                                                 kind(running, [](int i) { return tracked_value(i); }), settings);
            EXPECT_THROW(drain(stream), penstock::timed_out);
        }
        expect_free(shared);
    });
}

// --- a parent

TEST_P(Gate, WithAParentHoldsBothLimits) {
    in_every_kind([&](auto kind) {
        gate parent(4);
        gate narrow({.in_flight = 2}, parent);
        gate wide({.in_flight = 3}, parent);
        meter all, in_narrow, in_wide, beside;
        const auto run = [&](gate& at, meter& own) {
            both_meters running{own, all};
            auto stream =
                penstock::as_completed(ex, std::views::iota(0, 150), kind(running, now_and_then_longer), under(at, 8));
            expect_all(stream, 150);
        };
        {
            const std::jthread second([&] { run(narrow, in_narrow); }), third([&] { run(wide, in_wide); });
            run(parent, beside);
        }
        EXPECT_LE(in_narrow.most(), 2);
        EXPECT_LE(in_wide.most(), 3);
        EXPECT_LE(all.most(), 4);
        for (const gate* each : {&parent, &narrow, &wide}) expect_free(*each);
    });
}

TEST_P(Gate, WithAParentIsFilledAsFarAsBothAllow) {
    const auto check = [&](auto stay) {
        gate parent(4);
        gate narrow({.in_flight = 2}, parent);
        gate wide({.in_flight = 3}, parent);
        crowd in_narrow, in_wide;
        const auto start = [&](gate& at, crowd& in) {
            return penstock::as_completed(
                ex, std::views::iota(0, 20), [&in, stay](int) { return stay(in); }, under(at, 8, 20));
        };
        auto first = start(narrow, in_narrow);
        EXPECT_TRUE(eventually([&] { return in_narrow.running.inside() == 2; }));
        auto second = start(wide, in_wide);
        EXPECT_TRUE(eventually([&] { return in_wide.running.inside() == 2; })) << "what the first left of the parent";
        EXPECT_EQ(parent.in_flight(), 4U);
        EXPECT_EQ(narrow.in_flight(), 2U);
        EXPECT_EQ(wide.in_flight(), 2U);
        in_narrow.open = true;
        expect_all(first, 20);
        EXPECT_TRUE(eventually([&] { return in_wide.running.inside() == 3; })) << "all that it may have itself";
        in_wide.open = true;
        expect_all(second, 20);
        EXPECT_LE(in_narrow.running.most(), 2);
        EXPECT_EQ(in_wide.running.most(), 3);
    };
    check(stay_blocking);
    check(stay_suspended);
}

TEST_P(Gate, ThatIsFullHoldsNothingOfItsParentForThoseWhoWait) {
    in_every_kind([&](auto kind) {
        gate parent(2);
        gate child({.in_flight = 1}, parent);
        holder held(ex, child, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto waiting =
            penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(child, 3));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        auto passing =
            penstock::as_completed(ex, std::views::iota(0, 50), kind(running, now_and_then_longer), under(parent, 3));
        expect_all(passing, 50);
        held.release();
        expect_all(waiting, 5);
    });
}

TEST_P(Gate, WhoseParentIsFullHoldsNothingItselfForThoseWhoWait) {
    in_every_kind([&](auto kind) {
        gate parent(1);
        gate child({.in_flight = 3}, parent);
        holder held(ex, parent, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto waiting =
            penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(child, 3));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        let_it_go_wrong();
        EXPECT_TRUE(eventually([&] { return child.in_flight() == 0; }));
        EXPECT_EQ(running.most(), 0);
        held.release();
        expect_all(waiting, 5);
    });
}

// --- who waits

TEST_P(GateWithAndWithoutHelp, ThatIsFullLetsEachStreamPullOneItemAndNoMore) {
    in_every_kind([&](auto kind) {
        gate shared(2);
        holder held(ex, shared, 2);
        meter running;
        std::atomic<int> pulled{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 50), kind(running, now_and_then_longer), under(shared, 10));
        const std::jthread consumer([&] { expect_all(stream, 50); });
        EXPECT_TRUE(eventually([&] { return pulled >= 1; }));
        let_it_go_wrong();
        EXPECT_EQ(pulled, 1);
        EXPECT_EQ(running.most(), 0);
        EXPECT_EQ(shared.in_flight(), 2U);
        held.release();
    });
}

TEST_P(Gate, ThatIsFullIsWhatTheStatisticsName) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        auto stream =
            penstock::as_completed(ex, std::views::iota(0, 5), kind(running, now_and_then_longer), under(shared, 3));
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::gate; }));
        held.release();
        expect_all(stream, 5);
        EXPECT_EQ(stream.stats().bound, penstock::bound_by::none);
    });
}

TEST_P(Gate, ThatIsFullKeepsNoThread) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(shared, 3));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        { const support::busy_workers all_are_free(ex); }
        held.release();
        expect_all(stream, 5);
    });
}

TEST_P(Gate, HoldsUpNobodyForAStreamThatIsNextAndGetsNoThread) {
    penstock::executor other(workers());
    const auto check = [&](auto kind) {
        gate shared(1);
        holder held(other, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto first =
            penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(shared, 3));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        std::optional<support::busy_workers> busy(std::in_place, ex);
        auto second = penstock::as_completed(other, std::views::iota(0, 50), kind(running, now_and_then_longer),
                                             under(shared, 3));
        held.release();
        expect_all(second, 50);
        busy.reset();
        expect_all(first, 5);
    };
    check(computed());
    check(suspended());
}

TEST_P(Gate, LetsWhatWaitsRunThoughTheSourceHasNothingElse) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 1), kind(running, now_and_then_longer), under(shared, 3));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        EXPECT_FALSE(stream.try_next());
        EXPECT_FALSE(stream.done());
        held.release();
        expect_all(stream, 1);
        EXPECT_TRUE(stream.done());
    });
}

TEST_P(Gate, LetsWhatWaitsRunThoughTheConsumerIsAway) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0}, ran{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 5), kind(running, [&](int) { ++ran; }), under(shared, 5));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        held.release();
        EXPECT_TRUE(eventually([&] { return ran == 5; }));
        expect_all(stream, 5);
    });
}

TEST_P(GateWithAndWithoutHelp, WhatWaitsIsDroppedByAStop) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        const holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        std::stop_source source;
        auto settings = under(shared, 4);
        settings.stop = source.get_token();
        const auto body = [witness = tracked()](int) {};
        auto stream = penstock::as_completed(ex, counted(pulled, 5), kind(running, body), settings);
        const std::jthread stopper([&] {
            EXPECT_TRUE(eventually([&] { return pulled == 1; }));
            source.request_stop();
        });
        EXPECT_THROW(drain(stream), penstock::stopped) << "it waits in next() meanwhile";
        EXPECT_FALSE(stream.next());
        EXPECT_EQ(running.most(), 0) << "nothing was started";
        EXPECT_TRUE(support::eventually_all_accounted(stream));
        EXPECT_EQ(stream.stats().dropped, 1U);
        EXPECT_EQ(shared.in_flight(), 1U);
    });
}

TEST_P(Gate, IsNotWaitedForByWhoLeaves) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        const holder held(ex, shared, 1);
        meter running;
        for (int round = 0; round < 5; ++round) {
            std::atomic<int> pulled{0};
            auto stream =
                penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(shared, 4));
            // Also at once, on the way to the gate.
            if (round > 0) {
                EXPECT_TRUE(eventually([&] { return pulled == 1; }));
            }
        }
        EXPECT_EQ(running.most(), 0);
        EXPECT_EQ(shared.in_flight(), 1U);
    });
}

TEST_P(Gate, IsPassedByOthersWhenTheLongestWaiterLeaves) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0}, pulled_later{0};
        auto later = [&] {
            const auto gone =
                penstock::as_completed(ex, counted(pulled, 5), kind(running, now_and_then_longer), under(shared, 4));
            EXPECT_TRUE(eventually([&] { return pulled == 1; }));
            auto next = penstock::as_completed(ex, counted(pulled_later, 5), kind(running, now_and_then_longer),
                                               under(shared, 4));
            EXPECT_TRUE(eventually([&] { return pulled_later == 1; }));
            // About now it is the turn of the one that goes.
            held.release();
            return next;
        }();
        expect_all(later, 5);
        EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; }));
    });
}

TEST_P(GateWithAndWithoutHelp, IsNotWaitedForBeyondTheDeadline) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        const holder held(ex, shared, 1);
        meter running;
        auto settings = under(shared, 4);
        settings.deadline = std::chrono::steady_clock::now() + 10ms;
        auto stream = penstock::as_completed(ex, std::views::iota(0, 5), kind(running, now_and_then_longer), settings);
        EXPECT_THROW(stream.next(), penstock::timed_out);
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(stream.done());
        EXPECT_EQ(running.most(), 0);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
        EXPECT_EQ(shared.in_flight(), 1U);
    });
}

TEST_P(Gate, IsNotWaitedForLongerThanNextForSays) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        auto stream =
            penstock::as_completed(ex, std::views::iota(0, 5), kind(running, now_and_then_longer), under(shared, 4));
        EXPECT_FALSE(stream.next_for(2ms));
        EXPECT_FALSE(stream.done());
        held.release();
        expect_all(stream, 5);
    });
}

// --- limits that change

TEST_P(Gate, ThatGrowsLetsInAtOnceWhoWaits) {
    in_every_kind([&](auto kind) {
        gate shared(2);
        const holder held(ex, shared, 2);
        meter running;
        std::atomic<int> pulled{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 20), kind(running, now_and_then_longer), under(shared, 8));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        shared.set_limits({.in_flight = 4});
        expect_all(stream, 20);  // and nobody has given anything back
        EXPECT_LE(running.most(), 2);
    });
}

TEST_P(Gate, ThatGrowsLetsInAtOnceWhoWaitsForTheParent) {
    in_every_kind([&](auto kind) {
        gate parent(1);
        gate child({.in_flight = 3}, parent);
        const holder held(ex, parent, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto stream =
            penstock::as_completed(ex, counted(pulled, 20), kind(running, now_and_then_longer), under(child, 8));
        EXPECT_TRUE(eventually([&] { return pulled == 1; }));
        parent.set_limits({.in_flight = 3});
        expect_all(stream, 20);
        EXPECT_LE(running.most(), 2);
    });
}

TEST_P(Gate, ThatShrinksLetsNothingInUntilThereIsRoomUnderIt) {
    in_every_kind([&](auto kind) {
        gate shared(4);
        holder held(ex, shared, 4);
        meter running;
        auto stream = penstock::as_completed(ex, std::views::iota(0, 20), kind(running, now_and_then_longer),
                                             under(shared, 8, 20));
        shared.set_limits({.in_flight = 2});
        for (const std::size_t left : {4U, 3U, 2U}) {
            EXPECT_TRUE(eventually([&] { return shared.in_flight() == left; }));
            let_it_go_wrong();
            EXPECT_EQ(running.most(), 0) << left << " are still held";
            held.release_one();
        }
        expect_all(stream, 20);
        EXPECT_EQ(running.most(), 1) << "the one that is still held counts";
    });
}

TEST_P(Gate, MayBeSetByTheTasksThemselves) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        const auto body = [&](int i) { shared.set_limits({.in_flight = static_cast<std::size_t>(i % 5 + 1)}); };
        const auto run = [&] {
            auto stream = penstock::as_completed(ex, std::views::iota(0, 100), kind(running, body), under(shared, 8));
            expect_all(stream, 100);
        };
        {
            const std::jthread second(run);
            run();
        }
        EXPECT_LE(running.most(), 5);
        EXPECT_LE(shared.limits().in_flight, 5U);
        expect_free(shared);
    });
}

// --- producers of other kinds

TEST_P(Gate, HoldsForProducersThatBlock) {
    in_every_kind([&](auto kind) {
        gate shared(3);
        meter running;
        const auto run = [&] {
            auto stream = penstock::as_completed(ex, penstock::blocking_producer(std::views::iota(0, 100)),
                                                 kind(running, now_and_then_longer), under(shared, 8));
            expect_all(stream, 100);
        };
        {
            const std::jthread second(run);
            run();
        }
        EXPECT_LE(running.most(), 3);
        expect_free(shared);
    });
}

TEST_P(Gate, LetsProducersThatBlockBePulledUpToTheStreamsLimit) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto stream = penstock::as_completed(ex, penstock::blocking_producer(counted(pulled, 20)),
                                             kind(running, now_and_then_longer), under(shared, 5));
        EXPECT_TRUE(eventually([&] { return pulled == 5; }));
        let_it_go_wrong();
        EXPECT_EQ(pulled, 5);
        EXPECT_EQ(running.most(), 0);
        held.release();
        expect_all(stream, 20);
        EXPECT_EQ(running.most(), 1);
    });
}

TEST_P(Gate, LetsAllRunThatAProducerGaveWhichBlocksAndHasEnded) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        auto stream = penstock::as_completed(ex, penstock::blocking_producer(counted(pulled, 3)),
                                             kind(running, now_and_then_longer), under(shared, 5));
        EXPECT_TRUE(eventually([&] { return pulled == 3; }));
        held.release();
        expect_all(stream, 3);
        EXPECT_TRUE(stream.done());
    });
}

TEST_P(Gate, DropsWhatAProducerGaveThatBlocksWhenItsStreamIsLeft) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        const holder held(ex, shared, 1);
        meter running;
        std::atomic<int> pulled{0};
        {
            const auto stream = penstock::as_completed(ex, penstock::blocking_producer(counted(pulled, 20)),
                                                       kind(running, now_and_then_longer), under(shared, 5));
            EXPECT_TRUE(eventually([&] { return pulled == 5; }));
        }
        EXPECT_EQ(running.most(), 0);
        EXPECT_EQ(shared.in_flight(), 1U);
    });
}

TEST_P(Gate, HoldsForFeeds) {
    in_every_kind([&](auto kind) {
        for (const std::size_t cap : {1U, 3U}) {
            gate shared(cap);
            meter running;
            penstock::feed<int> depths;
            EXPECT_TRUE(depths.push(6));
            const auto body = [&](int depth) {
                if (depth == 0) return;
                EXPECT_TRUE(depths.push(depth - 1));
                EXPECT_TRUE(depths.push(depth - 1));
            };
            auto stream = penstock::as_completed(ex, depths, kind(running, body), under(shared, 8));
            expect_all(stream, 127);
            EXPECT_FALSE(depths.push(0));
            EXPECT_LE(running.most(), static_cast<long>(cap));
        }
    });
}

TEST_P(Gate, KeepsAFeedFromEndingWhileWhatItGaveWaits) {
    in_every_kind([&](auto kind) {
        gate shared(1);
        holder held(ex, shared, 1);
        meter running;
        penstock::feed<int> numbers;
        EXPECT_TRUE(numbers.push(1));
        auto stream = penstock::as_completed(ex, numbers, kind(running, now_and_then_longer), under(shared, 4));
        for (int look = 0; look < 20; ++look) {
            EXPECT_FALSE(stream.try_next());
            ASSERT_FALSE(stream.done());
            std::this_thread::sleep_for(100us);
        }
        EXPECT_TRUE(numbers.push(2));
        held.release();
        expect_all(stream, 2);
        EXPECT_FALSE(numbers.push(3));
    });
}

// --- what it is told

TEST(GateLimits, OfZeroAreRefused) {
    EXPECT_THROW(gate(0), std::invalid_argument);
    EXPECT_THROW(gate({.in_flight = 0}), std::invalid_argument);
    gate parent(1);
    EXPECT_THROW(gate({.in_flight = 0}, parent), std::invalid_argument);
    EXPECT_EQ(parent.limits().in_flight, 1U);
}

TEST(GateLimits, WithARateThatIsNoneAreRefused) {
    gate parent(1);
    for (const penstock::rate wrong : {penstock::rate{0, 1s}, penstock::rate{1, 0s}, penstock::rate{1, -1s},
                                       penstock::rate{1, std::chrono::nanoseconds::min()}, penstock::rate{1, 1s, 0}}) {
        EXPECT_THROW(gate({.starts = wrong}), std::invalid_argument);
        EXPECT_THROW(gate({.starts = wrong}, parent), std::invalid_argument);
    }
}

TEST(GateLimits, AreWhatTheyWereSetTo) {
    const gate counting(7);
    EXPECT_EQ(counting.limits().in_flight, 7U);
    EXPECT_EQ(counting.limits().weight, penstock::unlimited);
    EXPECT_FALSE(counting.limits().starts);

    gate all({.in_flight = 3, .weight = 1000, .starts = penstock::rate{.count = 5, .per = 2s, .burst = 4}});
    EXPECT_EQ(all.limits().in_flight, 3U);
    EXPECT_EQ(all.limits().weight, 1000U);
    ASSERT_TRUE(all.limits().starts);
    EXPECT_EQ(all.limits().starts->count, 5U);
    EXPECT_EQ(all.limits().starts->per, 2s);
    EXPECT_EQ(all.limits().starts->burst, 4U);

    all.set_limits({.weight = 9});
    EXPECT_EQ(all.limits().in_flight, penstock::unlimited);
    EXPECT_EQ(all.limits().weight, 9U);
    EXPECT_FALSE(all.limits().starts);
    EXPECT_EQ(all.in_flight(), 0U);
    EXPECT_EQ(all.weight_in_flight(), 0U);

    const gate child({.in_flight = 2}, all);
    EXPECT_EQ(child.limits().in_flight, 2U) << "its own, not its parent's";
    EXPECT_EQ(child.limits().weight, penstock::unlimited);
}

TEST(GateLimits, AreNotChangedByAnError) {
    gate all({.in_flight = 3, .weight = 1000, .starts = penstock::rate{.count = 5, .per = 2s, .burst = 4}});
    const std::vector<gate_limits> wrong{{.in_flight = 0, .weight = 7},
                                         {.in_flight = 7, .starts = penstock::rate{0, 1s}},
                                         {.in_flight = 7, .starts = penstock::rate{1, 0s}},
                                         {.in_flight = 7, .starts = penstock::rate{1, -1s}},
                                         {.in_flight = 7, .starts = penstock::rate{1, 1s, 0}}};
    for (const gate_limits& each : wrong) {
        EXPECT_THROW(all.set_limits(each), std::invalid_argument);
        EXPECT_EQ(all.limits().in_flight, 3U);
        EXPECT_EQ(all.limits().weight, 1000U);
        ASSERT_TRUE(all.limits().starts);
        EXPECT_EQ(all.limits().starts->count, 5U);
        EXPECT_EQ(all.limits().starts->per, 2s);
        EXPECT_EQ(all.limits().starts->burst, 4U);
    }
}

}  // namespace
