// SPDX-License-Identifier: MIT
/// C10: no allocation for each task, memory for limit + buffer tasks and no more; and what happens without memory
/// (S33).
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <ranges>
#include <thread>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/counting_new.hpp"

namespace {

namespace heap = support::heap;
using support::tracked_value;

class Memory : public support::contract_test {
protected:
    std::size_t window(std::size_t limit) const { return in_order() ? 5 * limit : 2 * limit; }

    /// Takes so many results several times; how many allocations the thriftiest turn took. What is made on first use,
    /// such as a pump for the last worker, may be made late; but there are fewer of such things than turns.
    template <class Stream>
    static std::size_t fewest_allocations(Stream& stream, int results = 10'000) {
        std::size_t fewest = SIZE_MAX;
        for (int turn = 0; turn < 40 && fewest > 0; ++turn) {
            const std::size_t before = heap::allocations;
            for (int taken = 0; taken < results; ++taken) {
                if (!stream.next()) return SIZE_MAX;
            }
            fewest = std::min(fewest, heap::allocations - before);
        }
        return fewest;
    }
};
INSTANTIATE_TEST_SUITE_P(, Memory, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Memory, AJobCostsNoAllocation) {
    for (const std::size_t limit : {1U, 2U, 16U, 64U, 256U}) {
        std::array<int, 8> captured{};
        auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                        captured[0] = i;
                        return [captured] { return captured[0]; };
                    });
        auto stream = penstock::as_completed(ex, jobs, with(limit));
        // Every record has been used once.
        ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window(limit); }));
        // With few in flight and no help each result is a hand-over between two threads, which takes its time.
        EXPECT_EQ(fewest_allocations(stream, limit < 16 ? 250 : 10'000), 0U) << "limit " << limit;
    }
}

TEST_P(Memory, ATaskOfAFunctionOnAnInputCostsNoAllocation) {
    for (const std::size_t limit : {16U, 64U}) {
        auto settings = with(limit);
        settings.measure = true;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0), [](int i, std::stop_token) { return i; }, settings);
        ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window(limit); }));
        EXPECT_EQ(fewest_allocations(stream), 0U) << "limit " << limit;
    }
}

TEST_P(Memory, ABlockingJobCostsNoAllocation) {
    for (const std::size_t limit : {1U, 8U}) {
        auto jobs =
            std::views::iota(0) | std::views::transform([](int i) { return penstock::blocking([i] { return i; }); });
        auto elements = penstock::as_completed(ex, jobs, with(limit));
        ASSERT_TRUE(support::eventually([&] { return elements.stats().ready == window(limit); }));
        EXPECT_EQ(fewest_allocations(elements, 250), 0U) << "limit " << limit;
        auto returned = penstock::as_completed(
            ex, std::views::iota(0), [](int i) { return penstock::blocking([i] { return i; }); }, with(limit));
        ASSERT_TRUE(support::eventually([&] { return returned.stats().ready == window(limit); }));
        EXPECT_EQ(fewest_allocations(returned, 250), 0U) << "limit " << limit;
    }
}

TEST_P(Memory, IsBoundedByTheWindowWhateverTheNumberOfTasks) {
    using kibibyte = std::array<char, 1024>;
    constexpr std::size_t limit = 16;
    const std::ptrdiff_t before = heap::live;
    heap::most.store(before);
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 50'000), [](int) { return kibibyte{}; }, with(limit));
    EXPECT_EQ(support::drain(stream), 50'000U);
    const auto records = static_cast<std::ptrdiff_t>(window(limit));
    const auto pumps = static_cast<std::ptrdiff_t>(workers() + 1);
    // Records are made in chunks of at most 64; a pump is some 1 KiB, and has a share of the queue.
    EXPECT_LT(heap::most - before, (records + 64) * 1400 + pumps * 16'384 + 65'536);
}

TEST_P(Memory, HoldsNoMoreObjectsThanTheWindow) {
    std::atomic<long> most{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20'000),
        [&](int i) {
            const long now = support::tracked::live();
            long before = most;
            while (before < now && !most.compare_exchange_weak(before, now)) {
            }
            return tracked_value(i);
        },
        with(8));
    support::drain(stream);
    EXPECT_LE(most, static_cast<long>(window(8)) + 8) << "one that is being moved is two, and the consumer holds one";
}

TEST_P(Memory, AHugeLimitCostsNothing) {
    for (const std::size_t limit :
         {penstock::unlimited, penstock::unlimited - 1, static_cast<std::size_t>(PTRDIFF_MAX), std::size_t{1} << 31}) {
        for (const std::size_t buffer : {std::size_t{0}, penstock::auto_buffer, penstock::unlimited}) {
            const std::size_t before = heap::bytes;
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 10), [](int i) { return i; }, with(limit, buffer));
            EXPECT_EQ(support::drain(stream), 10U);
            EXPECT_LT(heap::bytes - before, 32'768U + workers() * 16'384);
        }
    }
}

TEST_P(Memory, WithoutMemoryEveryRunEndsInGoodOrder) {
    // The k-th allocation fails, for all k until a whole run has needed fewer.
    int runs = 0;
    for (long k = 1;; ++k, ++runs) {
        std::size_t values = 0;
        std::size_t errors = 0;
        bool thrown = false;
        std::size_t given = 0;
        heap::fuse.store(k);
        try {
            auto stream = penstock::as_completed(
                ex,
                [&]() -> std::optional<tracked_value<int>> {
                    if (given == 60) return std::nullopt;
                    return std::optional<tracked_value<int>>(std::in_place, static_cast<int>(given++));
                },
                [](tracked_value<int>& in) { return tracked_value(in.value); }, with(8));
            while (auto done = stream.next()) ++(done->has_value() ? values : errors);
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        const long left = heap::fuse.exchange(0);
        EXPECT_TRUE(thrown || values + errors == 60) << "quietly lost a task at allocation " << k;
        EXPECT_EQ(support::tracked::live(), 0);
        if (left > 0 || k > 2000) break;
    }
    EXPECT_GT(runs, 3) << "a run allocates something";
    EXPECT_LT(runs, 2000);
}

}  // namespace
