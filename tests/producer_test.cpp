// SPDX-License-Identifier: MIT
/// C3: how a producer is called, and what its exception does.
#include <atomic>
#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/pull_watch.hpp"

namespace {

using support::latch;
using support::pull_watch;
using support::test_error;

class Producer : public support::contract_test {
protected:
    std::size_t window(std::size_t limit) const { return in_order() ? 5 * limit : 2 * limit; }
};
INSTANTIATE_TEST_SUITE_P(, Producer, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

class ProducerOnSeveralWorkers : public Producer {};
INSTANTIATE_TEST_SUITE_P(, ProducerOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::several_workers)),
                         support::name_of_setting);

TEST_P(Producer, IsCalledByOneThreadAtATimeAndNeverAfterItsEnd) {
    for (const std::size_t limit : {1U, 3U, 64U}) {
        pull_watch watch(window(limit));
        std::size_t calls = 0;
        bool ended = false;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<std::function<void()>> {
                pull_watch::call call(watch);
                EXPECT_FALSE(ended) << "called after its end";
                if (calls++ == 3000) {
                    ended = true;
                    return std::nullopt;
                }
                call.give();
                return [] {};
            },
            with(limit));
        while (watch.next(stream)) {
        }
        EXPECT_EQ(calls, 3001U);
        EXPECT_EQ(watch.overlaps(), 0U);
    }
}

TEST_P(Producer, ThatThrowsIsHeardOnceAfterEverythingPulledWasDelivered) {
    for (const std::size_t limit : {1U, 3U}) {
        for (std::size_t k = 0; k <= 2 * limit + 2; ++k) {
            std::size_t calls = 0;
            std::atomic<bool> thrown{false};
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<std::function<void()>> {
                    EXPECT_FALSE(thrown) << "called after its exception";
                    if (calls++ == k) {
                        thrown = true;
                        throw test_error(static_cast<long>(k));
                    }
                    return [] {};
                },
                with(limit));
            std::size_t delivered = 0;
            try {
                while (stream.next()) ++delivered;
                FAIL() << "the exception was swallowed";
            } catch (const test_error& error) {
                EXPECT_EQ(error.code, static_cast<long>(k));
            }
            EXPECT_EQ(delivered, k);
            EXPECT_FALSE(stream.next());
            EXPECT_FALSE(stream.next());
            EXPECT_TRUE(stream.done());
        }
    }
}

/// A range whose iterator throws where it is told to.
struct hostile_range {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        int operator*() const {
            if (at == range->bad_dereference) throw test_error(at);
            return at;
        }
        iterator& operator++() {
            if (at == range->bad_increment) throw test_error(at);
            ++at;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return at == 40; }
        const hostile_range* range = nullptr;
        int at = 0;
    };
    iterator begin() const {
        if (bad_begin) throw test_error(-1);
        return {this, 0};
    }
    std::default_sentinel_t end() const { return {}; }
    int bad_increment = -1;
    int bad_dereference = -1;
    bool bad_begin = false;
};

TEST_P(Producer, ThatIsARangeMayThrowInEachOfItsOperations) {
    const auto delivered_before_the_error = [&](const hostile_range& range) {
        auto stream = penstock::as_completed(
            ex, range, [](int i) { return i; }, with(3));
        int delivered = 0;
        EXPECT_THROW(
            {
                while (stream.next()) ++delivered;
            },
            test_error);
        EXPECT_FALSE(stream.next());
        return delivered;
    };
    for (int k = 0; k <= 8; ++k) {
        EXPECT_EQ(delivered_before_the_error({.bad_increment = k}), k + 1);
        EXPECT_EQ(delivered_before_the_error({.bad_dereference = k}), k);
    }
    EXPECT_EQ(delivered_before_the_error({.bad_begin = true}), 0);
}

TEST_P(ProducerOnSeveralWorkers, ThatBlocksHoldsUpNeitherResultsNorAStop) {
    latch hold;
    std::atomic<bool> blocked{false};
    std::size_t calls = 0;
    auto settings = with(8);
    settings.help = false;  // nor the consumer, which would be the one inside
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<std::function<int()>> {
            if (calls++ == 4) {
                blocked = true;
                EXPECT_TRUE(hold.wait());
            }
            return [] { return 1; };
        },
        settings);
    ASSERT_TRUE(support::eventually([&] { return blocked.load(); }));
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(stream.next());
    EXPECT_FALSE(stream.try_next());
    EXPECT_FALSE(stream.next_for(std::chrono::milliseconds(1)));
    EXPECT_FALSE(stream.done());
    stream.request_stop();
    EXPECT_THROW(stream.next(), penstock::stopped) << "next() must not wait for the producer";
    EXPECT_FALSE(stream.next());
    hold.open();
}

TEST_P(Producer, IsAskedForNothingBeyondTheWindow) {
    // Laziness, with the consumer away: not one element more.
    std::atomic<std::size_t> pulled{0};
    auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                    EXPECT_LE(++pulled, window(4));
                    return [i] { return i; };
                });
    auto stream = penstock::as_completed(ex, jobs, with(4));
    EXPECT_TRUE(support::eventually([&] { return stream.stats().ready == window(4); }));
    EXPECT_EQ(pulled, window(4));
}

}  // namespace
