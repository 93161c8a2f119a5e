// SPDX-License-Identifier: MIT
// Requests to a service that drops every third and never answers every fifth: each gets 50 ms, and up to six attempts.
// While one waits for its next attempt, another has its place.
//   flaky_service [REQUESTS]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <stdexcept>
#include <string>

#include <penstock/penstock.hpp>

using namespace std::chrono_literals;

class flaky_service {
public:
    penstock::task<int> ask(int question) {
        const int request = ++requests_;
        co_await penstock::sleep_for(2ms);
        if (request % 3 == 0) throw std::runtime_error("the connection was dropped");
        if (request % 5 == 0) co_await penstock::sleep_for(1h);
        co_return 2 * question;
    }
    int requests() const { return requests_; }

private:
    std::atomic<int> requests_{0};
};

int main(int argc, char** argv) {
    const int questions = argc > 1 ? std::stoi(argv[1]) : 200;
    penstock::executor ex;
    flaky_service service;
    const penstock::options settings{
        .limit = 16, .task_timeout = 50ms, .retry = penstock::retry_policy{.attempts = 6, .first_delay = 5ms}};
    int answers = 0;
    int lost = 0;
    unsigned attempts = 0;
    auto ask = [&](int question) { return service.ask(question); };
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, questions), ask, settings)) {
        attempts += done.attempts();
        if (done.has_value() && done.get() == 2 * done.input()) {
            ++answers;
        } else {
            ++lost;
        }
    }
    std::printf("%d answers of %d, %d lost, %u attempts\n", answers, questions, lost, attempts);
    const bool told = attempts == static_cast<unsigned>(service.requests());
    return told && answers + lost == questions && answers > lost ? 0 : 1;
}
