// expect: f gives nothing to collect; use for_each
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1};
    penstock::collect(ex, inputs, [](int) {}, {.limit = 1});
}
