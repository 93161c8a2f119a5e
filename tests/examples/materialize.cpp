// SPDX-License-Identifier: MIT
// Results in the order of the inputs, though the tasks end in any order; and the inputs never end. What is pulled ahead
// of the loop is bounded, so that leaving the loop wastes little.
#include <chrono>
#include <cstdio>
#include <ranges>

#include <penstock/penstock.hpp>

penstock::task<long> square(long n) {
    co_await penstock::sleep_for(std::chrono::microseconds(n * 7919 % 5000));
    co_return (n * n);
}

int main() {
    constexpr std::size_t limit = 20;
    constexpr std::size_t buffer = 50;
    penstock::executor ex;
    auto squares = penstock::as_completed(ex, std::views::iota(0L), square,
                                          {.limit = limit, .buffer = buffer, .order = penstock::order::submission});
    long expected = 0;
    for (auto& done : squares) {
        if (done.get() != expected * expected) return 1;
        if (++expected == 1000) break;
    }
    const auto stats = squares.stats();
    std::printf("%zu taken, %zu pulled\n", stats.taken, stats.pulled);
    return expected == 1000 && stats.pulled <= stats.taken + limit + buffer ? 0 : 1;
}
