// SPDX-License-Identifier: MIT
/// Ends the process, with the name of the test, when a test hangs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "waiting.hpp"

namespace support {

/// Every program that includes this header has one.
class watchdog final : public ::testing::EmptyTestEventListener {
public:
    static constexpr std::chrono::seconds bound{sanitized ? 600 : 60};

    void OnTestStart(const ::testing::TestInfo& test) override {
        const std::lock_guard guard(mutex_);
        name_ = std::string(test.test_suite_name()) + "." + test.name();
        until_ = std::chrono::steady_clock::now() + bound;
        running_ = true;
        if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    }
    void OnTestEnd(const ::testing::TestInfo&) override {
        const std::lock_guard guard(mutex_);
        running_ = false;
    }
    ~watchdog() override {
        thread_.request_stop();
        changed_.notify_all();
    }

private:
    void watch(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            changed_.wait_for(lock, std::chrono::milliseconds(200));
            if (running_ && std::chrono::steady_clock::now() > until_) {
                std::fprintf(stderr, "HANG: %s has not ended within %lld s\n", name_.c_str(),
                             static_cast<long long>(bound.count()));
                std::abort();
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string name_;
    std::chrono::steady_clock::time_point until_;
    bool running_ = false;
    std::jthread thread_;
};

inline const bool watched = [] {
    ::testing::UnitTest::GetInstance()->listeners().Append(new watchdog);  // which GoogleTest deletes
    return true;
}();

}  // namespace support
