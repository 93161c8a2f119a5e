// SPDX-License-Identifier: MIT
/// C6: a stream may be left at any point, in any way; when its destructor has returned, none of its user code runs.
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::latch;
using support::test_error;
using support::tracked_value;

class Leaving : public support::contract_test {
protected:
    /// Code that a stream may call only while it lives.
    struct guarded {
        std::atomic<bool> gone{false};
        std::atomic<int> inside{0};
        std::atomic<int> violations{0};

        struct visit {
            explicit visit(guarded& g) : in(g) {
                if (in.gone) ++in.violations;
                ++in.inside;
            }
            visit(const visit&) = delete;
            visit& operator=(const visit&) = delete;
            ~visit() {
                --in.inside;
                if (in.gone) ++in.violations;
            }
            guarded& in;
        };
        void leave() {
            gone = true;
            if (inside != 0) ++violations;
        }
    };

    auto endless(guarded& code, penstock::options settings) {
        auto jobs = std::views::iota(0) | std::views::transform([&code](int i) {
                        const guarded::visit pulling(code);
                        return [&code, i, held = tracked_value(i)] {
                            const guarded::visit running(code);
                            if (i % 50 == 0) std::this_thread::yield();
                            return tracked_value(i);
                        };
                    });
        return penstock::as_completed(ex, std::move(jobs), settings);
    }
};
INSTANTIATE_TEST_SUITE_P(, Leaving, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Leaving, ByBreakAtEachIndex) {
    for (const std::size_t limit : {1U, 4U, 64U}) {
        for (int last = 0; last < 40; ++last) {
            guarded code;
            int seen = 0;
            {
                auto stream = endless(code, with(limit));
                for (auto& done : stream) {
                    static_cast<void>(done.get());
                    if (seen++ == last) break;
                }
            }
            code.leave();
            EXPECT_EQ(seen, last + 1);
            EXPECT_EQ(code.violations, 0) << "user code ran after the destructor";
        }
    }
}

TEST_P(Leaving, ByAnExceptionInTheLoopBodyAtEachIndex) {
    for (int last = 0; last < 40; ++last) {
        guarded code;
        try {
            int seen = 0;
            auto stream = endless(code, with(8));
            for (auto& done : stream) {
                static_cast<void>(done.get());
                if (seen++ == last) throw test_error(last);
            }
            FAIL();
        } catch (const test_error& error) {
            EXPECT_EQ(error.code, last) << "the original exception";
        }
        code.leave();
        EXPECT_EQ(code.violations, 0);
    }
}

TEST_P(Leaving, TasksMayReferToTheScopeThatIsLeft) {
    // S29: the destructor joins before the unwinding goes on past what the tasks refer to.
    for (int round = 0; round < 40; ++round) {
        try {
            const auto local = std::make_unique<tracked_value<int>>(round);
            auto stream = penstock::as_completed(
                ex, std::views::iota(0),
                [&local](int) {
                    for (int i = 0; i < 50; ++i) local->check();
                    return local->value;
                },
                with(8));
            for (auto& done : stream) {
                if (done.get() == round && done.index() >= static_cast<std::size_t>(round)) throw test_error(round);
            }
        } catch (const test_error&) {
        }
        ASSERT_EQ(support::tracked::live(), 0);
    }
}

TEST_P(Leaving, WithoutIterating) {
    for (int round = 0; round < 50; ++round) {
        guarded code;
        { const auto stream = endless(code, with(static_cast<std::size_t>(round + 1))); }
        code.leave();
        ASSERT_EQ(code.violations, 0);
    }
}

TEST_P(Leaving, WaitsForRunningTasks) {
    std::atomic<bool> running{false};
    std::atomic<bool> ended{false};
    {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 1),
            [&](int, std::stop_token token) {
                running = true;
                // Until the destructor has begun.
                while (!token.stop_requested()) std::this_thread::yield();
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                ended = true;
            },
            with(1));
        ASSERT_TRUE(support::eventually([&] { return running.load(); }));
    }
    EXPECT_TRUE(ended);
}

TEST_P(Leaving, WaitsForAThreadInsideTheProducer) {
    std::atomic<bool> inside{false};
    std::atomic<bool> left{false};
    {
        auto stream = penstock::as_completed(
            ex,
            [&](std::stop_token token) -> std::optional<void (*)()> {
                inside = true;
                // Until the destructor has begun.
                while (!token.stop_requested()) std::this_thread::yield();
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                left = true;
                return [] {};
            },
            with(2));
        ASSERT_TRUE(support::eventually([&] { return inside.load(); }));
    }
    EXPECT_TRUE(left);
}

TEST_P(Leaving, TellsRunningTasksToStop) {
    // Tasks that end only when told to: a destructor that only waited would wait for ever.
    std::atomic<bool> running{false};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int, std::stop_token token) {
            running = true;
            while (!token.stop_requested()) std::this_thread::yield();
        },
        with(4));
    EXPECT_TRUE(support::eventually([&] { return running.load(); }));
}

TEST_P(Leaving, AfterItWasMoved) {
    guarded code;
    {
        auto first = endless(code, with(8));
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(first.next());
        auto second = std::move(first);
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(second.next());
        auto third = endless(code, with(4));
        ASSERT_TRUE(third.next());
        third = std::move(second);  // which leaves the one that it was
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(third.next());
        EXPECT_EQ(third.stats().taken, 30U);
    }
    code.leave();
    EXPECT_EQ(code.violations, 0);
}

TEST_P(Leaving, OnAnotherThread) {
    for (int round = 0; round < 20; ++round) {
        guarded code;
        auto stream = endless(code, with(8));
        for (int i = 0; i < round; ++i) ASSERT_TRUE(stream.next());
        std::thread([&code, moved = std::move(stream)]() mutable {
            ASSERT_TRUE(moved.next());
            { const auto last = std::move(moved); }
            code.leave();
        }).join();
        EXPECT_EQ(code.violations, 0);
    }
}

TEST_P(Leaving, InsideATaskOfTheSameExecutor) {
    for (int round = 0; round < 20; ++round) {
        guarded code;
        auto stream = std::make_unique<decltype(endless(code, with(8)))>(endless(code, with(8)));
        for (int i = 0; i < round; ++i) ASSERT_TRUE(stream->next());
        ex.submit([&] {
              stream.reset();
              code.leave();
          }).get();
        EXPECT_EQ(code.violations, 0);
    }
}

TEST_P(Leaving, StreamsOfATaskAreJoinedInIt) {
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 40),
        [&](int last) {
            guarded code;
            {
                auto inner = endless(code, with(3));
                int seen = 0;
                for (auto& done : inner) {
                    static_cast<void>(done.get());
                    if (seen++ == last) break;
                }
            }
            code.leave();
            return code.violations.load();
        },
        with(4));
    while (auto done = outer.next()) EXPECT_EQ(done->get(), 0);
}

TEST_P(Leaving, DestroysResultsThatNobodyTook) {
    const std::size_t window = in_order() ? 40 : 16;
    {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [](int i) { return tracked_value(i); }, with(8));
        ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window; }));
        EXPECT_EQ(support::tracked::live(), static_cast<long>(window));
    }
    EXPECT_EQ(support::tracked::live(), 0);
}

TEST_P(Leaving, ManyTimes) {
    // The last completer must not touch the stream that the consumer has just destroyed.
    for (int round = 0; round < 400; ++round) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, round % 7), [](int i) { return tracked_value(i); },
            with(static_cast<std::size_t>(round % 3 + 1)));
        if (round % 2 == 0) support::drain(stream);
    }
}

}  // namespace
