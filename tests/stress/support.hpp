// SPDX-License-Identifier: MIT
/// What the scenarios share: an endless range of inputs, a counter of what runs at once, waiting for something to come
/// true.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ranges>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "stress/environment.hpp"
#include "stress/random_numbers.hpp"
#include "stress/tracked.hpp"
#include "stress/watchdog.hpp"

namespace stress {

inline auto numbers(std::size_t n) { return std::views::iota(std::size_t(0), n); }
inline auto endless() { return std::views::iota(std::size_t(0)); }

/// Counts how many are inside, and the most there ever were.
class crowd {
public:
    class member {
    public:
        explicit member(crowd& of) : of_(of) {
            const std::size_t now = of.inside_.fetch_add(1) + 1;
            std::size_t most = of.most_;
            while (now > most && !of.most_.compare_exchange_weak(most, now)) {
            }
        }
        member(const member&) = delete;
        member& operator=(const member&) = delete;
        ~member() { of_.inside_.fetch_sub(1); }

    private:
        crowd& of_;
    };
    std::size_t inside() const { return inside_; }
    std::size_t most() const { return most_; }

private:
    std::atomic<std::size_t> inside_{0};
    std::atomic<std::size_t> most_{0};
};

inline void busy_for(std::chrono::nanoseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
}

/// For what must come true sooner or later: the watchdog, not a time limit, tells if it does not.
template <class Condition>
void wait_until(Condition condition) {
    while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

/// A scenario: whatever hangs is reported with the test's name, and no object may be left at the end.
class Scenario : public testing::Test {
protected:
    void TearDown() override {
        EXPECT_EQ(violations::take(), "");
        EXPECT_EQ(tracked::living(), living_) << "objects are left, or were destroyed twice";
    }

private:
    static std::string name() {
        const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
        return info ? std::string(info->test_suite_name()) + "." + info->name() : "";
    }
    const long living_ = tracked::living();
    watchdog dog_{name};
};

}  // namespace stress
