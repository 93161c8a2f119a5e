// SPDX-License-Identifier: MIT
/// O7: an owner who passes for nearly nothing, and visitors who pay for both.
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "batch_lock.hpp"
#include "fences.hpp"

namespace {

using penstock::sync::batch_lock;

/// What a lock guards: without it additions would be lost, and the halves would differ.
struct guarded {
    batch_lock lock;
    std::size_t first = 0;
    std::size_t second = 0;
    bool torn = false;

    void pass() {
        torn = torn || first != second;
        ++first;
        asm volatile("" : : : "memory");
        ++second;
    }
};

class BatchLock : public testing::TestWithParam<std::size_t> {
protected:
    static constexpr std::size_t owners_turns = 100'000;
    static constexpr std::size_t visitors_turns = 3'000;

    /// The owner and so many visitors as the parameter says pass, the owner until all have gone; between his sections he does
    /// act(turn).
    template <class Act>
    void let_all_pass(Act act) {
        std::atomic<std::size_t> gone = 0;
        std::size_t turn = 0;
        {
            std::vector<std::jthread> visitors;
            for (std::size_t i = 0; i < GetParam(); ++i) {
                visitors.emplace_back([&] {
                    for (std::size_t visit = 0; visit < visitors_turns; ++visit) {
                        const batch_lock::visitor_section here(shared.lock);
                        shared.pass();
                    }
                    ++gone;
                });
            }
            for (; turn < owners_turns || gone < GetParam(); ++turn) {
                act(turn);
                const batch_lock::owner_section here(shared.lock);
                shared.pass();
            }
        }
        EXPECT_FALSE(shared.torn);
        EXPECT_EQ(shared.first, turn + GetParam() * visitors_turns);
    }
    guarded shared;
};

INSTANTIATE_TEST_SUITE_P(Visitors, BatchLock, testing::Values(0, 1, 2, 8));

TEST_P(BatchLock, KeepsOwnerAndVisitorsApart) {
    let_all_pass([](std::size_t) {});
}

TEST_P(BatchLock, KeepsABiasedOwnerAndVisitorsApart) {
    if (!penstock::sync::there_are_heavy_fences()) GTEST_SKIP() << "the kernel refuses membarrier(2)";
    shared.lock.set_biased(true);
    let_all_pass([](std::size_t) {});
}

TEST_P(BatchLock, KeepsThemApartWhileItsBiasChanges) {
    if (!penstock::sync::there_are_heavy_fences()) GTEST_SKIP() << "the kernel refuses membarrier(2)";
    let_all_pass([&](std::size_t turn) {
        if (turn % 64 == 0) shared.lock.set_biased(turn % 128 == 0);
    });
}

TEST(BiasedBatchLock, TellsItsOwnerOfAVisitorOrIsASection) {
    if (!penstock::sync::there_are_heavy_fences()) GTEST_SKIP() << "the kernel refuses membarrier(2)";
    batch_lock lock;
    lock.set_biased(true);
    ASSERT_TRUE(lock.try_enter_biased());
    lock.leave_biased();
    {
        const batch_lock::visitor_section visit(lock);
        EXPECT_FALSE(lock.try_enter_biased());
    }
    EXPECT_TRUE(lock.try_enter_biased());
    lock.leave_biased();
}

/// Who has made something looks for who sleeps; who is about to sleep says so, and looks once more.
TEST(BiasedBatchLock, LetsOneOfTwoSeeTheOther) {
    if (!penstock::sync::there_are_heavy_fences()) GTEST_SKIP() << "the kernel refuses membarrier(2)";
    batch_lock lock;
    lock.set_biased(true);
    constexpr std::size_t rounds = 2'000;
    std::atomic<std::size_t> made = 0;
    std::atomic<std::size_t> announced = 0;
    std::vector<char> owner_saw(rounds + 1);
    std::vector<char> visitor_saw(rounds + 1);
    std::jthread sleeper([&] {
        for (std::size_t round = 1; round <= rounds; ++round) {
            announced.store(round);
            { const batch_lock::visitor_section visit(lock); }
            visitor_saw[round] = made.load(std::memory_order_relaxed) >= round;
            while (made.load() < round) std::this_thread::yield();
        }
    });
    for (std::size_t round = 1; round <= rounds; ++round) {
        while (announced.load(std::memory_order_relaxed) < round - 1) std::this_thread::yield();
        made.store(round, std::memory_order_release);
        penstock::sync::light_fence();
        owner_saw[round] = announced.load(std::memory_order_relaxed) >= round;
        while (announced.load() < round) std::this_thread::yield();
    }
    sleeper.join();
    for (std::size_t round = 1; round <= rounds; ++round) ASSERT_TRUE(owner_saw[round] || visitor_saw[round]) << round;
}

}  // namespace
