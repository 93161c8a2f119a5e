// SPDX-License-Identifier: MIT
/// What every contender runs: the same stream of values, through the same task, summed by one consumer.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace benchmarks {

using clock = std::chrono::steady_clock;

/// One stream: `tasks` values 0, 1, 2, …, each passed through `turns` rounds of arithmetic, `in_flight` at a time.
struct workload {
    std::size_t tasks;
    std::size_t in_flight;
    std::size_t turns;  ///< 0: an empty task
};

/// The task. Fixed work, not a fixed time: who makes it wait for its core is slower, not equally fast.
inline std::uint64_t work(std::uint64_t value, std::size_t turns) noexcept {
    std::uint64_t mixed = value;
    for (std::size_t turn = 0; turn < turns; ++turn) {
        mixed = mixed * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : "+r"(mixed));
    }
    asm volatile("" : : "r"(mixed));
    return value;
}

/// Turns that take about `length` on one core that has nothing else to do.
inline std::size_t turns_for(std::chrono::nanoseconds length) {
    constexpr std::size_t probe = 2'000'000;
    auto fastest = clock::duration::max();
    for (int round = 0; round < 5; ++round) {
        const auto begin = clock::now();
        work(1, probe);
        fastest = std::min(fastest, clock::now() - begin);
    }
    const auto each = std::chrono::duration<double>(fastest).count() / static_cast<double>(probe);
    return static_cast<std::size_t>(std::chrono::duration<double>(length).count() / each);
}

/// What a contender reports of one run.
struct outcome {
    std::chrono::duration<double, std::nano> wall{};
    std::uint64_t sum = 0;
    std::vector<double> shares;  ///< of the tasks, by thread: the consumer first, then the others
};

/// The bound that nobody beats: the tasks alone, split in advance among `threads` threads.
inline outcome run_bare(const workload& load, std::size_t threads) {
    std::vector<std::uint64_t> sums(threads * 8);
    const auto part = [&](std::size_t at) {
        std::uint64_t sum = 0;
        for (std::size_t i = load.tasks * at / threads; i < load.tasks * (at + 1) / threads; ++i) sum += work(i, load.turns);
        sums[at * 8] = sum;
    };
    const auto begin = clock::now();
    std::vector<std::jthread> others;
    for (std::size_t at = 1; at < threads; ++at) others.emplace_back(part, at);
    part(0);
    for (auto& other : others) other.join();
    outcome result{.wall = clock::now() - begin, .sum = 0, .shares = std::vector<double>(threads, 1.0 / static_cast<double>(threads))};
    for (const std::uint64_t sum : sums) result.sum += sum;
    return result;
}

}  // namespace benchmarks
