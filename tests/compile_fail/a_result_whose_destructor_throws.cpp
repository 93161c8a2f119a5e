// expect: the destructor of a task's result must not throw
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

struct result {
    result() = default;
    result(const result&) = default;
    ~result() noexcept(false) {}
};

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1};
    auto stream = penstock::as_completed(
        ex, inputs, [](int) { return result(); }, 1);
}
