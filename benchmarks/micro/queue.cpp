// SPDX-License-Identifier: MIT
/// The way of a record from a pump to the consumer: completion_queue, pushed and popped by so many at once.
///
///     alone/batch:B                   one thread pushes B records and pops them: what the instructions cost
///     crossing/batch:B/producers:P    P threads push while the one that measures pops: with the way from core to core
///
/// As in a stream, the records come back: each producer has 1024, and pushes one again once it has been popped. With
/// fewer cores than threads the scheduler is measured, too: they yield when there is nothing for them to do.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/detail/record.hpp>

#include "completion_queue.hpp"
#include "per_item.hpp"

namespace {

using penstock::detail::completion_queue;
using penstock::detail::record;

constexpr std::size_t most_under_way = 1024;  // of each producer; a multiple of every batch
constexpr std::size_t largest_batch = 64;

/// A producer's records, which it pushes round and round, and how far both sides have come with them.
class lane {
public:
    lane() {
        for (std::size_t i = 0; i < most_under_way; ++i) records_[i].index = i;
        for (std::size_t i = 0; i < most_under_way; ++i) pointers_[i] = &records_[i];
    }

    // --- the producer's

    bool may_push(std::size_t batch) noexcept {
        if (pushed_ + batch > back_seen_ + most_under_way) back_seen_ = back_.load(std::memory_order_acquire);
        return pushed_ + batch <= back_seen_ + most_under_way;
    }
    void push(completion_queue& queue, std::size_t number, std::size_t batch) noexcept {
        queue.push(number, pointers_.data() + pushed_ % most_under_way, batch);
        pushed_ += batch;
    }

    // --- the consumer's

    bool owns(const record* popped) const noexcept {
        return popped >= records_.data() && popped < records_.data() + most_under_way;
    }
    /// Whether it is the one that comes next: nothing lost, nothing doubled, first in, first out.
    bool take(const record* popped) noexcept { return popped == &records_[popped_++ % most_under_way]; }
    void give_back() noexcept { back_.store(popped_, std::memory_order_release); }

private:
    std::array<record, most_under_way> records_;
    std::array<record*, most_under_way> pointers_;
    alignas(64) std::size_t pushed_ = 0;
    std::size_t back_seen_ = 0;
    alignas(64) std::size_t popped_ = 0;
    alignas(64) std::atomic<std::size_t> back_{0};
};

/// Pops once. Returns how many, and tells by `in_order` if one of them was not the next of its lane.
std::size_t pop(completion_queue& queue, std::vector<lane>& lanes, std::size_t batch, bool& in_order) {
    std::array<record*, largest_batch> found;
    const std::size_t count = queue.pop(found.data(), batch);
    for (std::size_t i = 0; i < count; ++i) {
        const auto from = std::ranges::find_if(lanes, [&](const lane& each) { return each.owns(found[i]); });
        if (from == lanes.end() || !from->take(found[i])) in_order = false;
    }
    for (lane& each : lanes) each.give_back();
    return count;
}

void alone(benchmark::State& state) {
    const auto batch = static_cast<std::size_t>(state.range(0));
    completion_queue queue(1);
    std::vector<lane> lanes(1);
    bool in_order = true;
    for (auto _ : state) {
        lanes[0].push(queue, 0, batch);
        if (pop(queue, lanes, batch, in_order) != batch || !in_order) {
            state.SkipWithError("a record was lost, doubled or overtaken");
            break;
        }
    }
    micro::tell_per_item(state, batch);
}
BENCHMARK(alone)->ArgName("batch")->Arg(1)->Arg(16)->Arg(64);

void crossing(benchmark::State& state) {
    constexpr std::size_t count = 100'000;
    const auto batch = static_cast<std::size_t>(state.range(0));
    const auto producers = static_cast<std::size_t>(state.range(1));
    completion_queue queue(producers);
    std::vector<lane> lanes(producers);
    // Last: joined before what they use is gone.
    std::vector<std::jthread> threads;
    for (std::size_t number = 0; number < producers; ++number) {
        threads.emplace_back([&queue, &mine = lanes[number], number, batch](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                mine.may_push(batch) ? mine.push(queue, number, batch) : std::this_thread::yield();
            }
        });
    }
    bool in_order = true;
    for (auto _ : state) {
        for (std::size_t popped = 0; popped < count && in_order;) {
            const std::size_t found = pop(queue, lanes, batch, in_order);
            if (found == 0) std::this_thread::yield();
            popped += found;
        }
        if (!in_order) {
            state.SkipWithError("a record was lost, doubled or overtaken");
            break;
        }
    }
    micro::tell_per_item(state, count);
}
BENCHMARK(crossing)->ArgNames({"batch", "producers"})->ArgsProduct({{1, 16, 64}, {1, 2}})->Apply(micro::with_threads);

}  // namespace

BENCHMARK_MAIN();
