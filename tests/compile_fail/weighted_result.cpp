// expect: its weight must be known when it is admitted
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int> inputs{1};
    penstock::as_completed(ex, inputs, [](int) { return penstock::weighted(2U, [] { return 1; }); }, 4);
}
