// SPDX-License-Identifier: MIT
// An error is a result like any other; or, if you say so, the end of the stream.
#include <chrono>
#include <cstdio>
#include <ranges>
#include <stdexcept>

#include <penstock/penstock.hpp>

penstock::task<int> unlucky(int n) {
    co_await penstock::sleep_for(std::chrono::milliseconds(n % 3));
    if (n == 13) throw std::runtime_error("thirteen");
    co_return n;
}

int main() {
    penstock::executor ex;
    int values = 0;
    int errors = 0;
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, 20), unlucky, 5)) {
        try {
            done.get();
            ++values;
        } catch (const std::runtime_error& error) {
            std::printf("input %d failed: %s\n", done.input(), error.what());
            ++errors;
        }
    }
    if (values != 19 || errors != 1) return 1;

    // Fail fast: the endless source is not pulled any more, what runs is stopped, and the loop throws the first error.
    try {
        auto settings = penstock::options{.limit = 5, .on_error = penstock::on_error::stop};
        for (auto& done : penstock::as_completed(ex, std::views::iota(0), unlucky, settings)) done.get();
    } catch (const std::runtime_error& error) {
        std::printf("stopped by: %s\n", error.what());
        return 0;
    }
    return 1;
}
