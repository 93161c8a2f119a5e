// expect: a task must not return a reference
// SPDX-License-Identifier: MIT
#include <ranges>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    int shared = 0;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 3), [&](int) { return penstock::blocking([&]() -> int& { return shared; }); }, 1);
}
