// SPDX-License-Identifier: MIT
/// A feed ends when nothing is left that could push, neither sooner nor later, and loses nothing that it accepted.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/feed_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::feed;
using support::drain;
using support::eventually;
using support::latch;
using support::rounds;
using support::tracked_value;

class FeedEnding : public support::feed_test {};
INSTANTIATE_TEST_SUITE_P(, FeedEnding, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(FeedEnding, WithNothingInItEndsWhenAskedFor) {
    feed<int> numbers;
    auto stream = penstock::as_completed(
        ex, numbers, [](int i) { return i; }, with(3));
    EXPECT_FALSE(stream.done()) << "nobody has asked";
    EXPECT_TRUE(numbers.push(1));
    EXPECT_TRUE(stream.next());
    EXPECT_TRUE(numbers.push(2));
    EXPECT_TRUE(stream.next());
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(numbers.push(3));
}

TEST_P(FeedEnding, EndsWithoutWaitingToo) {
    feed<int> numbers;
    EXPECT_TRUE(numbers.push(1));
    auto stream = penstock::as_completed(
        ex, numbers, [](int i) { return i; }, with(3));
    int taken = 0;
    EXPECT_TRUE(eventually([&] {
        if (stream.try_next()) ++taken;
        return stream.done();
    }));
    EXPECT_EQ(taken, 1);
}

TEST_P(FeedEnding, ThatIsClosedEndsWhenItIsEmpty) {
    for (int round = 0; round < rounds / 10; ++round) {
        feed<int> numbers;
        for (int i = 0; i < round % 5; ++i) EXPECT_TRUE(numbers.push(i));
        std::jthread closer;
        if (round % 3 == 0) numbers.close();
        auto stream = penstock::as_completed(
            ex, numbers, [](int i) { return i; }, with(2));
        if (round % 3 == 1) closer = std::jthread([&] { numbers.close(); });
        EXPECT_EQ(drain(stream), static_cast<std::size_t>(round % 5));
        numbers.close();
        EXPECT_FALSE(numbers.push(1));
    }
}

TEST_P(FeedEnding, ThatIsClosedRefusesEvenItsOwnTasks) {
    feed<int> numbers;
    EXPECT_TRUE(numbers.push(0));
    auto stream = penstock::as_completed(
        ex, numbers,
        [&](int) {
            numbers.close();
            return numbers.push(1);
        },
        with(2));
    EXPECT_FALSE(stream.next()->get());
    EXPECT_FALSE(stream.next());
}

TEST_P(FeedEnding, LosesNothingAndEndsOnceWhateverOtherThreadsPush) {
    // The pushers go on until they are refused: what was accepted is delivered, and nothing else.
    with_every_kind([](int i) { return i; },
                    [&](auto f) {
                        for (int round = 0; round < rounds / 20; ++round) {
                            feed<int> numbers;
                            EXPECT_TRUE(numbers.push(0));
                            std::atomic<std::size_t> accepted{1};
                            std::atomic<bool> go{false};
                            std::size_t delivered = 0;
                            {
                                std::vector<std::jthread> pushers;
                                for (int p = 0; p < 3; ++p) {
                                    pushers.emplace_back([&, p] {
                                        while (!go) std::this_thread::yield();
                                        for (int i = 0; i < 40 && numbers.push(i); ++i) {
                                            ++accepted;
                                            if ((i + p + round) % 7 == 0) std::this_thread::yield();
                                            if ((i + p + round) % 29 == 0) std::this_thread::sleep_for(10us);
                                        }
                                    });
                                }
                                auto stream = penstock::as_completed(ex, numbers, f,
                                                                     with(static_cast<std::size_t>(1 + round % 5)));
                                go = true;
                                delivered = drain(stream);
                                EXPECT_TRUE(stream.done());
                                EXPECT_FALSE(numbers.push(1));
                            }
                            EXPECT_EQ(delivered, accepted);
                            if (HasFailure()) return;
                        }
                    });
}

TEST_P(FeedEnding, DecidesTheRaceBetweenTheLastPushAndTheEnd) {
    // One item, and another thread that pushes one more at about the moment when the stream would end.
    feed<int>* current = nullptr;
    std::atomic<int> turn{0};
    std::atomic<int> answer{0};
    std::jthread pusher([&](const std::stop_token& stop) {
        for (int seen = 0; !stop.stop_requested();) {
            if (turn.load() == seen) continue;
            seen = turn.load();
            for (int i = 0; i < seen % 64 * 8; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
            answer = current->push(2) ? 2 : 1;
        }
    });
    for (int round = 1; round <= rounds / 3; ++round) {
        feed<int> numbers;
        current = &numbers;
        answer = 0;
        EXPECT_TRUE(numbers.push(1));
        {
            auto stream = penstock::as_completed(
                ex, numbers, [](int i) { return i; }, with(2));
            turn = round;
            const std::size_t delivered = drain(stream);
            while (answer == 0) std::this_thread::yield();
            EXPECT_EQ(delivered, static_cast<std::size_t>(answer.load())) << round;
        }
        if (HasFailure()) break;
    }
}

TEST_P(FeedEnding, FindsTheEndThatComesWhileTheConsumerWaits) {
    for (int round = 0; round < rounds / 10; ++round) {
        feed<node> tree;
        EXPECT_TRUE(tree.push({round % 4}));
        auto stream = penstock::as_completed(
            ex, tree,
            [&](node n) {
                push_children(tree, n);
                if (round % 8 == 0) std::this_thread::sleep_for(20us);
            },
            with(static_cast<std::size_t>(1 + round % 3)));
        EXPECT_EQ(drain(stream), nodes(round % 4));
        if (HasFailure()) return;
    }
}

TEST_P(FeedEnding, RefusesAfterAStop) {
    feed<tracked_value<int>> numbers;
    latch go;
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(numbers.push(tracked_value(i)));
    auto stream = penstock::as_completed(
        ex, numbers,
        [&](tracked_value<int>& i) {
            EXPECT_TRUE(go.wait());
            return i;
        },
        with(2));
    EXPECT_TRUE(eventually([&] { return stream.stats().running > 0; }));
    stream.request_stop();
    EXPECT_FALSE(numbers.push(tracked_value(10)));
    go.open();
    EXPECT_THROW(drain(stream), penstock::stopped);
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(numbers.push(tracked_value(11)));
}

TEST_P(FeedEnding, MayBeStoppedOrLeftAtAnyPoint) {
    with_every_kind([](int i) { return tracked_value(i); },
                    [&](auto f) {
                        for (int round = 0; round < rounds / 20; ++round) {
                            feed<int> numbers;
                            for (int i = 0; i < 20; ++i) EXPECT_TRUE(numbers.push(i));
                            std::jthread pusher([&] {
                                while (numbers.push(1)) std::this_thread::yield();
                            });
                            auto settings = with(static_cast<std::size_t>(1 + round % 4));
                            std::stop_source stop;
                            settings.stop = stop.get_token();
                            {
                                auto stream = penstock::as_completed(ex, numbers, f, settings);
                                for (int i = 0; i < round % 40; ++i) {
                                    if (!stream.next()) break;
                                }
                                if (round % 2 == 0) {
                                    stop.request_stop();
                                    try {
                                        drain(stream);
                                    } catch (const penstock::stopped&) {
                                    }
                                }
                            }
                            EXPECT_FALSE(numbers.push(2)) << "the stream is gone";
                        }
                    });
}

TEST_P(FeedEnding, EndsAtTheDeadline) {
    feed<int> numbers;
    EXPECT_TRUE(numbers.push(0));
    auto settings = with(2);
    settings.deadline = std::chrono::steady_clock::now() + 20ms;
    auto stream = penstock::as_completed(
        ex, numbers,
        [&](int i) {
            numbers.push(i + 1);
            std::this_thread::sleep_for(100us);
        },
        settings);
    EXPECT_THROW(drain(stream), penstock::timed_out);
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(numbers.push(0));
}

}  // namespace
