// SPDX-License-Identifier: MIT
/// Streams that share an executor.
#include <chrono>
#include <cstddef>
#include <future>
#include <ranges>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

namespace {

using namespace std::chrono_literals;

class Sharing : public testing::TestWithParam<std::size_t> {};

/// Waits for a condition, for as long as a machine under load may need.
template <class Condition>
bool comes_true(Condition condition) {
    const auto patience = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > patience) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

auto endless_jobs() {
    return std::views::iota(std::size_t{0}) | std::views::transform([](std::size_t i) { return [i] { return i; }; });
}

// Consumers that help with tiny tasks take the pumps' place; when they go away, the pumps of all streams must find back.
TEST_P(Sharing, StreamsWhoseConsumersHelpedFillTheirWindowsWhenTheConsumersAreAway) {
    constexpr std::size_t limit = 8;
    constexpr std::size_t window = 2 * limit;
    penstock::executor ex(GetParam());
    auto first = penstock::as_completed(ex, endless_jobs(), limit);
    auto second = penstock::as_completed(ex, endless_jobs(), limit);
    for (int round = 0; round < 3; ++round) {
        const auto consume = [](auto& stream) {
            for (int i = 0; i < 20'000; ++i) stream.next();
        };
        std::thread other([&] { consume(second); });
        consume(first);
        other.join();
        for (auto* stream : {&first, &second}) {
            EXPECT_TRUE(comes_true([&] {
                const penstock::stream_stats now = stream->stats();
                return now.pulled == now.taken + window && now.ready == window;
            })) << "ready " << stream->stats().ready << " of " << window;
        }
    }
}

// A stream that always has work must not keep the workers from posted tasks.
TEST_P(Sharing, APostedTaskGetsAWorkerBesideABusyStream) {
    penstock::executor ex(GetParam());
    auto busy = penstock::as_completed(ex, endless_jobs(), 64);
    for (int round = 0; round < 100; ++round) {
        auto posted = ex.submit([] { return penstock::this_worker(); });
        while (posted.wait_for(0s) != std::future_status::ready) busy.next();
        EXPECT_LT(posted.get(), ex.workers());
    }
}

INSTANTIATE_TEST_SUITE_P(Workers, Sharing, testing::Values(1, 2, 8),
                         [](const auto& test) { return "workers" + std::to_string(test.param); });

}  // namespace
