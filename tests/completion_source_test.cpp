// SPDX-License-Identifier: MIT
/// Waits that are ended from outside.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using penstock::completion_source;
using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_unique;
using support::tracked_value;

class CompletionSource : public support::contract_test {
protected:
    /// Runs it as several tasks at once.
    template <class Make>
    void run(int count, Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, count),
            [&](int i) -> task<> {
                const tracked local;
                co_await make(i);
                EXPECT_LT(penstock::this_worker(), workers());
            },
            with(10));
        for (auto& done : stream) EXPECT_NO_THROW(done.get());
    }
};
INSTANTIATE_TEST_SUITE_P(, CompletionSource, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(CompletionSource, MayBeSetBeforeItIsWaitedFor) {
    run(50, [](int i) -> task<> {
        completion_source<tracked_value<int>> source;
        EXPECT_TRUE(source.set_value(i));
        EXPECT_EQ((co_await source.wait()).value, i);
        completion_source<> nothing;
        EXPECT_TRUE(nothing.set_value());
        co_await nothing.wait();
        completion_source<int> failing;
        EXPECT_TRUE(failing.set_exception(std::make_exception_ptr(test_error(i))));
        auto wait = failing.wait();
        bool thrown = false;
        try {
            co_await wait;
        } catch (const test_error& error) {
            thrown = error.code == i;
        }
        EXPECT_TRUE(thrown);
    });
}

TEST_P(CompletionSource, IsSetOnceOnly) {
    run(50, [](int i) -> task<> {
        completion_source<tracked_unique<int>> source;
        tracked_unique first(i);
        tracked_unique second(i + 1);
        EXPECT_TRUE(source.set_value(std::move(first)));
        EXPECT_FALSE(source.set_value(std::move(second)));
        EXPECT_EQ(second.value, i + 1) << "what was not taken is left alone";
        EXPECT_FALSE(source.set_exception(std::make_exception_ptr(test_error(1))));
        EXPECT_EQ((co_await source.wait()).value, i);
        EXPECT_FALSE(source.set_value(std::move(second)));
    });
}

TEST_P(CompletionSource, MayBeSetByManyThreadsAndOneOfThemSucceeds) {
    for (int round = 0; round < 30; ++round) {
        run(4, [](int i) -> task<> {
            completion_source<int> source;
            std::atomic<int> successes{0};
            std::atomic<int> winner{-1};
            std::vector<std::thread> setters;
            for (int by = 0; by < 3; ++by) {
                setters.emplace_back([&, by] {
                    const bool won = (by + i) % 2 == 0 ? source.set_value(by)
                                                       : source.set_exception(std::make_exception_ptr(test_error(by)));
                    if (!won) return;
                    ++successes;
                    winner = by;
                });
            }
            int got = -2;
            try {
                got = co_await source.wait();
            } catch (const test_error& error) {
                got = static_cast<int>(error.code);
            }
            for (auto& setter : setters) setter.join();
            EXPECT_EQ(successes, 1);
            EXPECT_EQ(winner, got);
        });
    }
}

TEST_P(CompletionSource, MayBeSetWhileItIsBeingWaitedFor) {
    struct at_once {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) const {
            source->set_value(5);
            waiting.resume();
        }
        int await_resume() const noexcept { return 6; }
        completion_source<int>* source;
    };
    run(100, [](int) -> task<> {
        completion_source<int> source;
        EXPECT_EQ(co_await at_once{&source}, 6);
        EXPECT_EQ(co_await source.wait(), 5);
    });
}

TEST_P(CompletionSource, MayBeDestroyedByTheTaskThatGoesOn) {
    for (int round = 0; round < 20; ++round) {
        std::vector<std::thread> setters(10);
        run(10, [&](int i) -> task<> {
            auto source = std::make_unique<completion_source<int>>();
            setters[static_cast<std::size_t>(i)] = std::thread([raw = source.get(), i] { raw->set_value(i); });
            const int got = co_await source->wait();
            source.reset();
            EXPECT_EQ(got, i);
        });
        for (auto& setter : setters) setter.join();
    }
}

TEST_P(CompletionSource, ThatIsDroppedTellsTheWaiter) {
    run(50, [](int i) -> task<> {
        std::optional<completion_source<int>> source(std::in_place);
        auto wait = source->wait();
        std::thread dropper;
        if (i % 2 == 0) {
            source.reset();
        } else {
            dropper = std::thread(
                [moved = std::move(*source)]() mutable { const completion_source<int> dropped = std::move(moved); });
        }
        bool broken = false;
        try {
            co_await wait;
        } catch (const penstock::broken_task&) {
            broken = true;
        }
        EXPECT_TRUE(broken);
        if (dropper.joinable()) dropper.join();
    });
}

TEST_P(CompletionSource, ThatIsAssignedToIsDropped) {
    run(20, [](int) -> task<> {
        completion_source<int> source;
        auto wait = source.wait();
        source = completion_source<int>();
        bool broken = false;
        try {
            co_await wait;
        } catch (const penstock::broken_task&) {
            broken = true;
        }
        EXPECT_TRUE(broken);
        source.set_value(3);
        EXPECT_EQ(co_await source.wait(), 3);
    });
}

TEST_P(CompletionSource, GivesTheExceptionOfAValueThatCouldNotBeMade) {
    struct picky : tracked {
        explicit picky(int i) {
            if (i < 0) throw test_error(i);
        }
    };
    run(20, [](int) -> task<> {
        completion_source<picky> source;
        EXPECT_TRUE(source.set_value(-3));
        EXPECT_FALSE(source.set_value(3));
        bool thrown = false;
        try {
            co_await source.wait();
        } catch (const test_error& error) {
            thrown = error.code == -3;
        }
        EXPECT_TRUE(thrown);
    });
}

TEST_P(CompletionSource, IsWaitedForInVainByATaskThatIsStopped) {
    for (int round = 0; round < 20; ++round) {
        std::vector<completion_source<int>> sources(8);
        std::atomic<int> begun{0};  // what is pulled and has not would be dropped
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 8),
            [&](int i) -> task<int> {
                const tracked local;
                ++begun;
                co_return co_await sources[static_cast<std::size_t>(i)].wait();
            },
            with(8));
        ASSERT_TRUE(support::eventually([&] { return begun == 8; }));
        sources[3].set_value(33);
        if (round % 2 == 0) {
            stream.request_stop();
        } else {
            std::thread([&] { stream.request_stop(); }).join();
        }
        std::size_t values = 0;
        std::size_t stops = 0;
        try {
            while (auto done = stream.next()) {
                if (done->has_value()) {
                    EXPECT_EQ(done->get(), 33);
                    ++values;
                } else {
                    EXPECT_THROW(done->get(), penstock::stopped);
                    ++stops;
                }
            }
        } catch (const penstock::stopped&) {  // if the end of the source had not been seen yet
        }
        EXPECT_EQ(values + stops, 8U);
        EXPECT_LE(values, 1U);
        EXPECT_EQ(stream.stats().stopped, stops);
        EXPECT_TRUE(sources[5].set_value(5)) << "a stop ends the wait, and not the source";
    }
}

TEST_P(CompletionSource, GivesOneOutcomeWhenAStopRacesWithTheValue) {
    const int rounds = support::sanitized ? 300 : 2000;
    const auto enough = std::chrono::steady_clock::now() + support::patience / 2;  // each turn may take a tick
    for (int round = 0; round < rounds && std::chrono::steady_clock::now() < enough; ++round) {
        completion_source<tracked_value<int>> source;
        std::atomic<int> ready{0};
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1),
            [&](int) -> task<tracked_value<int>> {
                const tracked local;
                ++ready;
                co_return co_await source.wait();
            },
            with(1));
        std::thread setter([&] {
            ++ready;
            while (ready < 2) std::this_thread::yield();
            EXPECT_TRUE(source.set_value(round));
        });
        while (ready < 2) std::this_thread::yield();
        for (int pause = round % 64; pause > 0; --pause) static_cast<void>(ready.load());
        stream.request_stop();
        std::size_t outcomes = 0;
        try {
            while (auto done = stream.next()) {
                ++outcomes;
                if (done->has_value()) {
                    EXPECT_EQ(done->get().value, round);
                } else {
                    EXPECT_THROW(done->get(), penstock::stopped);
                }
            }
        } catch (const penstock::stopped&) {
        }
        setter.join();
        EXPECT_EQ(outcomes, 1U);
    }
}

TEST_P(CompletionSource, IsAwaitedOnce) {
    completion_source<int> source;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [&](int) -> task<int> {
            const tracked local;
            try {
                auto wait = source.wait();
                co_return co_await wait;
            } catch (const std::logic_error&) {
                // Whoever comes second is refused, and only that lets the first go on.
                EXPECT_TRUE(source.set_value(3));
                throw;
            }
        },
        with(2));
    int values = 0;
    int refused = 0;
    for (auto& done : stream) {
        if (done.has_value()) {
            EXPECT_EQ(done.get(), 3);
            ++values;
        } else {
            EXPECT_THROW(done.get(), std::logic_error);
            ++refused;
        }
    }
    EXPECT_EQ(values, 1);
    EXPECT_EQ(refused, 1);
}

TEST_P(CompletionSource, RefusesWhatIsNoException) {
    completion_source<int> source;
    EXPECT_THROW(source.set_exception(nullptr), std::invalid_argument);
    EXPECT_TRUE(source.set_value(1)) << "it was not set";
}

TEST_P(CompletionSource, ThatWasMovedFromCanNeitherBeSetNorAwaited) {
    completion_source<int> source;
    const completion_source<int> moved = std::move(source);
    EXPECT_FALSE(source.set_value(1));  // NOLINT(bugprone-use-after-move)
    EXPECT_THROW(source.wait(), std::logic_error);
}

}  // namespace
