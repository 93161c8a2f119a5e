// SPDX-License-Identifier: MIT
/// C9: a throw anywhere on the way of a task becomes that task's outcome, and nothing is lost or leaked by it (S7, S24,
/// S27).
#include <atomic>
#include <cstddef>
#include <exception>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::test_error;
using support::tracked;
using support::tracked_value;

/// Set while the producer itself handles a job: what it throws then is its own affair.
thread_local bool in_producer = false;

/// Throws when it is moved or copied into the stream.
template <bool Movable>
struct volatile_input : tracked {
    volatile_input(long v, bool bad) : value(v), throws(bad) {}
    volatile_input(const volatile_input& other) : tracked(other), value(other.value), throws(other.throws) { go_off(); }
    volatile_input(volatile_input&& other) requires Movable : tracked(std::move(other)),
                                                              value(other.value),
                                                              throws(other.throws) {
        go_off();
    }
    void go_off() const {
        if (throws && !in_producer) throw test_error(value);
    }
    long value;
    bool throws;
};

template <bool Movable>
struct volatile_job : volatile_input<Movable> {
    using volatile_input<Movable>::volatile_input;
    long operator()() const { return this->value; }
};

/// Throws at its `left`-th move or copy.
template <bool Movable>
struct volatile_result : tracked {
    volatile_result(long v, int moves) : value(v), left(moves) {}
    volatile_result(const volatile_result& other) : tracked(other), value(other.value), left(other.left) { count(); }
    volatile_result(volatile_result&& other) requires Movable : tracked(std::move(other)),
                                                                value(other.value),
                                                                left(other.left) {
        count();
    }
    void count() {
        if (left > 0 && --left == 0) throw test_error(value);
    }
    long value;
    int left;
};

class Throwing : public support::contract_test {
protected:
    static constexpr std::size_t limit = 3;
    static constexpr long last = 2 * static_cast<long>(limit) + 2;
    static constexpr long tasks = 40;

    /// Everything is delivered, once; `bad` alone is an error, and it is that one's own.
    template <class Stream>
    void expect_one_error(Stream& stream, long bad) {
        std::vector<int> seen(static_cast<std::size_t>(tasks));
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
INSTANTIATE_TEST_SUITE_P(, Throwing, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Throwing, TheBody) {
    for (long bad = 0; bad <= last; ++bad) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0L, tasks),
            [bad](long i) {
                if (i == bad) throw test_error(i);
                return tracked_value(i);
            },
            with(limit));
        expect_one_error(stream, bad);
    }
}

TEST_P(Throwing, TheMoveOfAJob) {
    for (long bad = 0; bad <= last; ++bad) {
        long next = 0;
        auto source = [&]() -> std::optional<volatile_job<true>> {
            if (next == tasks) return std::nullopt;
            const long i = next++;
            return std::optional<volatile_job<true>>(std::in_place, i, i == bad);
        };
        auto stream = penstock::as_completed(ex, source, with(limit));
        expect_one_error(stream, bad);
    }
}

TEST_P(Throwing, TheCopyOfAJobFromALvalueRange) {
    for (long bad = 0; bad <= last; ++bad) {
        std::vector<volatile_job<false>> jobs;
        in_producer = true;
        jobs.reserve(static_cast<std::size_t>(tasks));
        for (long i = 0; i < tasks; ++i) jobs.emplace_back(i, i == bad);
        in_producer = false;
        auto stream = penstock::as_completed(ex, jobs, with(limit));
        expect_one_error(stream, bad);
    }
}

TEST_P(Throwing, TheMoveOfAnInput) {
    for (long bad = 0; bad <= last; ++bad) {
        std::vector<volatile_input<true>> inputs;
        in_producer = true;
        for (long i = 0; i < tasks; ++i) inputs.emplace_back(i, i == bad);
        in_producer = false;
        std::atomic<long> ran{0};
        auto stream = penstock::as_completed(
            ex, std::move(inputs),
            [&](const volatile_input<true>& in) {
                ++ran;
                return in.value;
            },
            with(limit));
        expect_one_error(stream, bad);
        EXPECT_EQ(ran, tasks - 1) << "a task without its input must not run";
    }
}

TEST_P(Throwing, TheMoveOfAResultAtEachOfItsMoves) {
    for (int move = 1; move <= 3; ++move) {
        for (long bad = 0; bad <= last; ++bad) {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0L, tasks), [=](long i) { return volatile_result<true>(i, i == bad ? move : 0); },
                with(limit));
            expect_one_error(stream, bad);
        }
    }
}

TEST_P(Throwing, TheCopyOfAResultThatCanNotBeMoved) {
    for (int copy = 1; copy <= 3; ++copy) {
        for (long bad = 0; bad <= last; ++bad) {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0L, tasks), [=](long i) { return volatile_result<false>(i, i == bad ? copy : 0); },
                with(limit));
            expect_one_error(stream, bad);
        }
    }
}

TEST_P(Throwing, AnExceptionOfAnyType) {
    struct odd {
        long code;
    };
    auto stream = penstock::as_completed(
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
}

TEST_P(Throwing, EveryTask) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 5000), [](int i) -> int { throw test_error(i); }, with(8));
    std::size_t errors = 0;
    while (auto done = stream.next()) {
        EXPECT_FALSE(done->has_value());
        EXPECT_NE(done->error(), nullptr);
        ++errors;
    }
    EXPECT_EQ(errors, 5000U);
    EXPECT_EQ(stream.stats().failed, 5000U);
}

}  // namespace
