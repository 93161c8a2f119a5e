// expect: must be callable without arguments
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int> jobs{1, 2, 3};
    auto stream = penstock::as_completed(ex, jobs, 1);
}
