// SPDX-License-Identifier: MIT
/// The defaults, and the options that have no file of their own: help.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <thread>
#include <type_traits>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

static_assert(penstock::unlimited == SIZE_MAX && penstock::auto_buffer == SIZE_MAX - 1);
static_assert(std::is_nothrow_move_constructible_v<penstock::options>);
static_assert(std::is_aggregate_v<penstock::options> && std::is_aggregate_v<penstock::stream_stats>);

TEST(OptionsDefaults, AreWhatTheContractSays) {
    const penstock::options settings;
    EXPECT_EQ(settings.limit, 0U);
    EXPECT_EQ(settings.buffer, penstock::auto_buffer);
    EXPECT_EQ(settings.order, penstock::order::completion);
    EXPECT_EQ(settings.on_error, penstock::on_error::yield);
    EXPECT_FALSE(settings.stop.stop_possible());
    EXPECT_FALSE(settings.deadline);
    EXPECT_TRUE(settings.help);
    EXPECT_FALSE(settings.measure);
    const penstock::stream_stats stats;
    EXPECT_EQ(stats.pulled + stats.running + stats.ready + stats.taken + stats.failed + stats.stopped + stats.dropped +
                  stats.overdue,
              0U);
    EXPECT_EQ(stats.bound, penstock::bound_by::none);
}

class Options : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, Options, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Options, WithoutHelpTheConsumerRunsNeitherTasksNorTheProducer) {
    auto settings = with(8);
    settings.help = false;
    const auto consumer = std::this_thread::get_id();
    auto jobs = std::views::iota(0, 5000) | std::views::transform([&](int i) {
                    EXPECT_NE(std::this_thread::get_id(), consumer);
                    return [&, i] {
                        EXPECT_NE(std::this_thread::get_id(), consumer);
                        return i;
                    };
                });
    auto stream = penstock::as_completed(ex, jobs, settings);
    EXPECT_EQ(support::drain(stream), 5000U);
}

TEST_P(Options, AHelpingConsumerIsNoWorker) {
    const auto consumer = std::this_thread::get_id();
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 5000),
        [&](int) {
            if (std::this_thread::get_id() == consumer) {
                EXPECT_EQ(penstock::this_worker(), SIZE_MAX);
            } else {
                EXPECT_LT(penstock::this_worker(), workers());
            }
        },
        with(8));
    EXPECT_EQ(support::drain(stream), 5000U);
    EXPECT_EQ(penstock::this_worker(), SIZE_MAX);
}

TEST_P(Options, AHelpingConsumerRunsNoLongTask) {
    // It has seen that they are long: from then on it sleeps.
    const auto consumer = std::this_thread::get_id();
    std::atomic<int> by_consumer{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 100),
        [&](int) {
            if (std::this_thread::get_id() == consumer) ++by_consumer;
            support::spin_for(std::chrono::milliseconds(1));
        },
        with(4));
    EXPECT_EQ(support::drain(stream), 100U);
    // It may take one that waits for a worker which is inside the producer (C12); one that helped would run a share.
    EXPECT_LE(by_consumer, 8);
}

TEST_P(Options, AreReadOnce) {
    auto stream = [&] {
        auto settings = with(4);
        auto made = penstock::as_completed(
            ex, std::views::iota(0, 1000), [](int i) { return i; }, settings);
        settings.limit = 0;
        settings.order = penstock::order::completion;
        return made;
    }();
    std::size_t expected = 0;
    while (auto done = stream.next()) {
        if (in_order()) {
            EXPECT_EQ(done->index(), expected);
        }
        ++expected;
    }
    EXPECT_EQ(expected, 1000U);
}

}  // namespace
