// SPDX-License-Identifier: MIT
/// What waits without a thread, and what waits on one. sleeping_tasks.py runs the first beside the same in other
/// languages.
///
///     sleeping_tasks asleep [TASKS [LIMIT]]
///         tasks that sleep for a second, LIMIT at a time (1,000,000 and 100,000): prints the seconds that they took
///         together, and the sum of their results
///     sleeping_tasks beside [ROUNDS]
///         CPU jobs in a stream, alone and while 1,000 blocking jobs sleep in another one on the same executor,
///         alternating (9 rounds): prints medians and their ratio
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <ranges>
#include <string_view>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "workload.hpp"

namespace {

using namespace benchmarks;
using namespace std::chrono_literals;

double seconds_since(clock::time_point begin) { return std::chrono::duration<double>(clock::now() - begin).count(); }

penstock::task<std::int64_t> doubled(int x) {
    co_await penstock::sleep_for(1s);
    co_return std::int64_t{2} * x;
}

int asleep(int tasks, std::size_t limit) {
    penstock::executor ex;
    const auto begin = clock::now();
    std::int64_t sum = 0;
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, tasks), doubled, limit)) sum += done.get();
    std::printf("%.4f %lld\n", seconds_since(begin), static_cast<long long>(sum));
    return 0;
}

constexpr std::size_t sleepers = 1'000;

/// How many CPU jobs a second.
double speed(penstock::executor& ex, std::size_t turns) {
    constexpr int jobs = 40'000;
    const auto begin = clock::now();
    std::uint64_t sum = 0;
    const auto job = [turns](int x) { return work(static_cast<std::uint64_t>(x), turns); };
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, jobs), job, 64)) sum += done.get();
    const double speed = jobs / seconds_since(begin);
    if (sum != std::uint64_t{jobs} * (jobs - 1) / 2) std::exit(1);
    return speed;
}

double speed_beside_sleepers(penstock::executor& ex, std::size_t turns) {
    std::atomic<std::size_t> sleeping = 0;
    std::atomic<bool> awake = false;
    const auto sleep = [&](int) {
        return penstock::blocking([&] {
            ++sleeping;
            awake.wait(false);
        });
    };
    auto stream = penstock::as_completed(ex, std::views::iota(0, static_cast<int>(sleepers)), sleep, sleepers);
    while (sleeping < sleepers) std::this_thread::sleep_for(1ms);
    const double found = speed(ex, turns);
    awake = true;
    awake.notify_all();
    for (auto& done : stream) done.get();
    return found;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int beside(int rounds) {
    penstock::executor_options settings;
    settings.max_blocking_threads = sleepers;
    penstock::executor ex(settings);
    const std::size_t turns = turns_for(20us);
    speed_beside_sleepers(ex, turns);  // makes the threads
    std::vector<double> alone;
    std::vector<double> together;
    std::vector<double> ratios;
    for (int round = 0; round < rounds; ++round) {
        alone.push_back(speed(ex, turns));
        together.push_back(speed_beside_sleepers(ex, turns));
        ratios.push_back(together.back() / alone.back());
    }
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("CPU jobs a second: %.0f alone, %.0f beside %zu sleeping blocking jobs (medians of %d)\n",
                median(alone), median(together), sleepers, rounds);
    std::printf("ratio of medians %.3f, round by round %.3f - %.3f\n", median(together) / median(alone), *least, *most);
    return 0;
}

int number(int argc, char** argv, int at, int otherwise) {
    return argc > at ? std::max(std::atoi(argv[at]), 1) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "asleep") {
        return asleep(number(argc, argv, 2, 1'000'000), static_cast<std::size_t>(number(argc, argv, 3, 100'000)));
    }
    if (what == "beside") return beside(number(argc, argv, 2, 9));
    std::fprintf(stderr, "usage: sleeping_tasks asleep [TASKS [LIMIT]] | beside [ROUNDS]\n");
    return 2;
}
