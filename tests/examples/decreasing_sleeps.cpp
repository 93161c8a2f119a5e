// SPDX-License-Identifier: MIT
// Task n sleeps 1/n seconds, and at most ten sleep at a time. Each is shown as it awakes, and the next one begins; so
// the first one, which sleeps longest, is overtaken by many, and the hundred together take about as long as it does.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    std::atomic<int> asleep{0};
    std::atomic<bool> too_many{false};
    auto sleeper = [&](int n) -> penstock::task<int> {
        if (++asleep > 10) too_many = true;
        co_await penstock::sleep_for(std::chrono::duration<double>(1.0 / n));
        --asleep;
        co_return n;
    };

    penstock::executor ex;
    std::vector<int> awoken;
    for (auto& done : penstock::as_completed(ex, std::views::iota(1, 101), sleeper, 10)) {
        awoken.push_back(done.get());
        std::printf("%d ", awoken.back());
    }
    std::printf("\n");
    return awoken.size() == 100 && !too_many ? 0 : 1;
}
