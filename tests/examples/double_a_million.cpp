// SPDX-License-Identifier: MIT
// A million tasks of one second each, 100,000 at a time: some ten seconds, and as much memory as 100,000 of them take.
//   double_a_million [COUNT [LIMIT]]
#include <chrono>
#include <cstdio>
#include <ranges>
#include <string>

#include <penstock/penstock.hpp>

using namespace std::chrono_literals;

penstock::task<int> twice(int x) {
    co_await penstock::sleep_for(1s);
    co_return 2 * x;
}

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::stoi(argv[1]) : 1'000'000;
    const int limit = argc > 2 ? std::stoi(argv[2]) : 100'000;
    const auto started = std::chrono::steady_clock::now();

    penstock::executor ex;
    long long sum = 0;
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, count), twice, limit)) sum += done.get();

    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const int rounds = (count + limit - 1) / limit;
    std::printf("%d doubled, %d at a time, in %.2f s; never less than %d s\n", count, limit, took.count(), rounds);
    return sum == static_cast<long long>(count) * (count - 1) && took >= rounds * 1s ? 0 : 1;
}
