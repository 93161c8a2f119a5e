// expect: pass the container as an rvalue
// SPDX-License-Identifier: MIT
#include <memory>
#include <vector>

#include <penstock/penstock.hpp>

struct job {
    std::unique_ptr<int> held;
    int operator()() { return *held; }
};

int main() {
    penstock::executor ex;
    std::vector<job> jobs;
    auto stream = penstock::as_completed(ex, jobs, 1);
}
