// expect: a task's result must be movable
// SPDX-License-Identifier: MIT
#include <atomic>
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1};
    auto stream = penstock::as_completed(
        ex, inputs, [](int) { return std::atomic<int>(1); }, 1);
}
