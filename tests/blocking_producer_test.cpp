// SPDX-License-Identifier: MIT
/// C3, C12: a producer that may block is pulled off the workers, and is otherwise a producer like any other.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_producer_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::blocking_producer;
using support::drain;
using support::eventually;
using support::latch;
using support::test_error;
using support::tracked_unique;
using support::tracked_value;

static_assert(penstock::producer<decltype(blocking_producer(std::views::iota(0)))>);
static_assert(
    std::is_same_v<penstock::producer_element_t<decltype(blocking_producer(std::vector<std::string>()))>, std::string>);
static_assert(!std::ranges::range<decltype(blocking_producer(std::views::iota(0)))>);

/// Each item as a job of another kind.
template <class Source>
struct mixed_jobs {
    Source source;
    std::optional<penstock::any_job<int>> operator()() {
        const auto given = source();
        if (!given) return std::nullopt;
        const int i = *given;
        if (i % 3 == 0) return [i] { return i; };
        if (i % 3 == 1) return penstock::blocking([i] { return i; });
        return [](int value) -> penstock::task<int> {
            auto pause = penstock::yield();
            co_await pause;
            co_return value;
        }(i);
    }
};
template <class Source>
mixed_jobs(Source) -> mixed_jobs<Source>;

class BlockingProducer : public support::blocking_producer_test {};
INSTANTIATE_TEST_SUITE_P(, BlockingProducer, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(BlockingProducer, GivesAllToTasksOfEveryKind) {
    for (const std::size_t limit : {1U, 2U, 7U, 64U}) {
        for (const int count : {0, 1, 2, 500}) {
            const auto expected = static_cast<std::size_t>(count);
            auto computed = penstock::as_completed(
                ex, blocking_producer(counter{count}), [](int i) { return i; }, with(limit));
            expect_all(computed, expected);
            auto blocked = penstock::as_completed(
                ex, blocking_producer(counter{count}), [](int i) { return penstock::blocking([i] { return i; }); },
                with(limit));
            expect_all(blocked, expected);
            auto awaited = penstock::as_completed(
                ex, blocking_producer(counter{count}), [](int i) -> penstock::task<int> { co_return i; }, with(limit));
            expect_all(awaited, expected);
            auto mixed = penstock::as_completed(ex, blocking_producer(mixed_jobs{counter{count}}), with(limit));
            expect_all(mixed, expected);
            if (HasFailure()) return;
        }
    }
}

TEST_P(BlockingProducer, MayBeARangeOfJobs) {
    auto jobs =
        std::views::iota(0, 300) | std::views::transform([](int i) { return [i] { return tracked_value(i); }; });
    auto stream = penstock::as_completed(ex, blocking_producer(jobs), with(5));
    expect_all(stream, 300);
}

TEST_P(BlockingProducer, ReferencesWhatStaysTheCallersAndKeepsTheRest) {
    std::vector<std::string> texts(100, "text that does not fit into the string itself");
    auto copied = penstock::as_completed(
        ex, blocking_producer(texts), [](const std::string& s) { return s.size(); }, with(4));
    expect_all(copied, 100);
    EXPECT_EQ(texts[99].size(), 45U);
    std::vector<tracked_unique<int>> unique;
    for (int i = 0; i < 100; ++i) unique.emplace_back(i);
    auto moved = penstock::as_completed(
        ex, blocking_producer(std::move(unique)), [](tracked_unique<int>& u) { return u.value; }, with(4));
    expect_all(moved, 100);
    counter mine{20};
    auto wrapped = blocking_producer(mine);
    auto referenced = penstock::as_completed(
        ex, wrapped, [](int i) { return i; }, with(4));
    expect_all(referenced, 20);
    EXPECT_EQ(mine.next, 20);
    auto kept = blocking_producer(counter{20});
    auto through = penstock::as_completed(
        ex, kept, [](int i) { return i; }, with(4));
    expect_all(through, 20);
    EXPECT_EQ(kept.source.next, 20);
}

TEST_P(BlockingProducer, IsCalledByOneThreadAtATimeAndOnlyWhenThereIsRoom) {
    for (const std::size_t limit : {1U, 3U, 16U}) {
        for (const std::size_t buffer : {0U, 2U}) {
            support::pull_watch watch(limit + buffer);
            support::meter running;
            auto source = [&watch, i = 0]() mutable -> std::optional<int> {
                support::pull_watch::call call(watch);
                if (i == 400) return std::nullopt;
                call.give();
                return i++;
            };
            auto stream = penstock::as_completed(
                ex, blocking_producer(source),
                [&](int i) {
                    const support::meter::visit visit(running);
                    if (i % 16 == 0) std::this_thread::sleep_for(50us);
                },
                with(limit, buffer));
            std::size_t taken = 0;
            while (watch.next(stream)) ++taken;
            EXPECT_EQ(taken, 400U);
            EXPECT_EQ(watch.overlaps(), 0U);
            EXPECT_EQ(watch.excess(), 0U);
            EXPECT_LE(running.most(), static_cast<long>(limit));
        }
    }
}

TEST_P(BlockingProducer, FillsTheWindowWithoutTheConsumer) {
    auto stream = penstock::as_completed(
        ex, blocking_producer(counter{1000}), [](int i) { return i; }, with(6, 4));
    EXPECT_TRUE(eventually([&] { return stream.stats().ready == 10; }));
    EXPECT_EQ(stream.stats().pulled, 10U);
    expect_all(stream, 1000);
}

TEST_P(BlockingProducer, DelaysNothingThatItHasGiven) {
    // C12: before it gives the next, it waits until all that it has given was taken.
    for (const std::size_t limit : {1U, 2U, 64U}) {
        const auto check = [&](auto f) {
            std::atomic<int> taken{0};
            auto source = [&, next = 0]() mutable -> std::optional<int> {
                if (next % 3 == 0) {
                    EXPECT_TRUE(eventually([&] { return taken == next; })) << next;
                }
                return next < 60 ? std::optional(next++) : std::nullopt;
            };
            auto stream = penstock::as_completed(ex, blocking_producer(source), f, with(limit));
            while (stream.next()) ++taken;
            EXPECT_EQ(taken, 60);
        };
        check([](int i) { return i; });
        check([](int i) { return penstock::blocking([i] { return i; }); });
        check([](int i) -> penstock::task<int> { co_return i; });
        if (HasFailure()) return;
    }
}

TEST_P(BlockingProducer, TakesNoWorker) {
    latch go;
    auto source = [&, next = 0]() mutable -> std::optional<int> {
        if (next == 1) {
            EXPECT_TRUE(go.wait());
        }
        return next < 3 ? std::optional(next++) : std::nullopt;
    };
    auto stream = penstock::as_completed(
        ex, blocking_producer(source), [](int i) { return i; }, with(4));
    // While it waits, another stream has all the workers.
    support::rendezvous all(workers());
    auto other = penstock::as_completed(
        ex, std::views::iota(std::size_t{0}, workers()), [&](std::size_t) { EXPECT_TRUE(all.arrive()); }, workers());
    EXPECT_EQ(drain(other), workers());
    go.open();
    expect_all(stream, 3);
}

TEST_P(BlockingProducer, ThatThrowsEndsTheStreamAfterWhatItGave) {
    for (const int at : {0, 1, 5, 100}) {
        auto source = [at, next = 0, witness = tracked_value(1)]() mutable -> std::optional<int> {
            if (next == at) throw test_error(at);
            return next++;
        };
        auto stream = penstock::as_completed(
            ex, blocking_producer(source), [](int i) { return i; }, with(8));
        int taken = 0;
        try {
            while (stream.next()) ++taken;
            ADD_FAILURE() << "nothing was thrown";
        } catch (const test_error& error) {
            EXPECT_EQ(error.code, at);
        }
        EXPECT_EQ(taken, at);
        EXPECT_FALSE(stream.next());
    }
}

TEST_P(BlockingProducer, WhoseItemThrowsWhenMovedFailsThatTaskAlone) {
    struct heavy : tracked_value<int> {
        explicit heavy(int i) : tracked_value(i) {}
        heavy(heavy&& other) : tracked_value(other) {
            if (value == 7) throw test_error(7);
        }
        heavy(const heavy&) = delete;
    };
    std::vector<std::unique_ptr<heavy>> made;
    for (int i = 0; i < 40; ++i) made.push_back(std::make_unique<heavy>(i));
    auto view = made | std::views::transform([](auto& each) -> heavy&& { return std::move(*each); });
    auto stream = penstock::as_completed(
        ex, blocking_producer(view), [](heavy& h) { return h.value; }, with(4));
    int failed = 0, good = 0;
    while (auto done = stream.next()) ++(done->has_value() ? good : failed);
    EXPECT_EQ(good, 39);
    EXPECT_EQ(failed, 1);
}

}  // namespace
