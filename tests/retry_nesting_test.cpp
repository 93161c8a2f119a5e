// SPDX-License-Identifier: MIT
/// options::retry: with feeds, with producers that block, and in streams that tasks start.
#include <chrono>
#include <cstddef>
#include <optional>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::gate;
using penstock::task;
using support::always;
using support::eventually;
using support::failing;
using support::latch;
using support::meter;
using support::number;
using support::source;
using support::trials;
using support::up_to;
using support::work;

class Retry : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class RetryWithAndWithoutHelp : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

TEST_P(Retry, KeepsAFeedFromEnding) {
    in_every_function([&](auto start) {
        trials tried(3);
        penstock::feed<int> numbers;
        EXPECT_TRUE(numbers.push(0));
        const work pushing{[&](int i) {
            tried.run(i, 1);
            if (i == 0) {
                EXPECT_TRUE(numbers.push(1));
                EXPECT_TRUE(numbers.push(2));
            }
            return i;
        }};
        auto stream = start(ex, numbers, pushing, retrying(2, 2, 1ms));
        expect_all(stream, 3, [](auto& done) { EXPECT_EQ(done.attempts(), 2U); });
        EXPECT_FALSE(numbers.push(3)) << "now it has ended";
    });
}

TEST_P(Retry, KeepsAFeedFromEndingForAnHour) {
    in_every_function([&](auto start) {
        trials tried(2);
        penstock::feed<int> numbers;
        EXPECT_TRUE(numbers.push(0));
        auto stream = start(ex, numbers, failing(tried, always), retrying(2, 2, 1h));
        EXPECT_TRUE(eventually_all_wait(stream, tried, 1));
        for (int look = 0; look < 5; ++look) {
            EXPECT_FALSE(stream.next_for(50us));
            EXPECT_FALSE(stream.done());
        }
        EXPECT_TRUE(numbers.push(1));
        EXPECT_TRUE(eventually([&] { return tried.ran(1) == 1; }));
    });
}

TEST_P(RetryWithAndWithoutHelp, IsNotHeldUpByAProducerThatBlocks) {
    in_every_function([&](auto start) {
        trials tried(2);
        latch go;
        const source from = [&go, next = 0]() mutable -> std::optional<int> {
            if (next == 1) {
                EXPECT_TRUE(go.wait());
            }
            return next < 2 ? std::optional(next++) : std::nullopt;
        };
        auto stream = start(ex, penstock::blocking_producer(from), failing(tried, 2), retrying(4, 3, 300us));
        const auto first = stream.next_for(support::patience);
        go.open();
        ASSERT_TRUE(first);
        EXPECT_EQ(first->index(), 0U);
        EXPECT_EQ(first->attempts(), 3U);
        EXPECT_TRUE(stream.next());
        EXPECT_FALSE(stream.next());
    });
}

TEST_P(RetryWithAndWithoutHelp, WorksInStreamsOfTasksThatAreThemselvesRunAgain) {
    in_every_kind([&](auto start) {
        trials outer(3);
        const work nesting{[&](int i) {
            trials inner(4);
            auto stream = start(ex, up_to(4), failing(inner, 2), retrying(2, 3, 100us));
            expect_all(stream, 4, [](auto& done) { EXPECT_EQ(done.attempts(), 3U); });
            // And one that is left.
            const auto left = start(ex, up_to(4), failing(inner, always), retrying(2, 3, 1h));
            return outer.run(i, 1);
        }};
        auto stream = start(ex, up_to(3), nesting, retrying(2, 2, 100us));
        expect_all(stream, 3, [](auto& done) {
            EXPECT_EQ(done.attempts(), 2U);
            EXPECT_TRUE(done.has_value());
        });
    });
}

TEST_P(RetryWithAndWithoutHelp, WorksWithAPermitThatIsLent) {
    in_every_kind([&](auto start) {
        gate one(1);
        meter computing;
        trials outer(3);
        auto settings = retrying(2, 3, 100us);
        settings.shared = &one;
        const work nesting{[&](int i) {
            trials inner(4);
            auto stream = start(ex, up_to(4), failing(inner, 1, computing), settings);
            expect_all(stream, 4, [](auto& done) { EXPECT_EQ(done.attempts(), 2U); });
            return outer.run(i, 1);
        }};
        {
            auto stream = start(ex, up_to(3), nesting, settings);
            expect_all(stream, 3, [](auto& done) { EXPECT_EQ(done.attempts(), 2U); });
        }
        EXPECT_LE(computing.most(), 1);
        EXPECT_TRUE(eventually([&] { return one.in_flight() == 0; })) << "a permit was lost";
    });
}

TEST_P(Retry, WorksForAStreamThatACoroutineConsumes) {
    in_every_kind([&](auto start) {
        trials tried(6), left(6);
        const auto consume = [&]() -> task<std::size_t> {
            auto inner = start(ex, up_to(6), failing(tried, 2), retrying(3, 3, 200us));
            std::size_t count = 0;
            while (auto done = co_await inner.async_next()) {
                EXPECT_EQ(done->attempts(), 3U);
                EXPECT_EQ(done->get(), number(*done));
                ++count;
            }
            auto waiting = start(ex, up_to(6), failing(left, always), retrying(3, 3, 1h, 6));
            for (int look = 0; look < 20'000 && left.runs() < 6; ++look) co_await penstock::sleep_for(1ms);
            co_await waiting.async_join();
            co_return count;
        };
        auto stream = penstock::as_completed(
            ex, up_to(1), [&](int) { return consume(); }, with(1));
        auto done = stream.next_for(support::patience);
        ASSERT_TRUE(done);
        EXPECT_EQ(done->get(), 6U);
        EXPECT_EQ(left.runs(), 6);
    });
}

}  // namespace
