// SPDX-License-Identifier: MIT
/// Jobs of all kinds in one stream.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::any_job;
using penstock::blocking;
using penstock::task;
using support::meter;
using support::test_error;
using support::tracked;
using support::tracked_unique;

static_assert(penstock::job<any_job<int>> && !penstock::cpu_job<any_job<int>>);
static_assert(std::is_same_v<decltype(penstock::as_completed(std::declval<penstock::executor&>(),
                                                             std::declval<std::vector<any_job<int>>>(), 1)),
                             penstock::completion_stream<int>>);

task<int> sleep_and_give(int i) {
    co_await penstock::sleep_for(std::chrono::microseconds(i % 3 * 200));
    co_return i;
}

/// Six ways to say the same; the kinds take turns.
any_job<int> job_giving(int i) {
    const tracked witness;
    switch (i % 6) {
    case 0:
        return [i, witness] { return i; };
    case 1:
        return blocking([i, witness] { return i; });
    case 2:
        return sleep_and_give(i);
    case 3:
        return [i, witness]() -> task<int> {
            co_await penstock::yield();
            co_return i;
        };
    case 4:
        return [i, witness](std::stop_token) { return static_cast<short>(i); };
    default:
        return [i, witness] { return blocking([i, witness](std::stop_token) { return i; }); };
    }
}

class AnyJob : public support::contract_test {};
INSTANTIATE_TEST_SUITE_P(, AnyJob, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(AnyJob, GivesTheResultsOfEveryKind) {
    std::vector<int> times(1200);
    for (auto& done :
         penstock::as_completed(ex, std::views::iota(0, 1200) | std::views::transform(job_giving), with(50))) {
        EXPECT_EQ(static_cast<std::size_t>(done.get()), done.index());
        ++times[done.index()];
    }
    EXPECT_EQ(times, std::vector<int>(1200, 1));
}

TEST_P(AnyJob, SharesTheLimitAmongTheKinds) {
    meter running;
    std::atomic<bool> open{false};
    const auto wait_blocking = [&] {
        const meter::visit here(running);
        while (!open) std::this_thread::sleep_for(1ms);
    };
    const auto wait_suspended = [&]() -> task<> {
        const meter::visit here(running);
        while (!open) co_await penstock::sleep_for(1ms);
    };
    int made = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<any_job<>> {
            if (made++ % 2 == 0) return blocking(wait_blocking);
            return wait_suspended;
        },
        with(10));
    EXPECT_TRUE(support::eventually([&] { return running.inside() == 10; }));
    EXPECT_EQ(stream.stats().pulled, 10U);
    open = true;
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(stream.next());
    EXPECT_EQ(running.most(), 10);
}

TEST_P(AnyJob, RunsWhatBlocksOffTheWorkersAndOnlyThat) {
    std::atomic<int> misplaced{0};
    const auto on_worker = [&] {
        // The consumer helps with no stream whose tasks may go elsewhere.
        if (penstock::this_worker() >= workers()) ++misplaced;
    };
    const auto off_worker = [&] {
        if (penstock::this_worker() != SIZE_MAX) ++misplaced;
    };
    int made = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<any_job<>> {
            if (made == 600) return std::nullopt;
            switch (made++ % 3) {
            case 0:
                return on_worker;
            case 1:
                return blocking(off_worker);
            default:
                return [&]() -> task<> {
                    on_worker();
                    co_await penstock::run_blocking(std::ref(off_worker));
                    on_worker();
                };
            }
        },
        with(9));
    EXPECT_EQ(support::drain(stream), 600U);
    EXPECT_EQ(misplaced, 0);
}

TEST_P(AnyJob, HandsOverWhatEachKindThrows) {
    std::vector<any_job<tracked_unique<int>>> jobs;
    jobs.emplace_back([]() -> tracked_unique<int> { throw test_error(0); });
    jobs.emplace_back(blocking([]() -> tracked_unique<int> { throw test_error(1); }));
    jobs.emplace_back([]() -> task<tracked_unique<int>> {
        co_await penstock::yield();
        throw test_error(2);
    });
    jobs.emplace_back([fails = true]() -> task<tracked_unique<int>> {
        if (fails) throw test_error(3);
        return []() -> task<tracked_unique<int>> { co_return tracked_unique(0); }();
    });
    jobs.emplace_back([] { return tracked_unique(4); });
    std::size_t count = 0;
    for (auto& done : penstock::as_completed(ex, std::move(jobs), with(2))) {
        ++count;
        if (done.index() == 4) {
            EXPECT_EQ(done.get().value, 4);
            continue;
        }
        try {
            static_cast<void>(done.get());
            ADD_FAILURE() << "nothing was thrown";
        } catch (const test_error& error) {
            EXPECT_EQ(static_cast<std::size_t>(error.code), done.index());
        }
    }
    EXPECT_EQ(count, 5U);
}

TEST_P(AnyJob, ConvertsOrIgnoresWhatTheJobGives) {
    std::vector<any_job<std::string>> texts;
    texts.emplace_back([] { return "a function"; });
    texts.emplace_back(blocking([] { return "a blocking job"; }));
    texts.emplace_back([]() -> task<std::string> { co_return "a coroutine"; });
    std::vector<std::string> found(3);
    for (auto& done : penstock::as_completed(ex, std::move(texts), with(3))) found[done.index()] = done.get();
    EXPECT_EQ(found, (std::vector<std::string>{"a function", "a blocking job", "a coroutine"}));

    std::vector<any_job<>> ignored;
    ignored.emplace_back([] { return 1; });
    ignored.emplace_back(blocking([] { return std::string("2"); }));
    ignored.emplace_back([]() -> task<> { co_return; });
    auto stream = penstock::as_completed(ex, std::move(ignored), with(3));
    EXPECT_EQ(support::drain(stream), 3U);
}

TEST_P(AnyJob, KeepsTheCapturesOfACoroutineUntilItHasEnded) {
    std::vector<any_job<int>> jobs;
    for (int i = 0; i < 100; ++i) {
        jobs.emplace_back([kept = std::make_unique<int>(i), witness = tracked()]() -> task<int> {
            co_await penstock::sleep_for(1ms);
            witness.check();
            co_return *kept;
        });
    }
    auto stream = penstock::as_completed(ex, std::move(jobs), with(20));
    for (auto& done : stream) EXPECT_EQ(static_cast<std::size_t>(done.get()), done.index());
    EXPECT_EQ(stream.stats().taken, 100U);
}

TEST_P(AnyJob, IsStoppedWhereverItIs) {
    for (int round = 0; round < 30; ++round) {
        auto stream = penstock::as_completed(ex, std::views::iota(0) | std::views::transform(job_giving), with(12));
        for (int i = 0; i < round * 3; ++i) ASSERT_TRUE(stream.next());
        stream.request_stop();
        std::size_t delivered = static_cast<std::size_t>(round) * 3;
        EXPECT_THROW(while (stream.next())++ delivered, penstock::stopped);
        EXPECT_EQ(stream.stats().taken, delivered);
        EXPECT_TRUE(support::eventually_all_accounted(stream));
    }
}

TEST_P(AnyJob, MayBeLeftAtAnyPoint) {
    for (int round = 0; round < 60; ++round) {
        auto stream = penstock::as_completed(ex, std::views::iota(0) | std::views::transform(job_giving), with(12));
        for (int i = 0; i < round; ++i) ASSERT_TRUE(stream.next());
    }
}

TEST_P(AnyJob, FailsFast) {
    auto settings = with(4);
    settings.on_error = penstock::on_error::stop;
    auto stream = penstock::as_completed(ex, std::views::iota(0) | std::views::transform([](int i) -> any_job<int> {
                                                 if (i == 100) return blocking([]() -> int { throw test_error(100); });
                                                 return job_giving(i);
                                             }),
                                         settings);
    EXPECT_THROW(support::drain(stream), test_error);
    EXPECT_FALSE(stream.next());
}

TEST_P(AnyJob, ThatWasMovedFromIsAnErrorOfItsOwn) {
    std::vector<any_job<int>> jobs;
    for (int i = 0; i < 4; ++i) jobs.emplace_back([i] { return i; });
    { const any_job<int> moved = std::move(jobs[1]); }
    auto stream = penstock::as_completed(ex, std::move(jobs), with(2));
    std::size_t values = 0;
    for (auto& done : stream) {
        if (done.index() == 1) {
            EXPECT_THROW(done.get(), std::logic_error);
        } else {
            ++values;
        }
    }
    EXPECT_EQ(values, 3U);
}

}  // namespace
