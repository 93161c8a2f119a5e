// SPDX-License-Identifier: MIT
/// What the tasks of every workload do, and who did it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace benchmarks {

using clock = std::chrono::steady_clock;

/// So many rounds of arithmetic; gives `value` back. Fixed work, not a fixed time: who makes it wait for its core is slower,
/// not equally fast.
inline std::uint64_t work(std::uint64_t value, std::size_t turns) noexcept {
    std::uint64_t mixed = value;
    for (std::size_t turn = 0; turn < turns; ++turn) {
        mixed = mixed * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : "+r"(mixed));
    }
    asm volatile("" : : "r"(mixed));
    return value;
}

/// How long a turn takes on a core that has nothing else to do.
inline std::chrono::duration<double, std::nano> length_of_a_turn() {
    constexpr std::size_t probe = 2'000'000;
    auto fastest = clock::duration::max();
    for (int round = 0; round < 5; ++round) {
        const auto begin = clock::now();
        work(1, probe);
        fastest = std::min(fastest, clock::now() - begin);
    }
    return std::chrono::duration<double, std::nano>(fastest) / probe;
}

/// How many tasks each thread has run. Counting costs one increment of the thread's own. Where threads come and go, one that
/// begins goes on with the count of one that has ended.
class tasks_by_thread {
public:
    static void count() noexcept {
        static thread_local const seat here;
        ++here.taken.count;
    }
    /// The calling thread first, then the others, in the order of their first task. While no task runs.
    static std::vector<std::size_t> counts() {
        count();
        const std::lock_guard guard(mutex());
        std::vector<std::size_t> found;
        for (const auto& each : all()) {
            if (each->sitter == std::this_thread::get_id()) found.insert(found.begin(), each->count - 1);
            else if (each->count > 0) found.push_back(each->count);
        }
        return found;
    }
    static void reset() {
        const std::lock_guard guard(mutex());
        for (const auto& each : all()) each->count = 0;
    }

private:
    struct alignas(64) cell {
        std::size_t count = 0;
        std::thread::id sitter{};
    };
    /// A thread's right to a cell.
    struct seat {
        seat() : taken(find()) {}
        seat(const seat&) = delete;
        seat& operator=(const seat&) = delete;
        ~seat() {
            const std::lock_guard guard(mutex());
            taken.sitter = {};
        }
        cell& taken;
    };
    static std::mutex& mutex() {
        static std::mutex instance;
        return instance;
    }
    static std::vector<std::unique_ptr<cell>>& all() {
        static std::vector<std::unique_ptr<cell>> instance;
        return instance;
    }
    static cell& find() {
        const std::lock_guard guard(mutex());
        auto free = std::find_if(all().begin(), all().end(), [](const auto& each) { return each->sitter == std::thread::id(); });
        if (free == all().end()) free = all().insert(free, std::make_unique<cell>());
        (*free)->sitter = std::this_thread::get_id();
        return **free;
    }
};

}  // namespace benchmarks
