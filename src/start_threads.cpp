// SPDX-License-Identifier: MIT
#include "start_threads.hpp"

#include <utility>

#include "parker.hpp"

namespace penstock::inline v0::detail {
namespace {

/// Counts threads that are past their hook.
class latch {
public:
    explicit latch(std::size_t threads) noexcept : missing_(threads) {}

    void arrive(std::size_t threads, std::exception_ptr error) noexcept {
        // Woken under the lock: when wait() has had the lock after the last arrival, nobody else will touch the latch.
        const sync::lock_guard guard(mutex_);
        if (error && !error_) error_ = std::move(error);
        missing_ -= threads;
        if (missing_ == 0) all_.unpark();
    }

    std::exception_ptr wait() noexcept {
        all_.park();
        const sync::lock_guard guard(mutex_);
        return error_;
    }

private:
    sync::mutex mutex_;
    std::size_t missing_;
    std::exception_ptr error_;
    sync::parker all_;
};

std::exception_ptr error_of(const std::function<void(std::size_t)>& hook, std::size_t index) noexcept {
    try {
        hook(index);
        return nullptr;
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace

std::exception_ptr start_threads(std::vector<sync::thread>& threads, std::size_t count,
                                 const std::function<void(std::size_t)>& hook,
                                 const std::function<void(std::size_t)>& body) {
    threads.reserve(threads.size() + count);
    latch started(count);
    for (std::size_t index = 0; index < count; ++index) {
        try {
            threads.emplace_back([&started, &hook, body, index] {
                started.arrive(1, error_of(hook, index));
                body(index);
            });
        } catch (...) {
            started.arrive(count - index, std::current_exception());
            break;
        }
    }
    return started.wait();
}

}  // namespace penstock::inline v0::detail
