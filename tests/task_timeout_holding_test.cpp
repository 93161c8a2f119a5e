// SPDX-License-Identifier: MIT
/// C4: options::task_timeout. What runs too long holds its slot, its permit and its weight until it has really ended.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <thread>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/task_timeout_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::task;
using support::blocks;
using support::eventually;
using support::expect_end;
using support::functions;
using support::indices;
using support::is_timed_out;
using support::let_it_go_wrong;
using support::soon;
using support::stubborn;
using support::timed_out;
using support::tracked;
using support::value;
using support::weighted_kinds;

class TaskTimeout : public support::task_timeout_test {};
INSTANTIATE_TEST_SUITE_P(, TaskTimeout, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(TaskTimeout, LeavesTheSlotToTheTaskUntilItHasEnded) {
    in_every_kind([&](const auto& kind) {
        with_one_overdue(kind, 3, timing_out(1ms, 1), [&](auto& stream, stubborn& first) {
            EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 1; }));
            let_it_go_wrong(500us);
            EXPECT_EQ(stream.stats().overdue, 1U);
            EXPECT_EQ(stream.stats().running, 0U) << "running + overdue <= limit";
            EXPECT_FALSE(stream.try_next());
            EXPECT_EQ(first.others, 0U);
            first.released = true;
            for (std::size_t i = 1; i < 3; ++i) {
                auto done = soon(stream);
                ASSERT_TRUE(done);
                EXPECT_EQ(done->index(), i);
                timed_out(*done);
            }
            expect_end(stream);
            EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 0; }));
        });
    });
}

TEST_P(TaskTimeout, LeavesThePermitOfAGateToTheTaskUntilItHasEnded) {
    in_every_kind([&](const auto& kind) {
        penstock::gate shared(1);
        auto settings = timing_out(1ms, 2);
        settings.shared = &shared;
        with_one_overdue(kind, 1, settings, [&](auto&, stubborn& first) {
            auto untimed = with(2);
            untimed.shared = &shared;
            auto other = penstock::as_completed(
                ex, indices(1), [&](std::size_t) { EXPECT_TRUE(first.released); }, untimed);
            EXPECT_FALSE(other.next_for(1ms));
            EXPECT_EQ(shared.in_flight(), 1U);
            first.released = true;
            EXPECT_TRUE(soon(other));
            EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; }));
        });
    });
}

TEST_P(TaskTimeout, LeavesItsWeightToTheTaskUntilItHasEnded) {
    for (const bool at_a_gate : {false, true}) {
        in_each(weighted_kinds, [&](const auto& kind) {
            penstock::gate shared({.in_flight = penstock::unlimited, .weight = 10, .starts = {}});
            auto settings = timing_out(1ms, 2);
            settings.shared = at_a_gate ? &shared : nullptr;
            settings.max_weight = at_a_gate ? penstock::unlimited : 10;
            with_one_overdue(kind, 2, settings, [&](auto& stream, stubborn& first) {
                let_it_go_wrong(500us);
                EXPECT_EQ(first.others, 0U);
                EXPECT_EQ(shared.weight_in_flight(), at_a_gate ? 7U : 0U);
                first.released = true;
                EXPECT_TRUE(soon(stream));
                EXPECT_TRUE(eventually([&] { return first.others == 1 && shared.weight_in_flight() == 0; }));
            });
        });
    }
}

TEST_P(TaskTimeout, KeepsTheCountsRightAtEveryMoment) {
    std::atomic<bool> over{false};
    const auto what = [](std::size_t i, const std::stop_token&) {
        std::this_thread::sleep_for(std::chrono::microseconds(i % 8 * 60));
        return value(i);
    };
    auto stream = functions<blocks>(ex, 200, what, timing_out(200us, 8));
    std::jthread sampler([&] {
        while (!over) {
            const auto now = stream.stats();
            EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
            EXPECT_LE(now.running + now.overdue, 8U);
            std::this_thread::yield();
        }
    });
    take_all(stream, 200);
    EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 0; }));
    over = true;
}

/// Waits so, twice: who has been told is told again at once.
template <class Wait>
task<> hear_twice(std::atomic<int>& told, Wait wait) {
    const tracked frame;
    for (int i = 0; i < 2; ++i) {
        try {
            co_await wait();
        } catch (const penstock::stopped&) {
            ++told;
        }
    }
    co_await penstock::sleep_for(1h);
}

TEST_P(TaskTimeout, EndsWhateverACoroutineWaitsForAndSoFreesItsSlot) {
    const auto check = [&](auto wait) {
        std::atomic<int> told{0};
        auto stream = penstock::as_completed(
            ex, indices(3), [&, wait](std::size_t) { return hear_twice(told, wait); }, timing_out(2ms, 1));
        for (std::size_t i = 0; i < 3; ++i) {
            const auto done = soon(stream);
            ASSERT_TRUE(done);
            EXPECT_TRUE(is_timed_out(done->error()));
        }
        EXPECT_TRUE(eventually([&] { return told == 6 && stream.stats().overdue == 0; }));
        expect_end(stream);
    };
    check([]() -> task<> { co_await penstock::sleep_for(1h); });
    check([]() -> task<> { co_await penstock::sleep_until(clock_type::time_point::max()); });
    check([]() -> task<> {
        penstock::completion_source<> never;
        co_await never.wait();
    });
    check([this]() -> task<> {
        const auto sleeper = [](std::size_t) -> task<> { co_await penstock::sleep_for(1h); };
        auto inner = penstock::as_completed(ex, indices(1), sleeper, with(1));
        co_await inner.async_next();
    });
}

TEST_P(TaskTimeout, EndsTwoThousandSleeps) {
    std::atomic<std::size_t> told{0};
    const auto sleeper = [&](std::size_t i) -> task<value> {
        const tracked frame;
        try {
            co_await penstock::sleep_for(1h);
        } catch (const penstock::stopped&) {
            ++told;
        }
        co_return value(i);
    };
    auto stream = penstock::as_completed(ex, indices(2000), sleeper, timing_out(20ms, 1000));
    EXPECT_EQ(take_all(stream, 2000), 2000U);
    EXPECT_TRUE(eventually([&] { return told == 2000; }));
}

}  // namespace
