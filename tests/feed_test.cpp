// SPDX-License-Identifier: MIT
/// A feed: what a stream's own tasks, its consumer and others push into it is delivered.
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <ranges>
#include <set>
#include <stdexcept>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/feed_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::feed;
using support::drain;
using support::eventually;
using support::latch;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

static_assert(penstock::producer<feed<int>&> && !std::movable<feed<int>>);
static_assert(std::is_same_v<penstock::producer_element_t<feed<int>&>, int>);

class Feed : public support::feed_test {};
INSTANTIATE_TEST_SUITE_P(, Feed, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Feed, GivesWhatItsOwnTasksPush) {
    for (const std::size_t limit : {1U, 3U, 64U}) {
        for (const int depth : {0, 1, 8}) {
            feed<node>* tree = nullptr;
            with_every_kind(
                [&tree](node n) {
                    push_children(*tree, n);
                    return n.depth;
                },
                [&](auto f) {
                    feed<node> mine;
                    tree = &mine;
                    EXPECT_TRUE(mine.push({depth}));
                    auto stream = penstock::as_completed(ex, mine, f, with(limit));
                    std::set<std::size_t> seen;
                    while (auto done = stream.next()) {
                        if (in_order()) {
                            EXPECT_EQ(done->index(), seen.size());
                        }
                        EXPECT_TRUE(seen.insert(done->index()).second);
                    }
                    EXPECT_EQ(seen.size(), nodes(depth));
                    EXPECT_TRUE(stream.done());
                    EXPECT_FALSE(mine.push({0})) << "after the end";
                });
            if (HasFailure()) return;
        }
    }
}

TEST_P(Feed, GivesWhatItsConsumerPushes) {
    with_every_kind([](int i) { return i; },
                    [&](auto f) {
                        feed<int> numbers;
                        EXPECT_TRUE(numbers.push(0));
                        auto stream = penstock::as_completed(ex, numbers, f, with(4));
                        int taken = 0;
                        while (auto done = stream.next()) {
                            ++taken;
                            if (const int i = done->get(); i < 200) {
                                EXPECT_TRUE(numbers.push(i + 1));
                            }
                        }
                        EXPECT_EQ(taken, 201);
                    });
}

TEST_P(Feed, GivesJobs) {
    feed<std::function<int()>> jobs;
    std::atomic<int> left{100};
    std::function<int()> job = [&] {
        if (left.fetch_sub(1) > 0) {
            EXPECT_TRUE(jobs.push(job));
        }
        return 1;
    };
    EXPECT_TRUE(jobs.push(job));
    auto stream = penstock::as_completed(ex, jobs, with(3));
    EXPECT_EQ(drain(stream), 101U);
}

TEST_P(Feed, MayBePushedIntoBeforeItsStream) {
    feed<tracked_unique<int>> numbers;
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(numbers.push(tracked_unique<int>(i)));
    auto stream = penstock::as_completed(
        ex, numbers, [](tracked_unique<int>& i) { return tracked_value(i.value); }, with(3, 0));
    EXPECT_EQ(drain(stream), 50U);
}

TEST_P(Feed, NeverExceedsTheCap) {
    feed<node> tree;
    EXPECT_TRUE(tree.push({9}));
    support::meter running;
    auto stream = penstock::as_completed(
        ex, tree,
        [&](node n) {
            const support::meter::visit visit(running);
            push_children(tree, n);
        },
        with(3));
    std::size_t taken = 0;
    while (stream.next()) {
        ++taken;
        const auto stats = stream.stats();
        EXPECT_LE(stats.running, 3U);
    }
    EXPECT_EQ(taken, nodes(9));
    EXPECT_LE(running.most(), 3);
}

TEST_P(Feed, WorksWithFailFast) {
    feed<int> numbers;
    EXPECT_TRUE(numbers.push(0));
    auto settings = with(2);
    settings.on_error = penstock::on_error::stop;
    auto stream = penstock::as_completed(
        ex, numbers,
        [&](int i) {
            if (i == 30) throw test_error(i);
            numbers.push(i + 1);
        },
        settings);
    EXPECT_THROW(drain(stream), test_error);
    EXPECT_FALSE(stream.next());
    EXPECT_FALSE(numbers.push(0));
}

TEST_P(Feed, ServesOneStream) {
    feed<int> numbers;
    EXPECT_TRUE(numbers.push(1));
    {
        auto settings = with(0);
        EXPECT_THROW(penstock::as_completed(
                         ex, numbers, [](int i) { return i; }, settings),
                     std::invalid_argument);
        auto stream = penstock::as_completed(
            ex, numbers, [](int i) { return i; }, with(2));
        EXPECT_THROW(penstock::as_completed(
                         ex, numbers, [](int i) { return i; }, with(2)),
                     std::logic_error);
        EXPECT_EQ(drain(stream), 1U);
    }
    EXPECT_THROW(penstock::as_completed(
                     ex, numbers, [](int i) { return i; }, with(2)),
                 std::logic_error);
}

TEST_P(Feed, WhoseItemThrowsWhenMovedFailsThatTaskAlone) {
    struct heavy : tracked_value<int> {
        explicit heavy(int i) : tracked_value(i) {}
        heavy(heavy&& other) : tracked_value(other), moves(other.moves + 1) {
            if (value == 7 && moves == 2) throw test_error(7);
        }
        int moves = 0;
    };
    feed<heavy> items;
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(items.push(heavy(i)));
    auto stream = penstock::as_completed(
        ex, items, [](heavy& h) { return h.value; }, with(4));
    int failed = 0, good = 0;
    while (auto done = stream.next()) ++(done->has_value() ? good : failed);
    EXPECT_EQ(good, 19);
    EXPECT_EQ(failed, 1);
}

TEST_P(Feed, WorksInsideATask) {
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 6),
        [this](int) {
            feed<node> tree;
            tree.push({5});
            auto inner = penstock::as_completed(
                ex, tree, [&](node n) { push_children(tree, n); }, with(3));
            return drain(inner);
        },
        with(3));
    while (auto done = outer.next()) EXPECT_EQ(done->get(), nodes(5));
}

TEST_P(Feed, MayBeConsumedByACoroutine) {
    const auto count = [](penstock::executor& on, penstock::options settings) -> penstock::task<std::size_t> {
        feed<node> tree;
        tree.push({6});
        auto stream = penstock::as_completed(
            on, tree, [&tree](node n) { push_children(tree, n); }, settings);
        std::size_t taken = 0;
        for (;;) {
            auto asked = stream.async_next();
            auto done = co_await asked;
            if (!done) break;
            ++taken;
        }
        co_return taken;
    };
    auto outer = penstock::as_completed(
        ex, std::views::iota(0, 5), [&](int) { return count(ex, with(3)); }, 2);
    while (auto done = outer.next()) EXPECT_EQ(done->get(), nodes(6));
}

TEST_P(Feed, WakesAnIdleStream) {
    // It is kept alive by one task, and all its other threads are at rest when something is pushed.
    latch go;
    feed<int> numbers;
    std::atomic<int> ran{0};
    EXPECT_TRUE(numbers.push(0));
    auto stream = penstock::as_completed(
        ex, numbers,
        [&](int i) {
            return penstock::blocking([&, i] {
                if (i == 0) {
                    EXPECT_TRUE(go.wait());
                }
                ++ran;
            });
        },
        with(4));
    for (int i = 1; i <= 20; ++i) {
        std::this_thread::sleep_for(1ms);
        EXPECT_TRUE(numbers.push(i));
        if (i > 7) continue;  // limit and buffer are full then
        EXPECT_TRUE(eventually([&] { return ran == i; })) << i;
    }
    go.open();
    EXPECT_EQ(drain(stream), 21U);
}

}  // namespace
