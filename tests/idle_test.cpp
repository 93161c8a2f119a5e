// SPDX-License-Identifier: MIT
/// Whoever has nothing to do sleeps (S12).
#include <atomic>
#include <chrono>
#include <ctime>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using support::latch;

class Idle : public support::contract_test {
protected:
    /// Whether there comes a time in which this process uses next to no processor; when, is up to who else wants one.
    static bool comes_to_rest() {
        return support::eventually([] {
            const auto before = cpu_time();
            std::this_thread::sleep_for(300ms);
            return cpu_time() - before < 30ms;
        });
    }

private:
    static std::chrono::nanoseconds cpu_time() {
        timespec now{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
    }
};
INSTANTIATE_TEST_SUITE_P(, Idle, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(Idle, AnExecutorUsesNoProcessor) {
    ex.submit([] {}).get();
    EXPECT_TRUE(comes_to_rest());
}

TEST_P(Idle, AConsumerThatWaitsForALongTaskUsesNoProcessor) {
    for (const auto order : {penstock::order::completion, penstock::order::submission}) {
        latch hold;
        std::atomic<int> held{0};
        std::jthread consumer([&] {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 3000),
                [&](int i) {
                    if (i >= 2990) {
                        ++held;
                        EXPECT_TRUE(hold.wait());
                    }
                },
                penstock::options{.limit = 2, .order = order});
            support::drain(stream);
        });
        EXPECT_TRUE(support::eventually([&] { return held > 0; }));
        EXPECT_TRUE(comes_to_rest());
        hold.open();
    }
}

TEST_P(Idle, AConsumerThatWaitsForBlockingJobsUsesNoProcessor) {
    for (const auto order : {penstock::order::completion, penstock::order::submission}) {
        latch hold;
        std::atomic<int> held{0};
        std::jthread consumer([&] {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 300),
                [&](int i) {
                    return penstock::blocking([&, i] {
                        if (i >= 280) {
                            ++held;
                            EXPECT_TRUE(hold.wait());
                        }
                    });
                },
                penstock::options{.limit = 8, .order = order});
            support::drain(stream);
        });
        EXPECT_TRUE(support::eventually([&] { return held > 0; }));
        EXPECT_TRUE(comes_to_rest());
        hold.open();
    }
}

TEST_P(Idle, AStreamThatWaitsForItsConsumerUsesNoProcessor) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, 16);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(stream.next());
    ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == 32; }));
    EXPECT_TRUE(comes_to_rest());
}

}  // namespace
