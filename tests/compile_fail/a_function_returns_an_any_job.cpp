// expect: a function must not return an any_job
// SPDX-License-Identifier: MIT
#include <ranges>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 3), [](int) { return penstock::any_job<int>([] { return 1; }); }, 1);
}
