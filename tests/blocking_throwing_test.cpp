// SPDX-License-Identifier: MIT
/// C9 with blocking jobs: a throw anywhere on a job's longer way becomes its own outcome, and nothing is lost by it
/// (S7, S24, S27, S28).
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using penstock::blocking;
using support::in_both_forms;
using support::test_error;
using support::tracked;
using support::tracked_value;

/// Throws at its `left`-th move; as a job it gives its value.
struct volatile_thing : tracked {
    volatile_thing(long v, int moves) : value(v), left(moves) {}
    volatile_thing(volatile_thing&& other) : tracked(std::move(other)), value(other.value), left(other.left) {
        if (left > 0 && --left == 0) throw test_error(value);
    }
    volatile_thing& operator=(volatile_thing&&) = delete;
    long operator()() const { return value; }
    long value;
    int left;
};

class BlockingThrowing : public support::contract_test {
protected:
    static constexpr std::size_t limit = 3;
    static constexpr long last = 2 * static_cast<long>(limit) + 2;
    static constexpr long jobs = 40;

    /// Everything is delivered, once; `bad` alone is an error, and it is that one's own.
    template <class Stream>
    void expect_one_error(Stream& stream, long bad) {
        std::vector<int> seen(static_cast<std::size_t>(jobs));
        std::size_t errors = 0;
        while (auto done = stream.next()) {
            ++seen.at(done->index());
            try {
                static_cast<void>(done->get());
            } catch (const test_error& error) {
                ++errors;
                EXPECT_EQ(error.code, bad);
                EXPECT_EQ(done->index(), static_cast<std::size_t>(bad));
            }
        }
        EXPECT_EQ(errors, 1U) << "thrown at " << bad;
        for (const int times : seen) EXPECT_EQ(times, 1);
        EXPECT_EQ(stream.stats().running, 0U) << "a permit was lost";
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingThrowing, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(BlockingThrowing, TheBody) {
    in_both_forms([&](auto start) {
        for (long bad = 0; bad <= last; ++bad) {
            auto stream = start(
                ex, std::views::iota(0L, jobs),
                [bad](long i) {
                    if (i == bad) throw test_error(i);
                    return tracked_value(i);
                },
                with(limit));
            expect_one_error(stream, bad);
        }
    });
}

TEST_P(BlockingThrowing, TheFunctionBeforeItReturnsAJob) {
    for (long bad = 0; bad <= last; ++bad) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0L, jobs),
            [bad](long i) {
                if (i == bad) throw test_error(i);
                return blocking([i] { return tracked_value(i); });
            },
            with(limit));
        expect_one_error(stream, bad);
    }
}

TEST_P(BlockingThrowing, TheMoveOfAJobAtEachOfItsMoves) {
    using job = penstock::blocking_job<volatile_thing>;
    for (int move = 1; move <= 5; ++move) {
        for (long bad = 0; bad <= last; ++bad) {
            std::vector<job> elements;
            elements.reserve(static_cast<std::size_t>(jobs));
            for (long i = 0; i < jobs; ++i) elements.push_back(job{volatile_thing(i, i == bad ? move + 1 : 0)});
            auto stream = penstock::as_completed(ex, std::move(elements), with(limit));
            std::size_t errors = 0;
            std::size_t count = 0;
            while (auto done = stream.next()) {
                ++count;
                if (done->has_value()) continue;
                ++errors;
                EXPECT_EQ(done->index(), static_cast<std::size_t>(bad));
                EXPECT_THROW(done->get(), test_error);
            }
            EXPECT_EQ(count, static_cast<std::size_t>(jobs));
            EXPECT_LE(errors, 1U);
            if (move == 1) {
                EXPECT_EQ(errors, 1U) << "each is moved into the stream";
            }
        }
    }
}

TEST_P(BlockingThrowing, TheMoveOfAJobThatAFunctionReturnsAtEachOfItsMoves) {
    for (int move = 1; move <= 5; ++move) {
        for (long bad = 0; bad <= last; ++bad) {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0L, jobs),
                [=](long i) { return blocking(volatile_thing(i, i == bad ? move : 0)); }, with(limit));
            std::size_t errors = 0;
            std::size_t count = 0;
            while (auto done = stream.next()) {
                ++count;
                EXPECT_EQ(done->input(), static_cast<long>(done->index()));
                if (done->has_value()) continue;
                ++errors;
                EXPECT_EQ(done->input(), bad);
            }
            EXPECT_EQ(count, static_cast<std::size_t>(jobs));
            EXPECT_LE(errors, 1U);
            if (move == 1) {
                EXPECT_EQ(errors, 1U) << "blocking() itself moves it";
            }
        }
    }
}

TEST_P(BlockingThrowing, TheMoveOfAnInput) {
    for (long bad = 0; bad <= last; ++bad) {
        std::vector<volatile_thing> inputs;
        inputs.reserve(static_cast<std::size_t>(jobs));
        for (long i = 0; i < jobs; ++i) inputs.emplace_back(i, i == bad ? 1 : 0);
        auto stream = penstock::as_completed(
            ex, std::move(inputs),
            [bad](const volatile_thing& in) {
                EXPECT_NE(in.value, bad) << "a function without its input must not be called";
                return blocking([&in] { return in.value; });
            },
            with(limit));
        while (auto done = stream.next()) {
            EXPECT_EQ(done->has_value(), static_cast<long>(done->index()) != bad);
            if (!done->has_value()) {
                EXPECT_THROW(done->input(), std::logic_error);
            }
        }
        EXPECT_EQ(stream.stats().taken, static_cast<std::size_t>(jobs));
    }
}

TEST_P(BlockingThrowing, TheMoveOfAResultAtEachOfItsMoves) {
    in_both_forms([&](auto start) {
        for (int move = 1; move <= 3; ++move) {
            for (long bad = 0; bad <= last; ++bad) {
                auto stream = start(
                    ex, std::views::iota(0L, jobs), [=](long i) { return volatile_thing(i, i == bad ? move : 0); },
                    with(limit));
                expect_one_error(stream, bad);
            }
        }
    });
}

TEST_P(BlockingThrowing, AnExceptionOfAnyType) {
    struct odd {
        long code;
    };
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 3),
            [](int i) {
                if (i == 0) throw 42;  // NOLINT: S24
                if (i == 1) throw odd{7};
                try {
                    throw test_error(1);
                } catch (...) {
                    std::throw_with_nested(std::runtime_error("outer"));
                }
            },
            with(2));
        int caught = 0;
        while (auto done = stream.next()) {
            try {
                done->get();
            } catch (const int value) {
                caught += value == 42;
            } catch (const odd& value) {
                caught += value.code == 7;
            } catch (const std::runtime_error& outer) {
                try {
                    std::rethrow_if_nested(outer);
                } catch (const test_error& inner) {
                    caught += inner.code == 1;
                }
            }
        }
        EXPECT_EQ(caught, 3);
    });
}

TEST_P(BlockingThrowing, EveryJob) {
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 2000), [](int i) -> int { throw test_error(i); }, with(8));
        std::size_t errors = 0;
        while (auto done = stream.next()) errors += done->error() != nullptr;
        EXPECT_EQ(errors, 2000U);
        EXPECT_EQ(stream.stats().failed, 2000U);
    });
}

}  // namespace
