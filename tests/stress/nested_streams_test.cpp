// SPDX-License-Identifier: MIT
/// S16, S17, S19, S20: streams inside tasks, and inside producers, with as few threads as there can be.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#if !defined(PENSTOCK_REFERENCE)
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#endif

#include "stress/support.hpp"

namespace stress {
namespace {

class Nesting : public Scenario {};

/// How many leaves the tree has, each stream under the cap `limit`.
std::size_t leaves(penstock::executor& ex, unsigned depth, std::size_t fan_out, const penstock::options& settings) {
    watchdog::progress();
    if (depth == 0) return 1;
    crowd running;
    std::size_t sum = 0;
    const auto below = [&](std::size_t) {
        const crowd::member here(running);
        return leaves(ex, depth - 1, fan_out, settings);
    };
    for (auto& done : penstock::as_completed(ex, numbers(fan_out), below, settings)) sum += done.get();
    if (running.most() > settings.limit) violations::add("C1: a nested stream is above its limit");
    return sum;
}

std::size_t power(std::size_t base, unsigned exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

/// S16. From the main thread, which is no worker, and from inside a posted task, which is one.
TEST_F(Nesting, StreamsNestAtAnyDepthOnAnyNumberOfWorkers) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        penstock::executor ex(workers);
        for (const std::size_t limit : {1U, 2U, 64U}) {
            for (const bool help : {true, false}) {
                for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
                    const penstock::options settings{.limit = limit, .order = order, .help = help};
                    EXPECT_EQ(leaves(ex, 8, 2, settings), power(2, 8));
                    EXPECT_EQ(leaves(ex, 4, 4, settings), power(4, 4));
                    EXPECT_EQ(ex.submit([&] { return leaves(ex, 5, 3, settings); }).get(), power(3, 5));
                }
            }
        }
    }
}

/// Wide streams inside wide streams: what helps must not climb onto the same stack without end.
TEST_F(Nesting, AThousandTasksThatEachRunAStreamDoNotPileUpOnOneStack) {
    thread_local std::size_t here = 0;
    std::atomic<std::size_t> deepest{0};
    penstock::executor ex(2);
    const auto inner = [&](std::size_t i) {
        ++here;
        std::size_t most = deepest;
        while (here > most && !deepest.compare_exchange_weak(most, here)) {
        }
        --here;
        return i;
    };
    const auto outer = [&](std::size_t) {
        watchdog::progress();
        ++here;
        std::size_t sum = 0;
        for (auto& done : penstock::as_completed(ex, numbers(5), inner, {.limit = 3})) sum += done.get();
        --here;
        return sum;
    };
    std::size_t sum = 0;
    for (auto& done : penstock::as_completed(ex, numbers(scaled(2'000)), outer, {.limit = 1000})) sum += done.get();
    EXPECT_EQ(sum, scaled(2'000) * 10);
    EXPECT_LE(deepest, 2U) << "C7: only the stream that is waited for is helped";
}

/// S17. A thread that waits inside a task runs no foreign task: it would find the lock held by itself.
TEST_F(Nesting, ATaskMayHoldALockWhileItWaitsForAStream) {
    for (const std::size_t workers : {1U, 2U, 3U}) {
        penstock::executor ex(workers);
        std::mutex mutex;
        thread_local std::size_t marker = 0;
        const auto sibling = [&](std::size_t index) {
            watchdog::progress();
            const std::lock_guard guard(mutex);
            const std::size_t mine = index + 1;
            marker = mine;
            std::size_t sum = 0;
            for (auto& done : penstock::as_completed(ex, numbers(20), [](std::size_t i) { return i; }, {.limit = 4}))
                sum += done.get();
            if (marker != mine) violations::add("a foreign task ran inside a wait");
            marker = 0;
            return sum;
        };
        std::size_t sum = 0;
        const std::size_t n = scaled(500);
        for (auto& done : penstock::as_completed(ex, numbers(n), sibling, {.limit = 8, .help = false}))
            sum += done.get();
        EXPECT_EQ(sum, n * 190);
    }
}

/// S20. A producer may work with the same executor.
TEST_F(Nesting, AProducerMayRunAStreamOfItsOwn) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        for (const bool help : {true, false}) {
            penstock::executor ex(workers);
            std::size_t next = 0;
            const auto source = [&]() -> std::optional<std::size_t> {
                watchdog::progress();
                if (next == 200) return std::nullopt;
                std::size_t sum = 0;
                for (auto& done : penstock::as_completed(ex, numbers(4), [](std::size_t i) { return i; }, {.limit = 2}))
                    sum += done.get();
#if !defined(PENSTOCK_REFERENCE)
                std::atomic<std::size_t> parallel{0};
                tbb::parallel_for(std::size_t(0), std::size_t(8), [&](std::size_t i) { parallel += i; });
                sum += parallel - 28;
#endif
                return sum + next++;
            };
            std::size_t sum = 0;
            for (auto& done :
                 penstock::as_completed(ex, source, [](std::size_t i) { return i; }, {.limit = 3, .help = help}))
                sum += done.get();
            EXPECT_EQ(sum, 200U * 6 + 199 * 200 / 2);
        }
    }
}

#if !defined(PENSTOCK_REFERENCE)
/// S19. The host allows oneTBB one thread: ours are ours.
TEST_F(Nesting, AHostThatAllowsOneTbbOneThreadStarvesNobody) {
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    penstock::executor ex(3);
    std::atomic<std::size_t> met{0};
    const auto meet = [&](std::size_t) {
        ++met;
        wait_until([&] { return met >= 3; });  // all three workers at once
        tbb::parallel_for(0, 8, [](int) {});
        return leaves(ex, 2, 2, {.limit = 2});
    };
    std::size_t sum = 0;
    for (auto& done : penstock::as_completed(ex, numbers(3), meet, {.limit = 3, .help = false})) sum += done.get();
    EXPECT_EQ(sum, 12U);
}
#endif

/// Two executors whose tasks wait for each other's streams. Each wait is inside a task, so it helps, across the border
/// too.
TEST_F(Nesting, StreamsNestAcrossExecutors) {
    penstock::executor one(1);
    penstock::executor other(1);
    const auto inner = [](std::size_t i) { return i; };
    const auto middle = [&](std::size_t) {
        std::size_t sum = 0;
        for (auto& done : penstock::as_completed(one, numbers(4), inner, 2)) sum += done.get();
        return sum;
    };
    const auto outer = [&](std::size_t) {
        watchdog::progress();
        std::size_t sum = 0;
        for (auto& done : penstock::as_completed(other, numbers(3), middle, 2)) sum += done.get();
        return sum;
    };
    std::size_t sum = 0;
    for (auto& done : penstock::as_completed(one, numbers(scaled(300)), outer, {.limit = 2, .help = false}))
        sum += done.get();
    EXPECT_EQ(sum, scaled(300) * 18);
}

/// A nested stream that is left, stopped or that fails leaves the outer one whole.
TEST_F(Nesting, WhateverEndsANestedStreamLeavesTheOuterOneAlone) {
    penstock::executor ex(2);
    const auto task = [&](std::size_t index) -> std::size_t {
        watchdog::progress();
        const auto inner = [](std::size_t i) { return i == 5 ? throw std::runtime_error("inner") : i; };
        auto stream = penstock::as_completed(
            ex, endless(), inner,
            {.limit = 3, .on_error = index % 2 ? penstock::on_error::stop : penstock::on_error::yield});
        switch (index % 4) {
        case 0:
            return stream.next()->index() >= 6 ? 1 : 0;
        case 1:
            while (stream.next()) {
            }
            return 0;
        case 2: {
            stream.request_stop();
            while (stream.next()) {
            }
            return 0;
        }
        default:
            throw std::logic_error("outer");
        }
    };
    std::array<std::size_t, 3> seen{};
    for (auto& done : penstock::as_completed(ex, numbers(scaled(4'000) / 4 * 4), task, 4)) {
        try {
            done.get();
            EXPECT_EQ(done.index() % 4, 0U);
            ++seen[0];
        } catch (const std::runtime_error&) {
            EXPECT_EQ(done.index() % 4, 1U);
            ++seen[1];
        } catch (const penstock::stopped&) {
            EXPECT_EQ(done.index() % 4, 2U);
            ++seen[2];
        } catch (const std::logic_error&) {
            EXPECT_EQ(done.index() % 4, 3U);
        }
    }
    EXPECT_EQ(seen, (std::array<std::size_t, 3>{scaled(4'000) / 4, scaled(4'000) / 4, scaled(4'000) / 4}));
}

}  // namespace
}  // namespace stress
