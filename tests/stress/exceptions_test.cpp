// SPDX-License-Identifier: MIT
/// S24, S25, S26, S28, S31, S32: what tasks and producers throw, and how long it lives.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "stress/support.hpp"

namespace stress {
namespace {

class Exceptions : public Scenario {};

struct error : std::runtime_error {
    explicit error(std::size_t at) : std::runtime_error("task " + std::to_string(at)), index(at) {}
    std::size_t index;
    tracked life;
};

/// S25, S26
TEST_F(Exceptions, AProducerThatThrowsIsHeardAfterEverythingThatItGave) {
    constexpr std::size_t limit = 4;
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(100); ++round) {
        for (const std::size_t k : {std::size_t(0), std::size_t(1), limit, std::size_t(30)}) {
            for (const bool tasks_throw_too : {false, true}) {
                watchdog::progress();
                std::atomic<std::size_t> calls{0};
                const auto source = [&]() -> std::optional<std::size_t> {
                    if (calls++ == k) throw error(k);
                    return 7;
                };
                const auto task = [&](std::size_t) -> std::size_t {
                    return tasks_throw_too ? throw std::logic_error("task") : 1;
                };
                auto stream = penstock::as_completed(ex, source, task, {.limit = limit, .help = round % 2 == 0});
                std::size_t taken = 0;
                try {
                    while (stream.next()) ++taken;
                    ADD_FAILURE() << "the producer's exception is lost";
                } catch (const error& thrown) {
                    EXPECT_EQ(thrown.index, k);
                }
                EXPECT_EQ(taken, k);
                EXPECT_FALSE(stream.next());
                EXPECT_EQ(calls, k + 1) << "never again after a throw";
            }
        }
    }
}

/// S28. One exception, looked at and let go by many threads.
TEST_F(Exceptions, AnExceptionLivesAsLongAsAnybodyHoldsIt) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(300); ++round) {
        watchdog::progress();
        std::vector<std::exception_ptr> kept;
        const auto shared = std::make_exception_ptr(error(1000));
        {
            const auto task = [&](std::size_t i) -> std::size_t {
                i % 2 ? std::rethrow_exception(shared) : throw error(i);
            };
            auto stream = penstock::as_completed(ex, numbers(20), task, {.limit = 7});
            while (auto done = stream.next()) kept.push_back(done->error());
        }
        std::array<std::thread, 3> threads;
        for (std::thread& thread : threads) {
            thread = std::thread([mine = kept] {
                for (const std::exception_ptr& each : mine) {
                    try {
                        std::rethrow_exception(each);
                    } catch (const error& thrown) {
                        thrown.life.must_live("caught");
                        if (thrown.what() != "task " + std::to_string(thrown.index))
                            violations::add("an exception's text is torn");
                    }
                }
            });
        }
        // libstdc++.so counts an exception's owners where ThreadSanitizer does not see it: there the last must be this
        // one.
        if (!under_tsan) kept.clear();
        for (std::thread& thread : threads) thread.join();
    }
}

/// S24
TEST_F(Exceptions, WhateverIsThrownIsAnOutcome) {
    struct hostile {
        hostile() = default;
        hostile(const hostile&) { throw std::runtime_error("copied"); }
    };
    penstock::executor ex(2);
    const auto task = [](std::size_t i) {
        switch (i % 4) {
        case 0:
            throw static_cast<int>(i);
        case 1:
            throw "a literal";
        case 2: {
            std::exception_ptr deep = std::make_exception_ptr(std::runtime_error("the first"));
            for (int depth = 0; depth < 1000; ++depth) {
                try {
                    try {
                        std::rethrow_exception(deep);
                    } catch (...) {
                        std::throw_with_nested(std::runtime_error("the next"));
                    }
                } catch (...) {
                    deep = std::current_exception();
                }
            }
            std::rethrow_exception(deep);
        }
        default:
            throw hostile();
        }
    };
    std::size_t errors = 0;
    for (auto& done : penstock::as_completed(ex, numbers(scaled(400)), task, 8)) {
        watchdog::progress();
        EXPECT_FALSE(done.has_value());
        EXPECT_TRUE(done.error());
        ++errors;
    }
    EXPECT_EQ(errors, scaled(400));
}

/// S31
TEST_F(Exceptions, WhenTheFirstErrorIsThrownEverythingHasEndedAndNothingIsStarted) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        penstock::executor ex(workers);
        for (std::size_t round = 0; round < scaled(400); ++round) {
            watchdog::progress();
            std::atomic<std::size_t> started{0};
            std::atomic<std::size_t> ended{0};
            const std::size_t k = round % 40;
            const auto task = [&](std::size_t i) -> std::size_t {
                ++started;
                if (i % 5 == 0) busy_for(std::chrono::microseconds(i % 30));
                ++ended;
                return i == k ? throw error(k) : i;
            };
            const penstock::options settings{.limit = 6,
                                             .order =
                                                 round % 2 ? penstock::order::completion : penstock::order::submission,
                                             .on_error = penstock::on_error::stop,
                                             .help = round % 3 != 0};
            auto stream = penstock::as_completed(ex, endless(), task, settings);
            std::size_t taken = 0;
            try {
                while (auto done = stream.next()) taken += done->has_value();
                ADD_FAILURE() << "an endless stream has ended";
            } catch (const error& thrown) {
                EXPECT_EQ(thrown.index, k);
            }
            EXPECT_EQ(started, ended);
            const std::size_t then = started;
            if (round % 2 == 0) {
                EXPECT_EQ(taken, k) << "as the sequential loop";
            }
            EXPECT_EQ(stream.stats().failed, 1U);
            EXPECT_FALSE(stream.next());
            for (int look = 0; look < 20; ++look) std::this_thread::yield();
            EXPECT_EQ(started, then);
        }
    }
}

/// S32
TEST_F(Exceptions, AHundredThousandExceptionsAreAHundredThousandResults) {
    penstock::executor ex(2);
    const std::size_t n = scaled(100'000);
    const auto task = [](std::size_t i) -> std::size_t { throw error(i); };
    std::size_t count = 0;
    long most = 0;
    const long before = tracked::living();
    auto stream = penstock::as_completed(ex, numbers(n), task, {.limit = 8, .buffer = 8});
    while (auto done = stream.next()) {
        watchdog::progress();
        EXPECT_FALSE(done->has_value());
        most = std::max(most, tracked::living() - before);
        ++count;
    }
    EXPECT_EQ(count, n);
    EXPECT_EQ(stream.stats().failed, n);
    EXPECT_LE(most, 16 + 1 + 3) << "one for each in the window, with the consumer, and on its way";
}

}  // namespace
}  // namespace stress
