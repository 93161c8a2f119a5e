// SPDX-License-Identifier: MIT
/// Streams of blocking jobs, in both of their forms; and how tests keep threads busy.
#pragma once

#include <concepts>
#include <cstddef>
#include <future>
#include <optional>
#include <ranges>
#include <stop_token>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"

namespace support {

/// body(input), or body(input, token), as a job that may block.
template <class Body, class In>
auto blocking_call(const Body& body, In input) {
    if constexpr (std::invocable<const Body&, const In&, std::stop_token>) {
        return penstock::blocking([body, input](std::stop_token token) { return body(input, std::move(token)); });
    } else {
        return penstock::blocking([body, input] { return body(input); });
    }
}

/// Starts a stream whose producer gives blocking jobs. `inputs` is a view, or a callable that returns an optional.
struct as_elements {
    template <class Inputs, class Body>
    auto operator()(penstock::executor& ex, Inputs inputs, Body body, const penstock::options& settings) const {
        if constexpr (std::ranges::view<Inputs>) {
            return penstock::as_completed(
                ex, inputs | std::views::transform([body](auto input) { return blocking_call(body, input); }),
                settings);
        } else {
            using job = decltype(blocking_call(body, *inputs()));
            return penstock::as_completed(
                ex,
                [inputs, body]() mutable -> std::optional<job> {
                    auto input = inputs();
                    if (!input) return std::nullopt;
                    return blocking_call(body, *input);
                },
                settings);
        }
    }
};

/// Starts a stream whose function returns blocking jobs.
struct as_returned {
    template <class Inputs, class Body>
    auto operator()(penstock::executor& ex, Inputs inputs, Body body, const penstock::options& settings) const {
        return penstock::as_completed(
            ex, std::move(inputs), [body](auto& input) { return blocking_call(body, input); }, settings);
    }
};

/// Calls test(start) with as_elements and with as_returned.
template <class Test>
void in_both_forms(Test test) {
    {
        SCOPED_TRACE("jobs as elements");
        test(as_elements{});
    }
    {
        SCOPED_TRACE("jobs that a function returns");
        test(as_returned{});
    }
}

/// Keeps every worker of an executor busy for as long as it lives.
class busy_workers {
public:
    explicit busy_workers(penstock::executor& ex) : all_(ex.workers() + 1) {
        for (std::size_t i = 0; i < ex.workers(); ++i) {
            tasks_.push_back(ex.submit([this] {
                EXPECT_TRUE(all_.arrive());
                EXPECT_TRUE(over_.wait());
            }));
        }
        EXPECT_TRUE(all_.arrive());
    }
    busy_workers(const busy_workers&) = delete;
    busy_workers& operator=(const busy_workers&) = delete;
    ~busy_workers() {
        over_.open();
        for (auto& task : tasks_) task.get();
    }

private:
    rendezvous all_;
    latch over_;
    std::vector<std::future<void>> tasks_;
};

/// Keeps so many blocking threads of an executor busy for as long as it lives.
class busy_threads {
public:
    busy_threads(penstock::executor& ex, std::size_t count)
        : all_(count + 1), stream_(penstock::as_completed(
                               ex, std::views::iota(std::size_t{0}, count),
                               [this](std::size_t) {
                                   return penstock::blocking([this] {
                                       EXPECT_TRUE(all_.arrive());
                                       EXPECT_TRUE(over_.wait());
                                   });
                               },
                               count)) {
        EXPECT_TRUE(all_.arrive());
    }
    busy_threads(const busy_threads&) = delete;
    busy_threads& operator=(const busy_threads&) = delete;
    ~busy_threads() {
        over_.open();
        drain(stream_);
    }

private:
    rendezvous all_;
    latch over_;
    penstock::completion_stream<void, std::size_t> stream_;
};

}  // namespace support
