// SPDX-License-Identifier: MIT
/// C7 under a shared gate: a task that waits for a stream lends it what it holds, so that streams nest to any depth
/// under a gate of one, and no more tasks compute at once than the gate says.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::completion_stream;
using penstock::gate;
using penstock::task;
using support::drain;
using support::eventually;
using support::meter;
using support::test_error;
using support::tracked;

/// A tree of streams under gates: what all of its tasks need to know. A task is inside `computing` but for the time
/// that it waits.
struct tree {
    penstock::executor& ex;
    std::vector<penstock::options> levels;  ///< of the streams, from the leaves' up; the last is that of all above
    int fan_out = 3;
    bool bounded = false;  ///< whether threads wait in next_for() instead of next()
    meter computing{};
    std::atomic<int> misses{0};                 ///< how often a task that computes had no permit
    std::function<bool()> holds_permit = {};    ///< asked by every task that computes
    std::function<void(int depth)> visit = {};  ///< called by every task when it begins

    const penstock::options& level(int depth) const {
        return levels[std::min(levels.size(), static_cast<std::size_t>(depth)) - 1];
    }
    void look() {
        if (holds_permit && !holds_permit()) ++misses;
    }
};

/// The stay in the meter that a task interrupts when it waits.
class presence {
public:
    explicit presence(tree& in) : in_(in) { enter(); }
    void enter() {
        here_.emplace(in_.computing);
        in_.look();
    }
    void leave() { here_.reset(); }

private:
    tree& in_;
    std::optional<meter::visit> here_;
};

/// The kinds of task; a digit of `kinds`, which has one for each level, the lowest for the uppermost.
enum task_kind : unsigned { computed, blocking, suspended, suspended_but_waits_on_its_thread };
constexpr unsigned kinds_of_task = 4;

completion_stream<long, int> children(tree& in, int depth, unsigned kinds);

/// The tasks. All give the number of leaves below them.
long wait_on_this_thread(tree& in, int depth, unsigned kinds) {
    presence here(in);
    if (in.visit) in.visit(depth);
    if (depth == 0) return 1;
    auto stream = children(in, depth, kinds);
    long sum = 0;
    for (;;) {
        here.leave();
        auto done = in.bounded ? stream.next_for(1h) : stream.next();
        here.enter();
        if (!done) return sum;
        sum += done->get();
    }
}
task<long> wait_suspended(tree& in, int depth, unsigned kinds) {
    const tracked frame;
    presence here(in);
    if (in.visit) in.visit(depth);
    if (depth == 0) {
        co_await penstock::yield();
        co_return 1;
    }
    auto stream = children(in, depth, kinds);
    long sum = 0;
    for (;;) {
        here.leave();
        auto done = co_await stream.async_next();
        here.enter();
        if (!done) co_return sum;
        sum += done->get();
    }
}
task<long> wait_on_this_thread_after_a_pause(tree& in, int depth, unsigned kinds) {
    const tracked frame;
    co_await penstock::yield();
    co_return wait_on_this_thread(in, depth, kinds);
}

/// The stream of the tasks below; `kinds` begins with theirs.
completion_stream<long, int> children(tree& in, int depth, unsigned kinds) {
    auto inputs = std::views::iota(0, in.fan_out);
    const unsigned below = kinds / kinds_of_task;
    const auto& settings = in.level(depth);
    switch (kinds % kinds_of_task) {
    case computed:
        return penstock::as_completed(
            in.ex, std::move(inputs), [&in, depth, below](int) { return wait_on_this_thread(in, depth - 1, below); },
            settings);
    case blocking:
        return penstock::as_completed(
            in.ex, std::move(inputs),
            [&in, depth, below](int) {
                return penstock::blocking([&in, depth, below] { return wait_on_this_thread(in, depth - 1, below); });
            },
            settings);
    case suspended:
        return penstock::as_completed(
            in.ex, std::move(inputs), [&in, depth, below](int) { return wait_suspended(in, depth - 1, below); },
            settings);
    default:
        return penstock::as_completed(
            in.ex, std::move(inputs),
            [&in, depth, below](int) { return wait_on_this_thread_after_a_pause(in, depth - 1, below); }, settings);
    }
}

constexpr unsigned power(unsigned base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }
/// All levels of one kind.
constexpr unsigned all_of(unsigned one, int depth) {
    return depth == 0 ? 0 : one + kinds_of_task * all_of(one, depth - 1);
}

class Lending : public support::contract_test {
protected:
    penstock::options under(gate& shared, std::size_t limit, std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.shared = &shared;
        return settings;
    }
    /// Takes the results of the uppermost stream on this thread, which is no task. How many leaves there are.
    static long leaves(tree& in, int depth, unsigned kinds) {
        auto stream = children(in, depth, kinds);
        long sum = 0;
        while (auto done = stream.next()) sum += done->get();
        return sum;
    }
    static void expect_free(const gate& shared) {
        EXPECT_EQ(shared.in_flight(), 0U) << "a permit was lost";
        EXPECT_EQ(shared.weight_in_flight(), 0U);
    }
};
INSTANTIATE_TEST_SUITE_P(, Lending, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class LendingWithAndWithoutHelp : public Lending {};
INSTANTIATE_TEST_SUITE_P(, LendingWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

// --- to any depth

TEST_P(LendingWithAndWithoutHelp, LetsStreamsNestToEachDepthUnderAGateOfOne) {
    for (unsigned kind = 0; kind < kinds_of_task; ++kind) {
        for (int depth = 1; depth <= 4; ++depth) {
            for (const std::size_t limit : {1U, 4U}) {
                SCOPED_TRACE("kind " + std::to_string(kind) + ", depth " + std::to_string(depth) + ", limit " +
                             std::to_string(limit));
                gate shared(1);
                tree all{.ex = ex, .levels = {under(shared, limit)}};
                EXPECT_EQ(leaves(all, depth, all_of(kind, depth)), power(3, depth));
                EXPECT_EQ(all.computing.most(), 1);
                expect_free(shared);
            }
        }
    }
}

TEST_P(Lending, LetsStreamsNestWhateverTheMixtureOfKinds) {
    constexpr int depth = 3;
    for (unsigned kinds = 0; kinds < power(kinds_of_task, depth); ++kinds) {
        SCOPED_TRACE("kinds " + std::to_string(kinds));
        gate shared(1);
        tree all{.ex = ex, .levels = {under(shared, 2)}, .fan_out = 2};
        EXPECT_EQ(leaves(all, depth, kinds), 8);
        EXPECT_EQ(all.computing.most(), 1);
        expect_free(shared);
    }
}

TEST_P(Lending, LetsStreamsNestWhoseTasksWaitInNextFor) {
    for (const unsigned kind : {computed, blocking, suspended_but_waits_on_its_thread}) {
        gate shared(1);
        tree all{.ex = ex, .levels = {under(shared, 3)}, .bounded = true};
        EXPECT_EQ(leaves(all, 3, all_of(kind, 3)), 27);
        EXPECT_EQ(all.computing.most(), 1);
        expect_free(shared);
    }
}

TEST_P(Lending, LetsStreamsNestThatHaveNoBuffer) {
    for (unsigned kind = 0; kind < kinds_of_task; ++kind) {
        gate shared(1);
        tree all{.ex = ex, .levels = {under(shared, 1, 0)}};
        EXPECT_EQ(leaves(all, 3, all_of(kind, 3)), 27);
        EXPECT_EQ(all.computing.most(), 1);
    }
}

TEST_P(Lending, LetsStreamsNestWithFewThreadsThatMayBlock) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
        gate shared(1);
        tree all{.ex = few, .levels = {under(shared, 3)}};
        EXPECT_EQ(leaves(all, 2, kinds), 9);
        EXPECT_EQ(all.computing.most(), 1);
        expect_free(shared);
    }
}

TEST_P(Lending, WorksInCollectAndForEach) {
    gate shared(1);
    meter computing;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) {
            long sum = 0;
            const auto compute = [&](int i) {
                const meter::visit here(computing);
                return i;
            };
            for (const int i : penstock::collect(ex, std::views::iota(0, 10), compute, under(shared, 3))) sum += i;
            penstock::for_each(ex, std::views::iota(0, 10), compute, under(shared, 3));
            for (auto& done : penstock::as_completed(ex, std::views::iota(0, 10), compute, under(shared, 3))) {
                sum += done.get();
            }
            return sum;
        },
        under(shared, 3));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 90);
    EXPECT_EQ(stream.stats().taken, 10U);
    EXPECT_EQ(computing.most(), 1);
}

TEST_P(Lending, WorksInAFunctionBeforeItReturnsAJob) {
    gate shared(1);
    meter computing;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 5), [&](int) { const meter::visit here(computing); }, under(shared, 2));
            const std::size_t count = drain(inner);
            return penstock::blocking([&computing, count] {
                const meter::visit here(computing);
                return count;
            });
        },
        under(shared, 3));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 5U);
    EXPECT_EQ(stream.stats().taken, 10U);
    EXPECT_EQ(computing.most(), 1);
}

TEST_P(Lending, WorksAcrossExecutors) {
    penstock::executor other(workers());
    for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
        SCOPED_TRACE("kinds " + std::to_string(kinds));
        gate shared(1);
        tree below{.ex = other, .levels = {under(shared, 2)}};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 5), [&](int) { return leaves(below, 2, kinds); }, under(shared, 3));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), 9);
        EXPECT_EQ(stream.stats().taken, 5U);
        EXPECT_EQ(below.computing.most(), 1);
    }
}

TEST_P(Lending, WorksForAStreamThatTheTaskHasNotStarted) {
    for (const bool waits_on_its_thread : {true, false}) {
        gate shared(1);
        meter computing;
        const auto compute = [&](int i) {
            const meter::visit here(computing);
            return i;
        };
        auto settings = under(shared, 2);
        settings.deadline = std::chrono::steady_clock::now() + support::patience;  // rather than for ever
        auto given = penstock::as_completed(ex, std::views::iota(0, 100), compute, settings);
        const auto take = [&](int) -> task<std::size_t> {
            if (waits_on_its_thread) co_return drain(given);
            std::size_t count = 0;
            while (auto done = co_await given.async_next()) ++count;
            co_return count;
        };
        auto stream = penstock::as_completed(ex, std::views::iota(0, 1), take, under(shared, 1));
        auto done = stream.next();
        ASSERT_TRUE(done && done->has_value()) << "it waited in vain";
        EXPECT_EQ(done->get(), 100U);
        EXPECT_EQ(computing.most(), 1);
    }
}

TEST_P(Lending, WorksForTwoStreamsThatATaskWaitsForInTurn) {
    const auto compute = [](int i) -> task<int> {
        const tracked frame;
        co_await penstock::sleep_for(20us);
        co_return i;
    };
    gate shared(1);
    auto on_its_thread = penstock::as_completed(
        ex, std::views::iota(0, 5),
        [&](int) {
            auto one = penstock::as_completed(ex, std::views::iota(0, 20), compute, under(shared, 3));
            auto two = penstock::as_completed(ex, std::views::iota(0, 20), compute, under(shared, 3));
            std::size_t count = 0;
            for (int i = 0; i < 20; ++i) {
                if (one.next()) ++count;
                if (two.next()) ++count;
            }
            return count;
        },
        under(shared, 2));
    while (auto done = on_its_thread.next()) EXPECT_EQ(done->get(), 40U);
    const auto take_both = [&](int) -> task<std::size_t> {
        const tracked frame;
        auto one = penstock::as_completed(ex, std::views::iota(0, 20), compute, under(shared, 3));
        auto two = penstock::as_completed(ex, std::views::iota(0, 20), compute, under(shared, 3));
        std::size_t count = 0;
        for (int i = 0; i < 20; ++i) {
            if (co_await one.async_next()) ++count;
            if (co_await two.async_next()) ++count;
        }
        co_return count;
    };
    auto without_thread = penstock::as_completed(ex, std::views::iota(0, 5), take_both, under(shared, 2));
    while (auto done = without_thread.next()) EXPECT_EQ(done->get(), 40U);
}

// --- what is never more than the gate says

TEST_P(Lending, LetsNoMoreTasksComputeThanTheGateSaysHoweverManyWait) {
    for (const std::size_t cap : {2U, 3U}) {
        for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
            SCOPED_TRACE("kinds " + std::to_string(kinds) + ", cap " + std::to_string(cap));
            gate shared(cap);
            tree all{.ex = ex, .levels = {under(shared, 4)}, .fan_out = 6};
            EXPECT_EQ(leaves(all, 2, kinds), 36);
            EXPECT_LE(all.computing.most(), static_cast<long>(cap));
            expect_free(shared);
        }
    }
}

TEST_P(Lending, LetsNoMoreTasksComputeWhereSeveralTreesShareTheGate) {
    gate shared(2);
    tree all{.ex = ex, .levels = {under(shared, 3)}};
    const auto run = [&](unsigned kind) { EXPECT_EQ(leaves(all, 3, all_of(kind, 3)), 27); };
    {
        const std::jthread second([&] { run(blocking); }), third([&] { run(suspended); });
        run(computed);
    }
    EXPECT_LE(all.computing.most(), 2);
    expect_free(shared);
}

TEST_P(Lending, HasATaskGoOnWithItsPermitAfterEachResult) {
    for (const std::size_t cap : {1U, 2U}) {
        for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
            SCOPED_TRACE("kinds " + std::to_string(kinds) + ", cap " + std::to_string(cap));
            gate shared(cap);
            tree all{.ex = ex, .levels = {under(shared, 3)}};
            // Whoever computes finds itself among those who hold a permit, and never more of them than there may be.
            all.holds_permit = [&] { return shared.in_flight() >= 1 && shared.in_flight() <= cap; };
            EXPECT_EQ(leaves(all, 2, kinds), 9);
            EXPECT_EQ(all.misses, 0);
            EXPECT_LE(all.computing.most(), static_cast<long>(cap));
            expect_free(shared);
        }
    }
}

/// Only the first is soon over.
auto block_but_first(int i) {
    return penstock::blocking([i](const std::stop_token& token) {
        if (i > 0) {
            EXPECT_TRUE(eventually([&] { return token.stop_requested(); })) << "it holds what its parent waits for";
        }
        return i;
    });
}
task<int> sleep_but_first(int i) {
    const tracked frame;
    if (i > 0) {
        co_await penstock::sleep_for(support::patience);
        ADD_FAILURE() << "it holds what its parent waits for";
    }
    co_return i;
}

TEST_P(Lending, EndsWhenThereIsAResultThoughMoreOfTheStreamCouldStart) {
    const auto check = [&](auto child) {
        gate shared(1);
        const auto take_on_its_thread = [&, child](int) {
            auto inner = penstock::as_completed(ex, std::views::iota(0), child, under(shared, 2));
            return inner.next()->get();
        };
        auto on_its_thread = penstock::as_completed(ex, std::views::iota(0, 3), take_on_its_thread, under(shared, 2));
        while (auto done = on_its_thread.next()) EXPECT_EQ(done->get(), 0);
        const auto take_without_thread = [&, child](int) -> task<int> {
            const tracked frame;
            auto inner = penstock::as_completed(ex, std::views::iota(0), child, under(shared, 2));
            auto done = co_await inner.async_next();
            co_return done->get();
        };
        auto without_thread = penstock::as_completed(ex, std::views::iota(0, 3), take_without_thread, under(shared, 2));
        while (auto done = without_thread.next()) EXPECT_EQ(done->get(), 0);
        EXPECT_EQ(on_its_thread.stats().taken + without_thread.stats().taken, 6U);
    };
    check(block_but_first);
    check(sleep_but_first);
}

TEST_P(Lending, KeepsTheLimitOfEachStream) {
    gate shared(3);
    meter inner_tasks;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) {
            meter here;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 20),
                [&](int) {
                    return penstock::blocking([&] {
                        const meter::visit own(here), all(inner_tasks);
                        std::this_thread::sleep_for(20us);
                    });
                },
                under(shared, 2));
            EXPECT_EQ(drain(inner), 20U);
            EXPECT_LE(here.most(), 2);
        },
        under(shared, 3));
    EXPECT_EQ(drain(stream), 10U);
    EXPECT_LE(inner_tasks.most(), 3);
}

TEST_P(Lending, ToAStreamUnderAGateThatHasTheSameParent) {
    // One of two, or both, or neither of the streams is under a child of the gate; what they have in common is lent.
    for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
        for (int outer = 0; outer < 3; ++outer) {
            for (int inner = 0; inner < 3; ++inner) {
                SCOPED_TRACE("kinds " + std::to_string(kinds) + ", outer " + std::to_string(outer) + ", inner " +
                             std::to_string(inner));
                gate parent(1);
                gate one({.in_flight = 2}, parent), two({.in_flight = 1}, parent);
                const std::vector<gate*> gates{&parent, &one, &two};
                tree all{.ex = ex,
                         .levels = {under(*gates[static_cast<std::size_t>(inner)], 3),
                                    under(*gates[static_cast<std::size_t>(outer)], 3)},
                         .fan_out = 2};
                EXPECT_EQ(leaves(all, 2, kinds), 4);
                EXPECT_EQ(all.computing.most(), 1);
                for (const gate* each : gates) expect_free(*each);
            }
        }
    }
}

TEST_P(Lending, HoldsToTheRateForNestedStreamsToo) {
    const auto since = std::chrono::steady_clock::now();
    gate shared({.in_flight = 1, .starts = penstock::rate{.count = 1, .per = 5ms}});
    tree all{.ex = ex, .levels = {under(shared, 3)}};
    EXPECT_EQ(leaves(all, 2, all_of(computed, 2)), 9);
    EXPECT_EQ(leaves(all, 1, all_of(suspended, 1)), 3);
    EXPECT_EQ(all.computing.most(), 1);
    EXPECT_GE(std::chrono::steady_clock::now() - since, 14 * 5ms) << "15 tasks have started";
}

// --- S17

TEST_P(LendingWithAndWithoutHelp, RunsNoForeignTaskWhereATaskWaits) {
    // A task that holds a lock and waits must not find a sibling on top of itself, which would want the lock too; and
    // one that has a permit and waits for the lock must not be what the first waits for.
    static thread_local int marker = -1;
    const auto run = [&](std::size_t cap, auto as_job) {
        gate shared(cap);
        std::mutex mutex;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 20),
            [&](int i) {
                return as_job([&, i] {
                    const std::lock_guard guard(mutex);
                    marker = i;
                    auto inner = penstock::as_completed(
                        ex, std::views::iota(0, 10), [](int n) { return n; }, under(shared, 3));
                    int sum = 0;
                    while (auto done = inner.next()) {
                        EXPECT_EQ(marker, i) << "another task of the outer stream ran here meanwhile";
                        sum += done->get();
                    }
                    EXPECT_EQ(marker, i);
                    return sum;
                });
            },
            under(shared, 8));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), 45);
        EXPECT_EQ(stream.stats().taken, 20U);
    };
    for (const std::size_t cap : {1U, 2U, 5U}) {
        run(cap, [](auto body) { return body(); });
        run(cap, [](auto body) { return penstock::blocking(body); });
    }
}

// --- however it ends

TEST_P(Lending, CarriesErrorsUpAndLosesNothing) {
    for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
        gate shared(1);
        {
            tree all{.ex = ex, .levels = {under(shared, 3)}};
            std::atomic<int> begun{0};
            all.visit = [&](int depth) {
                if (depth == 0 && begun++ == 4) throw test_error(4);
            };
            auto stream = children(all, 2, kinds);
            std::size_t errors = 0;
            while (auto done = stream.next()) {
                if (done->has_value()) continue;
                ++errors;
                EXPECT_THROW(done->get(), test_error);
            }
            EXPECT_EQ(errors, 1U) << "of the parent of the one that threw";
        }
        expect_free(shared);
    }
}

int leave_after(completion_stream<int, int>& stream, int results) {
    for (int i = 0; i < results; ++i) EXPECT_TRUE(stream.next());
    return results;
}
task<int> doze(int i) {
    const tracked frame;
    co_await penstock::sleep_for(20us);
    co_return i;
}

TEST_P(Lending, IsUndoneWhenANestedStreamIsLeftHalfWay) {
    for (const std::size_t cap : {1U, 2U}) {
        for (const int results : {0, 1, 3}) {
            SCOPED_TRACE("cap " + std::to_string(cap) + ", " + std::to_string(results) + " results");
            gate shared(cap);
            // The uppermost stream has one task at a time, so what is in flight after a nested stream is that task.
            const auto leave_computed = [&](int) {
                auto inner = penstock::as_completed(
                    ex, std::views::iota(0), [](int i) { return i; }, under(shared, 3));
                return leave_after(inner, results);
            };
            const auto leave_blocking = [&](int) {
                auto inner = penstock::as_completed(
                    ex, std::views::iota(0), [](int i) { return penstock::blocking([i] { return i; }); },
                    under(shared, 3));
                return leave_after(inner, results);
            };
            const auto leave_dozing = [&](int) {
                auto inner = penstock::as_completed(ex, std::views::iota(0), doze, under(shared, 3));
                return leave_after(inner, results);
            };
            const auto leave_async = [&](int) -> task<int> {
                const tracked frame;
                auto inner = penstock::as_completed(ex, std::views::iota(0), doze, under(shared, 3));
                for (int i = 0; i < results; ++i) EXPECT_TRUE(co_await inner.async_next());
                if (results == 3) co_await inner.async_join();
                co_return results;
            };
            const auto check = [&](auto leave) {
                const auto on_its_thread = [&, leave](int i) {
                    const int taken = leave(i);
                    EXPECT_EQ(shared.in_flight(), 1U);
                    return taken;
                };
                auto stream = penstock::as_completed(ex, std::views::iota(0, 6), on_its_thread, under(shared, 1));
                while (auto done = stream.next()) EXPECT_EQ(done->get(), results);
                EXPECT_EQ(stream.stats().taken, 6U);
            };
            check(leave_computed);
            check(leave_blocking);
            check(leave_dozing);
            const auto suspended_parent = [&](int i) -> task<int> {
                const tracked frame;
                const int taken = co_await leave_async(i);
                EXPECT_EQ(shared.in_flight(), 1U);
                co_return taken;
            };
            {
                auto stream = penstock::as_completed(ex, std::views::iota(0, 6), suspended_parent, under(shared, 1));
                while (auto done = stream.next()) EXPECT_EQ(done->get(), results);
                EXPECT_EQ(stream.stats().taken, 6U);
            }
            expect_free(shared);
        }
    }
}

TEST_P(Lending, IsUndoneWhenTheOuterStreamIsLeftHalfWay) {
    for (unsigned kinds = 0; kinds < power(kinds_of_task, 2); ++kinds) {
        gate shared(1);
        {
            tree all{.ex = ex, .levels = {under(shared, 3)}, .fan_out = 20};
            auto stream = children(all, 2, kinds);
            EXPECT_TRUE(stream.next());
        }
        expect_free(shared);
    }
}

TEST_P(Lending, IsUndoneByAStopFromOutside) {
    const auto endless = std::views::iota(0);
    for (const bool waits_on_its_thread : {true, false}) {
        gate shared(1);
        std::stop_source source;
        std::atomic<int> ran{0};
        auto settings = under(shared, 3);
        settings.stop = source.get_token();
        const auto count = [&](int) { ++ran; };
        const auto consume = [&](int) -> task<> {
            const tracked frame;
            auto inner = penstock::as_completed(ex, endless, count, settings);
            if (waits_on_its_thread) {
                drain(inner);
            } else {
                while (auto done = co_await inner.async_next()) done->get();
            }
        };
        {
            auto stream = penstock::as_completed(ex, endless, consume, settings);
            const std::jthread stopper([&] {
                EXPECT_TRUE(eventually([&] { return ran > 30; }));
                source.request_stop();
            });
            EXPECT_THROW(drain(stream), penstock::stopped);
        }
        expect_free(shared);
    }
}

// --- weights

using weighing_job = penstock::weighted_job<std::function<int()>>;

/// The jobs of a nested stream, of these weights. The i-th gives i.
std::vector<weighing_job> jobs_that_weigh(const std::vector<std::size_t>& weights) {
    std::vector<weighing_job> jobs;
    for (const std::size_t weight : weights) {
        const int i = static_cast<int>(jobs.size());
        jobs.push_back(penstock::weighted(weight, std::function<int()>([i] { return i; })));
    }
    return jobs;
}
/// What became of them: a sentence for each that was refused.
struct verdict {
    int ran = 0;
    std::vector<std::string> refused{};

    void add(penstock::completed<int>& done) {
        try {
            done.get();
            ++ran;
        } catch (const std::invalid_argument& why) {
            refused.emplace_back(why.what());
        }
    }
};
verdict judge_on_this_thread(penstock::executor& ex, const std::vector<std::size_t>& weights,
                             const penstock::options& settings) {
    verdict all;
    auto stream = penstock::as_completed(ex, jobs_that_weigh(weights), settings);
    while (auto done = stream.next()) all.add(*done);
    return all;
}
task<verdict> judge_suspended(penstock::executor& ex, const std::vector<std::size_t>& weights,
                              const penstock::options& settings) {
    const tracked frame;
    verdict all;
    auto stream = penstock::as_completed(ex, jobs_that_weigh(weights), settings);
    while (auto done = co_await stream.async_next()) all.add(*done);
    co_return all;
}

class LendingWeight : public Lending {
protected:
    /// Runs 4 parents of 600 under a gate for 1000, each with a nested stream of these weights. The rest, 400, is free,
    /// and too little for what does not fit into the loan.
    template <class Test>
    void nest(const std::vector<std::size_t>& weights, Test test) {
        gate shared({.weight = 1000});
        const auto settings = under(shared, 3);
        const auto run = [&](auto make) {
            auto stream = penstock::as_completed(ex, std::views::iota(0, 4) | std::views::transform([&](int) {
                                                         return penstock::weighted(600, make());
                                                     }),
                                                 settings);
            while (auto done = stream.next()) test(done->get());
            EXPECT_EQ(stream.stats().taken, 4U);
        };
        run([&] { return [&] { return judge_on_this_thread(ex, weights, settings); }; });
        run([&] { return penstock::blocking([&] { return judge_on_this_thread(ex, weights, settings); }); });
        run([&] { return judge_suspended(ex, weights, settings); });
        run([&] {
            using any = penstock::any_job<verdict>;
            return any([&] { return judge_on_this_thread(ex, weights, settings); });
        });
        expect_free(shared);
    }
};
INSTANTIATE_TEST_SUITE_P(, LendingWeight, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(LendingWeight, IsEnoughForTasksAsHeavyAsTheirParent) {
    nest({600, 600, 1, 300, 0, 600}, [](const verdict& all) {
        EXPECT_EQ(all.ran, 6);
        EXPECT_TRUE(all.refused.empty());
    });
}

TEST_P(LendingWeight, IsNotEnoughForATaskThatIsHeavierAndThatFailsAlone) {
    nest({600, 700, 1, 600}, [](const verdict& all) {
        EXPECT_EQ(all.ran, 3);
        ASSERT_EQ(all.refused.size(), 1U);
        EXPECT_NE(all.refused[0].find("700"), std::string::npos) << all.refused[0];
        EXPECT_NE(all.refused[0].find("600"), std::string::npos) << all.refused[0];
    });
}

TEST_P(LendingWeight, OfNothingIsNotEnoughForTheTasksOfAFunctionWhichAreNotRun) {
    gate shared({.in_flight = 1, .weight = 10});
    std::atomic<int> runs{0};
    const auto parent = [&] {
        int refused = 0;
        for (auto& done : penstock::as_completed(
                 ex, std::views::iota(0, 3),
                 [&](int i) {
                     ++runs;
                     return support::tracked_value<int>(i);
                 },
                 under(shared, 3))) {
            EXPECT_THROW(done.get(), std::invalid_argument);
            ++refused;
        }
        return refused;
    };
    auto stream = penstock::as_completed(ex, std::vector{penstock::weighted(0, parent)}, under(shared, 1));
    auto done = stream.next();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->get(), 3);
    EXPECT_EQ(runs, 0);
}

TEST_P(LendingWeight, OfATaskThatIsLentToItselfIsWhatItsOwnChildrenGet) {
    gate shared({.weight = 1000});
    const auto settings = under(shared, 3);
    const std::vector<std::size_t> innermost{500, 550, 1};
    const auto middle_jobs = [&] {
        std::vector<penstock::weighted_job<std::function<verdict()>>> jobs;
        for (int i = 0; i < 3; ++i) {
            jobs.push_back(penstock::weighted(
                500, std::function<verdict()>([&] { return judge_on_this_thread(ex, innermost, settings); })));
        }
        return jobs;
    };
    const auto run_middle = [&] {
        auto inner = penstock::as_completed(ex, middle_jobs(), settings);
        int taken = 0;
        while (auto done = inner.next()) {
            ++taken;
            const verdict found = done->get();
            EXPECT_EQ(found.ran, 2);
            EXPECT_EQ(found.refused.size(), 1U);
            for (const auto& said : found.refused) {
                EXPECT_NE(said.find("550"), std::string::npos) << said;
                EXPECT_NE(said.find("500"), std::string::npos) << said;
            }
        }
        return taken;
    };
    auto outer_jobs =
        std::views::iota(0, 3) | std::views::transform([&](int) { return penstock::weighted(600, run_middle); });
    auto stream = penstock::as_completed(ex, outer_jobs, settings);
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 3);
    EXPECT_EQ(stream.stats().taken, 3U);
}

}  // namespace
