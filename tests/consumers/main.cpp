// SPDX-License-Identifier: MIT
// What every consumer project builds: the sum of 0 to 999, with at most 8 jobs in flight.
#include <ranges>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    auto jobs = std::views::iota(0, 1000) | std::views::transform([](int i) { return [i] { return i; }; });
    long sum = 0;
    for (auto& done : penstock::as_completed(ex, jobs, 8)) sum += done.get();
    return sum == 499'500 ? 0 : 1;
}
