// expect: f can not be called with what the inputs give
// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1, 2, 3};
    auto stream = penstock::as_completed(
        ex, inputs, [](const std::string& s) { return s.size(); }, 1);
}
