// expect: a task must not return a reference
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

int target = 0;

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1};
    auto stream = penstock::as_completed(
        ex, inputs, [](int) -> int& { return target; }, 1);
}
