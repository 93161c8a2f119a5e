// SPDX-License-Identifier: MIT
// Finds out how many requests a server can take at a time: one more while its answers come fast, half as many when they
// do not (additive increase, multiplicative decrease). The limit is changed while the stream runs.
//   tuned_limit [REQUESTS]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ranges>
#include <string>

#include <penstock/penstock.hpp>

using namespace std::chrono_literals;

/// Answers a request in 30 ms; if there are more than 20, each takes longer.
class server {
public:
    penstock::task<> answer() {
        const int now = ++requests_;
        for (int most = most_; most < now && !most_.compare_exchange_weak(most, now);) continue;
        co_await penstock::sleep_for(30ms * std::max(1.0, now / 20.0));
        --requests_;
    }
    int most() const { return most_; }

private:
    std::atomic<int> requests_{0}, most_{0};
};

/// Sets a gate's limit by how long the tasks took that it let in. It decides when as many have ended as the limit says.
class controller {
public:
    explicit controller(penstock::gate& gate) : gate_(gate) {}

    /// `pulled`: how many tasks there are by now.
    void saw(std::size_t task, std::chrono::nanoseconds latency, std::size_t pulled) {
        if (task < cut_at_) return;
        if (latency > 45ms) ++slow_;
        if (++seen_ < limit_) return;
        const bool cut = 2 * slow_ > seen_;
        if (cut) std::printf("%zu at a time are too many\n", limit_);
        if (cut) cut_at_ = pulled;  // what has begun by now says nothing about the new limit
        limit_ = cut ? std::max<std::size_t>(limit_ / 2, 1) : limit_ + 1;
        highest_ = std::max(highest_, limit_);
        seen_ = slow_ = 0;
        gate_.set_limits({.in_flight = limit_});
    }
    std::size_t highest() const { return highest_; }

private:
    penstock::gate& gate_;
    std::size_t limit_ = gate_.limits().in_flight;
    std::size_t highest_ = limit_, seen_ = 0, slow_ = 0, cut_at_ = 0;
};

int main(int argc, char** argv) {
    const std::size_t requests = argc > 1 ? std::stoul(argv[1]) : 800;
    server remote;
    penstock::gate gate(10);
    controller control(gate);
    auto ask = [&](std::size_t) { return remote.answer(); };

    penstock::executor ex;
    auto answers = penstock::as_completed(ex, std::views::iota(std::size_t{0}, requests), ask,
                                          {.limit = 200, .shared = &gate, .measure = true});
    for (auto& done : answers) {
        done.get();
        control.saw(done.index(), done.elapsed(), answers.stats().pulled);
    }

    const std::size_t answered = answers.stats().taken;
    std::printf("%zu answers; at most %d requests at a time\n", answered, remote.most());
    const bool too_many = remote.most() > static_cast<int>(control.highest());
    if (too_many) std::fprintf(stderr, "no more than %zu were allowed\n", control.highest());
    if (answered != requests) std::fprintf(stderr, "there were to be %zu\n", requests);
    return !too_many && answered == requests ? 0 : 1;
}
