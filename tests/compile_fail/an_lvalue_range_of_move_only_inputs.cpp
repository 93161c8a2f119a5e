// expect: pass the container as an rvalue
// SPDX-License-Identifier: MIT
#include <memory>
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    std::vector<std::unique_ptr<int>> inputs;
    auto stream = penstock::as_completed(
        ex, inputs, [](const std::unique_ptr<int>& p) { return *p; }, 1);
}
