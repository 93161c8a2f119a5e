// SPDX-License-Identifier: MIT
/// C8: a heavy task blocks no light one. C12: a slow producer delays nothing but its own next item. C14: a finished
/// result waits for no running task.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::latch;
using support::tracked_value;

class Fairness : public support::contract_test {
protected:
    /// So many tiny tasks let batches grow to their full size.
    static constexpr std::size_t warm = 3000;

    bool on_consumer() const { return std::this_thread::get_id() == consumer_; }

private:
    const std::thread::id consumer_ = std::this_thread::get_id();
};

class FairnessWithARunnerBesideThePuller : public Fairness {};
INSTANTIATE_TEST_SUITE_P(, FairnessWithARunnerBesideThePuller,
                         ::testing::ValuesIn(support::settings_with([](const auto& s) {
                             return s.workers > 1 || s.help;
                         })),
                         support::name_of_setting);

class FairnessOnSeveralWorkers : public Fairness {};
INSTANTIATE_TEST_SUITE_P(, FairnessOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::several_workers)),
                         support::name_of_setting);

class FairnessOutOfOrderOnSeveralWorkers : public Fairness {};
INSTANTIATE_TEST_SUITE_P(, FairnessOutOfOrderOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::in_completion_order,
                                                                    support::several_workers)),
                         support::name_of_setting);

TEST_P(FairnessOutOfOrderOnSeveralWorkers, OneTaskMayWaitForAllOthersToBeDelivered) {
    constexpr std::size_t tasks = 2000;
    std::mt19937 random(20240731);
    std::vector<std::size_t> places{0, 1, 63, 64, 65, 1000, tasks - 1};
    for (int i = 0; i < 10; ++i) places.push_back(random() % tasks);
    for (const std::size_t heavy : places) {
        latch others;
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}, tasks),
            [&](std::size_t i) {
                // A helping consumer that meets the heavy task can not deliver anything meanwhile: it is not asked to.
                if (i != heavy || on_consumer()) return;
                EXPECT_TRUE(others.wait()) << "a light task waits behind task " << heavy;
            },
            with(64));
        std::size_t delivered = 0;
        while (auto done = stream.next()) {
            if (done->index() != heavy) ++delivered;
            if (delivered == tasks - 1) others.open();
        }
        ASSERT_EQ(delivered, tasks - 1);
    }
}

TEST_P(FairnessOutOfOrderOnSeveralWorkers, AllWorkersButOneMayBeHeldByHeavyTasks) {
    constexpr std::size_t tasks = 3000;
    std::mt19937 random(7);
    std::set<std::size_t> heavy;
    while (heavy.size() < workers() - 1) heavy.insert(random() % tasks);
    latch others;
    auto stream = penstock::as_completed(
        ex, std::views::iota(std::size_t{0}, tasks),
        [&](std::size_t i) {
            if (!heavy.contains(i) || on_consumer()) return;
            EXPECT_TRUE(others.wait());
        },
        with(64));
    std::size_t delivered = 0;
    while (auto done = stream.next()) {
        if (!heavy.contains(done->index())) ++delivered;
        if (delivered == tasks - heavy.size()) others.open();
    }
    EXPECT_EQ(delivered, tasks - heavy.size());
}

TEST_P(FairnessOnSeveralWorkers, OneTaskMayWaitForAllThatWereAdmittedWithItWhileTheConsumerIsAway) {
    for (const std::size_t before : {std::size_t{0}, std::size_t{1}, warm}) {
        std::atomic<int> light{0};
        std::atomic<bool> stuck{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}),
            [&](std::size_t i) {
                if (i > before && i < before + 64) ++light;
                if (i == before && !on_consumer()) stuck = !support::eventually([&] { return light == 63; });
            },
            with(64));
        for (std::size_t taken = 0; taken < before; ++taken) ASSERT_TRUE(stream.next());
        EXPECT_TRUE(support::eventually([&] { return light == 63; }));
        EXPECT_FALSE(stuck) << "an admitted task waited behind a running one, after " << before;
    }
}

TEST_P(FairnessWithARunnerBesideThePuller, APulledTaskStartsWithoutWaitingForAnotherPull) {
    for (const std::size_t before : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{70}, warm}) {
        std::atomic<std::size_t> ran{0};
        std::size_t calls = 0;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<std::function<void()>> {
                if (calls++ == before) {
                    EXPECT_TRUE(support::eventually([&] { return ran == before; }))
                        << "item " << before << " is slow, and only " << ran << " tasks before it have run";
                    return std::nullopt;
                }
                return [&] { ++ran; };
            },
            with(64));
        EXPECT_EQ(support::drain(stream), before);
    }
}

TEST_P(FairnessOnSeveralWorkers, APulledTaskStartsWhileTheNextPullBlocksAndTheConsumerIsAway) {
    for (const std::size_t before : {1U, 2U, 5U, 60U}) {
        latch hold;
        std::atomic<std::size_t> ran{0};
        std::size_t calls = 0;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<std::function<void()>> {
                if (calls++ == before) {
                    EXPECT_TRUE(hold.wait());
                    return std::nullopt;
                }
                return [&] { ++ran; };
            },
            with(64));
        EXPECT_TRUE(support::eventually([&] { return ran == before; })) << ran << " of " << before;
        hold.open();
        EXPECT_EQ(support::drain(stream), before);
    }
}

/// Each task waits for the delivery of the one before it.
class Prompt : public Fairness {
protected:
    template <class Take>
    void each_waits_for_the_one_before(std::size_t tiny, Take take) {
        constexpr std::size_t chained = 200;
        std::vector<std::atomic<bool>> delivered(tiny + chained);
        std::atomic<bool> stuck{false};
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}, tiny + chained),
            [&](std::size_t i) {
                if (i <= tiny || on_consumer() || stuck) return;
                if (!support::eventually([&] { return delivered[i - 1].load() || stuck; })) {
                    stuck = true;
                    ADD_FAILURE() << "task " << i - 1 << " has finished and is not delivered";
                }
            },
            with(8));
        std::size_t count = 0;
        while (auto done = take(stream)) {
            delivered[done->index()] = true;
            ++count;
        }
        EXPECT_EQ(count, tiny + chained);
    }
};
INSTANTIATE_TEST_SUITE_P(, Prompt, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Prompt, AFinishedResultIsDeliveredWhileTheNextTaskRuns) {
    for (const std::size_t tiny : {std::size_t{0}, std::size_t{100}, warm}) {
        each_waits_for_the_one_before(tiny, [](auto& stream) { return stream.next(); });
    }
}

TEST_P(Prompt, AFinishedResultIsFoundByNextForWhileTheNextTaskRuns) {
    for (const std::size_t tiny : {std::size_t{0}, warm}) {
        each_waits_for_the_one_before(tiny, [](auto& stream) { return stream.next_for(support::patience); });
    }
}

TEST_P(Prompt, AFinishedResultIsFoundByTryNextWhileTheNextTaskRuns) {
    for (const std::size_t tiny : {std::size_t{0}, warm}) {
        each_waits_for_the_one_before(tiny, [](auto& stream) {
            auto found = stream.try_next();
            while (!found && !stream.done()) {
                std::this_thread::yield();
                found = stream.try_next();
            }
            return found;
        });
    }
}

TEST_P(Prompt, ASleepingConsumerIsWokenForEachResult) {
    // The consumer sleeps, for the tasks are long: each begins only when the consumer waits for it.
    for (int round = 0; round < 5; ++round) {
        std::atomic<int> asked{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 20),
            [&](int i) {
                EXPECT_TRUE(support::eventually([&] { return asked > i; }));
                support::spin_for(std::chrono::microseconds(300));
            },
            with(1));
        for (int i = 0; i < 20; ++i) {
            ++asked;
            ASSERT_TRUE(stream.next());
        }
        EXPECT_FALSE(stream.next());
    }
}

}  // namespace
