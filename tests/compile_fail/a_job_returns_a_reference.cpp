// expect: a task must not return a reference
// SPDX-License-Identifier: MIT
#include <vector>

#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    const std::vector<int& (*)()> jobs;
    auto stream = penstock::as_completed(ex, jobs, 1);
}
