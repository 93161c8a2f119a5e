// SPDX-License-Identifier: MIT
// What is there in time is used. When the deadline has passed the loop ends with `timed_out`; the tasks that still
// sleep are woken up and end with `stopped`.
//   with_a_timeout [SECONDS]
#include <chrono>
#include <cstdio>
#include <ranges>
#include <string>

#include <penstock/penstock.hpp>

using namespace std::chrono_literals;

penstock::task<int> answer(int n) {
    co_await penstock::sleep_for(n < 10 ? 0s : 1h);
    co_return n;
}

int main(int argc, char** argv) {
    const std::chrono::seconds patience(argc > 1 ? std::stoi(argv[1]) : 2);
    penstock::executor ex;
    int answers = 0;
    bool late = false;
    try {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        for (auto& done :
             penstock::as_completed(ex, std::views::iota(0, 100), answer, {.limit = 30, .deadline = deadline})) {
            std::printf("%d ", done.get());
            ++answers;
        }
    } catch (const penstock::timed_out&) {
        late = true;
    }
    std::printf("%s\n", late ? "and then it was too late" : "");
    return late && answers == 10 ? 0 : 1;
}
