// SPDX-License-Identifier: MIT
/// C7: a task may run streams of its own on the same executor, at any depth, with one worker.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::meter;
using support::test_error;
using support::tracked_value;

class Nesting : public support::contract_test {
protected:
    /// Runs a tree of streams; how many leaves it had.
    long leaves(int depth, int fan_out, std::size_t limit) {
        if (depth == 0) return 1;
        meter running;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, fan_out),
            [this, depth, fan_out, limit, &running](int) {
                const meter::visit here(running);
                return tracked_value(leaves(depth - 1, fan_out, limit));
            },
            with(limit));
        long sum = 0;
        while (auto done = stream.next()) sum += done->get().value;
        EXPECT_LE(running.most(), static_cast<long>(limit)) << "the cap of each stream";
        return sum;
    }
};
INSTANTIATE_TEST_SUITE_P(, Nesting, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Nesting, WorksAtEachDepth) {
    for (int depth = 1; depth <= 8; ++depth) EXPECT_EQ(leaves(depth, 2, 2), 1L << depth);
}

TEST_P(Nesting, WorksWithALimitOfOneAndWithAWideOne) {
    EXPECT_EQ(leaves(4, 3, 1), 81);
    EXPECT_EQ(leaves(4, 4, 64), 256);
    EXPECT_EQ(leaves(2, 30, 8), 900);
}

TEST_P(Nesting, WorksWhenEveryWorkerWaits) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 4 * static_cast<int>(workers())), [this](int) { return leaves(2, 3, 4); },
        with(2 * workers()));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 9);
}

TEST_P(Nesting, WorksInSubmittedTasks) {
    std::vector<std::future<long>> results;
    for (std::size_t i = 0; i < 3 * workers(); ++i) {
        results.push_back(ex.submit([this] { return leaves(2, 4, 2); }));
    }
    for (auto& result : results) EXPECT_EQ(result.get(), 16);
}

TEST_P(Nesting, WorksInPostedTasksThatTheExecutorsDestructorWaitsFor) {
    std::atomic<long> sum{0};
    {
        penstock::executor own(workers());
        for (int i = 0; i < 5; ++i) {
            own.post([&] {
                auto stream = penstock::as_completed(
                    own, std::views::iota(0, 10), [](int n) { return n; }, with(2));
                while (auto done = stream.next()) sum += done->get();
            });
        }
    }
    EXPECT_EQ(sum, 5 * 45);
}

TEST_P(Nesting, WorksInTheProducer) {
    // S20: each item comes out of a stream on the same executor.
    int given = 0;
    auto source = [&]() -> std::optional<std::function<long()>> {
        if (given++ == 20) return std::nullopt;
        const long found = leaves(2, 3, 2);
        return [found] { return found; };
    };
    auto stream = penstock::as_completed(ex, source, with(4));
    std::size_t count = 0;
    while (auto done = stream.next()) {
        EXPECT_EQ(done->get(), 9);
        ++count;
    }
    EXPECT_EQ(count, 20U);
}

TEST_P(Nesting, AStreamMayBeTheSourceOfAnother) {
    auto squares = penstock::as_completed(
        ex, std::views::iota(0, 300), [](int i) { return i * i; }, with(4));
    auto halves = penstock::as_completed(
        ex,
        [&]() -> std::optional<int> {
            auto done = squares.next();
            if (!done) return std::nullopt;
            return done->get();
        },
        [](int square) { return square % 7; }, with(4));
    long sum = 0;
    while (auto done = halves.next()) sum += done->get();
    long expected = 0;
    for (int i = 0; i < 300; ++i) expected += (i * i) % 7;
    EXPECT_EQ(sum, expected);
}

TEST_P(Nesting, AStreamMayBeTakenOverByATask) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 500), [](int i) { return tracked_value(i); }, with(4));
    ASSERT_TRUE(stream.next());
    EXPECT_EQ(ex.submit([taken = std::move(stream)]() mutable { return support::drain(taken); }).get(), 499U);
}

TEST_P(Nesting, LetsNextForHelpInsideATask) {
    // With one worker nobody else could run it.
    const auto sum = ex.submit([&] {
                           auto inner = penstock::as_completed(
                               ex, std::views::iota(0, 20), [](int n) { return n; }, with(3));
                           int total = 0;
                           while (auto done = inner.next_for(support::patience)) total += done->get();
                           EXPECT_TRUE(inner.done());
                           return total;
                       }).get();
    EXPECT_EQ(sum, 190);
}

TEST_P(Nesting, WorksWithADeadlineInsideATask) {
    auto settings = with(3);
    settings.deadline = std::chrono::steady_clock::now() + support::patience;
    const auto count = ex.submit([&] {
                             auto inner = penstock::as_completed(
                                 ex, std::views::iota(0, 20), [](int n) { return n; }, settings);
                             return support::drain(inner);
                         }).get();
    EXPECT_EQ(count, 20U);
}

TEST_P(Nesting, WorksAcrossExecutors) {
    penstock::executor other(workers());
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int) {
            // There and back again: the innermost stream is on the executor whose worker waits.
            auto middle = penstock::as_completed(
                other, std::views::iota(0, 3), [&](int) { return leaves(1, 3, 2); }, with(2));
            long sum = 0;
            while (auto done = middle.next()) sum += done->get();
            return sum;
        },
        with(workers() + 1));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 9);
}

TEST_P(Nesting, CarriesErrorsUp) {
    auto settings = with(3);
    settings.on_error = penstock::on_error::stop;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [&](int i) {
            penstock::for_each(
                ex, std::views::iota(0, 10),
                [i](int n) {
                    if (i == 7 && n == 5) throw test_error(75);
                },
                settings);
        },
        with(3));
    std::size_t errors = 0;
    while (auto done = stream.next()) {
        if (done->has_value()) continue;
        ++errors;
        EXPECT_EQ(done->index(), 7U);
        EXPECT_THROW(done->get(), test_error);
    }
    EXPECT_EQ(errors, 1U);
}

TEST_P(Nesting, CanBeStoppedFromOutside) {
    std::stop_source source;
    auto settings = with(3);
    settings.stop = source.get_token();
    std::atomic<int> inner_tasks{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int, std::stop_token token) {
            auto inside = with(2);
            inside.stop = token;
            auto inner = penstock::as_completed(
                ex, std::views::iota(0), [&](int) { ++inner_tasks; }, inside);
            EXPECT_THROW(support::drain(inner), penstock::stopped);
        },
        settings);
    std::thread other([&] {
        EXPECT_TRUE(support::eventually([&] { return inner_tasks > 100; }));
        source.request_stop();
    });
    EXPECT_THROW(support::drain(stream), penstock::stopped);
    other.join();
}

}  // namespace
