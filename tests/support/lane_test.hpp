// SPDX-License-Identifier: MIT
/// The blocking lane by itself, without streams.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "blocking_lane.hpp"
#ifdef PENSTOCK_SHARED  // which hides what is inside it: the test has its own
#include "blocking_lane.cpp"
#include "blocking_threads.cpp"
#include "parker.cpp"
#endif

#include "tracked.hpp"
#include "waiting.hpp"
#include "watchdog.hpp"

namespace support {

using lane = penstock::detail::blocking_lane;

/// Counts what becomes of it.
class counted_ticket final : public penstock::detail::ticket {
public:
    counted_ticket() = default;
    explicit counted_ticket(std::function<void()> task) : task_(std::move(task)) {}

    void serve() noexcept override {
        if (task_) task_();
        served.fetch_add(1);
    }
    void refuse(std::exception_ptr why) noexcept override {
        reason = std::move(why);
        refused.fetch_add(1);
    }
    kind what() const noexcept override { return as; }
    penstock::detail::ticket_owner* owner() const noexcept override { return of; }
    bool settled() const noexcept { return served + refused > 0; }

    std::atomic<int> served{0};
    std::atomic<int> refused{0};
    std::exception_ptr reason;
    kind as = kind::record;
    penstock::detail::ticket_owner* of = nullptr;

private:
    std::function<void()> task_;
};

/// Whether each of the tickets has been served, after a while.
template <class Tickets>
bool all_served(const Tickets& tickets) {
    return eventually(
        [&] { return std::all_of(tickets.begin(), tickets.end(), [](const auto& t) { return t.served == 1; }); });
}

/// How many threads this process has. Not the entries of /proc/self/task: that listing ends where a thread dies.
inline std::size_t threads_of_process() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("Threads:")) return std::stoul(line.substr(8));
    }
    return 0;
}

class lane_test : public ::testing::Test {
protected:
    static constexpr auto long_patience = std::chrono::hours(1);
};

}  // namespace support
