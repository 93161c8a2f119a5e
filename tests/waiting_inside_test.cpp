// SPDX-License-Identifier: MIT
/// C7: what a thread runs that waits on a stream inside a task: the tasks of that stream and of the streams that these
/// started, and no others.
#include <atomic>
#include <chrono>
#include <mutex>
#include <ranges>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::latch;
using support::rendezvous;

class WaitingInside : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, WaitingInside, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

class WaitingInsideOnTwoWorkers : public WaitingInside {};
INSTANTIATE_TEST_SUITE_P(, WaitingInsideOnTwoWorkers,
                         ::testing::ValuesIn(support::settings_with([](const auto& s) { return s.workers == 2; })),
                         support::name_of_setting);

TEST_P(WaitingInside, RunsNoForeignTaskWhereATaskWaits) {
    // S17: a task that holds a lock and waits must not find a sibling on top of itself, which would want the lock too.
    static thread_local int marker = -1;
    std::mutex mutex;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 30),
        [&](int i) {
            const std::lock_guard guard(mutex);
            marker = i;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 20), [](int n) { return n; }, with(3));
            int sum = 0;
            while (auto done = inner.next()) sum += done->get();
            EXPECT_EQ(marker, i) << "another task of the outer stream ran here meanwhile";
            return sum;
        },
        with(8));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 190);
}

TEST_P(WaitingInside, RunsNoTaskOfASiblingsStreamWhereATaskWaits) {
    // Nor a cousin: the tasks that another task's stream has started.
    static thread_local int waits_in = -1;
    std::atomic<int> intruders{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 60),
        [&](int i) {
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 6),
                [&, i](int) {
                    if (waits_in != -1 && waits_in != i) ++intruders;
                    support::spin_for(std::chrono::microseconds(50));
                },
                with(3));
            waits_in = i;
            support::drain(inner);
            waits_in = -1;
        },
        with(8));
    EXPECT_EQ(support::drain(stream), 60U);
    EXPECT_EQ(intruders, 0);
}

TEST_P(WaitingInsideOnTwoWorkers, ATaskThatWaitsRunsTasksOfTheStreamsThatItsStreamStarted) {
    const auto count = ex.submit([&] {
                             latch started;
                             auto inner = penstock::as_completed(
                                 ex, std::views::iota(0, 1),
                                 [&](int) {
                                     started.open();
                                     // Both workers are needed: the one that waits below is the second.
                                     rendezvous both(2);
                                     auto innermost = penstock::as_completed(
                                         ex, std::views::iota(0, 2), [&](int) { EXPECT_TRUE(both.arrive()); }, with(2));
                                     return support::drain(innermost);
                                 },
                                 with(1));
                             // So that the other worker has it.
                             EXPECT_TRUE(started.wait());
                             return inner.next()->get();
                         }).get();
    EXPECT_EQ(count, 2U);
}

TEST_P(WaitingInside, RunsNoPostedTaskWhereATaskWaits) {
    static thread_local bool waits = false;
    std::atomic<int> intruders{0};
    std::atomic<int> posted{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int) {
            ex.post([&] {
                if (waits) ++intruders;
                ++posted;
            });
            waits = true;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0, 20), [](int n) { return n; }, with(3));
            support::drain(inner);
            waits = false;
        },
        with(4));
    EXPECT_EQ(support::drain(stream), 20U);
    EXPECT_TRUE(support::eventually([&] { return posted == 20; }));
    EXPECT_EQ(intruders, 0);
}

}  // namespace
