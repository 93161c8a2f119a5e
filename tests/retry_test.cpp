// SPDX-License-Identifier: MIT
/// options::retry: a job that fails is run again. How often, with what, and whether.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::any_job;
using penstock::retry_policy;
using penstock::task;
using std::chrono::nanoseconds;
using support::always;
using support::blocking;
using support::code;
using support::code_of;
using support::computed;
using support::eventually;
using support::failing;
using support::number;
using support::pause_and_call;
using support::suspended;
using support::test_error;
using support::tracked;
using support::tracked_unique;
using support::trials;
using support::up_to;
using support::up_to_three;
using support::work;

static_assert(std::is_aggregate_v<retry_policy>);

class Retry : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class RetryWithAndWithoutHelp : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

// --- how often

TEST_P(RetryWithAndWithoutHelp, RunsAJobAgainUntilItSucceeds) {
    in_every_kind([&](auto start) {
        trials tried(40);
        auto stream = start(ex, up_to(40), failing(tried, up_to_three), retrying(4, 4));
        expect_all(stream, 40, [&](auto& done) {
            const int i = number(done);
            EXPECT_EQ(done.attempts(), static_cast<unsigned>(i % 4 + 1));
            EXPECT_EQ(tried.ran(i), i % 4 + 1);
            EXPECT_EQ(done.get(), i);
        });
        EXPECT_EQ(stream.stats().failed, 0U) << "what was retried away";
    });
}

TEST_P(Retry, DeliversTheLastErrorWhenEachRunFails) {
    in_every_kind([&](auto start) {
        trials tried(40);
        auto stream = start(ex, up_to(40), failing(tried, always), retrying(4, 3));
        expect_all(stream, 40, [&](auto& done) {
            EXPECT_EQ(code_of(done.error()), code(number(done), 3));
            EXPECT_EQ(done.attempts(), 3U);
            EXPECT_EQ(tried.ran(number(done)), 3);
        });
        EXPECT_EQ(stream.stats().failed, 40U);
    });
}

TEST_P(Retry, OfOneAttemptAndNoneAtAllRunEachJobOnce) {
    in_every_kind([&](auto start) {
        for (const bool given : {false, true}) {
            trials tried(20);
            auto stream = start(ex, up_to(20), failing(tried, [](int i) { return i % 2 == 0 ? always : 0; }),
                                given ? retrying(4, 1, 1h) : with(4));
            expect_all(stream, 20, [&](auto& done) {
                EXPECT_EQ(done.attempts(), 1U);
                EXPECT_EQ(done.has_value(), number(done) % 2 == 1);
            });
            EXPECT_EQ(tried.runs(), 20);
        }
    });
}

TEST_P(Retry, DeliversManyTasksOnceEach) {
    in_every_kind([&](auto start) {
        trials tried(200);
        auto settings = retrying(16, 5, 10us);
        settings.retry->factor = 2;
        settings.retry->jitter = 1;
        auto stream = start(ex, up_to(200), failing(tried, [](int i) { return i * 7 % 5; }), settings);
        expect_all(stream, 200, [](auto& done) { EXPECT_EQ(done.get(), number(done)); });
        EXPECT_EQ(tried.runs(), 600) << "0 to 4 failures, and a success";
    });
}

TEST_P(Retry, NeedsNoConsumer) {
    in_every_kind([&](auto start) {
        trials tried(6);
        auto stream = start(ex, up_to(6), failing(tried, 2), retrying(2, 3, 200us, 6));
        EXPECT_TRUE(eventually([&] { return stream.stats().ready == 6; }));
        EXPECT_EQ(tried.runs(), 18);
    });
}

TEST_P(Retry, RunsAgainWhatFailsBeforeItReturnsItsJob) {
    const auto check = [&](auto function) {
        trials tried(20);
        const auto seen = [&](int i) {
            tried.run(i, 2);
            return function(i);
        };
        auto stream = penstock::as_completed(ex, up_to(20), seen, retrying(4, 3));
        expect_all(stream, 20, [&](auto& done) {
            EXPECT_EQ(done.attempts(), 3U);
            EXPECT_EQ(done.get(), number(done));
        });
    };
    const work nothing_more{[](int i) { return i; }};
    check([&](int i) { return blocking::call(nothing_more, i); });
    check([&](int i) { return suspended::call(nothing_more, i); });
}

// --- with what

TEST_P(Retry, CallsAFunctionWithTheSameInputEachTime) {
    using text = tracked_unique<std::string>;
    const auto word = [](int i) { return std::to_string(i) + " is the number of this input, on the heap"; };
    const auto check = [&](auto function_of) {
        trials tried(20);
        const auto look = [&](const text& in) {
            const int i = std::stoi(in.value);
            EXPECT_EQ(in.value, word(i)) << "at run " << tried.ran(i) + 1;
            return tried.run(i, i % 2 == 0 ? 2 : always);
        };
        std::vector<text> inputs;
        for (int i = 0; i < 20; ++i) inputs.emplace_back(word(i));
        auto stream = penstock::as_completed(ex, std::move(inputs), function_of(look), retrying(4, 3));
        expect_all(stream, 20, [&](auto& done) {
            EXPECT_EQ(done.input().value, word(number(done)));
            EXPECT_EQ(done.attempts(), 3U);
            EXPECT_EQ(done.has_value(), number(done) % 2 == 0);
        });
        EXPECT_EQ(tried.runs(), 60);
    };
    check([](auto& look) { return [&look](const text& in) { return look(in); }; });
    check([](auto& look) { return [&look](text& in) { return penstock::blocking([&] { return look(in); }); }; });
    check([](auto& look) {
        return [&look](const text& in) -> task<int> {
            const tracked frame;
            co_await penstock::yield();
            co_return look(in);
        };
    });
}

task<int> succeed_as_the_third(int run) {
    const tracked frame;
    co_await penstock::yield();
    if (run < 3) throw test_error(run);
    co_return run;
}

TEST_P(Retry, RunsTheSameJobThoughItCanOnlyBeMoved) {
    const auto counting = [] {
        return [runs = tracked_unique<int>(0)]() mutable {
            if (++runs.value < 3) throw test_error(runs.value);
            return runs.value;
        };
    };
    const auto check = [&](auto make) {
        std::vector<decltype(make())> jobs;
        for (int i = 0; i < 10; ++i) jobs.push_back(make());
        auto stream = penstock::as_completed(ex, std::move(jobs), retrying(4, 4));
        expect_all(stream, 10, [](auto& done) {
            EXPECT_EQ(done.attempts(), 3U);
            EXPECT_EQ(done.get(), 3);
        });
    };
    check(counting);
    check([&] { return penstock::blocking(counting()); });
    check([&] { return penstock::weighted(2, counting()); });
    check([&] { return penstock::weighted(2, penstock::blocking(counting())); });
    check([&] { return any_job<int>(counting()); });
    check([&] { return any_job<int>(penstock::blocking(counting())); });
    check([] { return [runs = tracked_unique<int>(0)]() mutable { return succeed_as_the_third(++runs.value); }; });
}

TEST_P(Retry, RunsInAnAnyJobOnceWhatCanNotBeRunTwice) {
    struct rvalue_only {
        work of;
        int i;
        int operator()() && { return of(i); }
    };
    trials tried(40);
    const work of = failing(tried, always);
    auto from = [&, i = 0]() mutable -> std::optional<any_job<int>> {
        if (i == 40) return std::nullopt;
        const int now = i++;
        if (now % 4 == 0) return pause_and_call(of, now);
        if (now % 4 == 1) return suspended::job(of, now);
        if (now % 4 == 2) return rvalue_only{of, now};
        return computed::job(of, now);
    };
    auto stream = penstock::as_completed(ex, from, retrying(4, 3));
    expect_all(stream, 40, [&](auto& done) {
        const int expected = number(done) % 4 == 3 ? 3 : 1;
        EXPECT_EQ(done.attempts(), static_cast<unsigned>(expected));
        EXPECT_EQ(tried.ran(number(done)), expected);
        EXPECT_EQ(code_of(done.error()), code(number(done), expected));
    });
}

// --- whether

TEST_P(Retry, AsksWithEachErrorThatLeavesAnAttemptWhetherToRunAgain) {
    in_every_kind([&](auto start) {
        trials tried(20);
        std::mutex mutex;
        std::multiset<long> asked, expected;
        auto settings = retrying(4, 3);
        settings.retry->again = [&, witness = tracked()](std::exception_ptr why) {
            const long which = code_of(why);
            const std::lock_guard guard(mutex);
            asked.insert(which);
            return which / 100 % 2 == 0;
        };
        {
            auto stream = start(ex, up_to(20), failing(tried, always), settings);
            expect_all(stream, 20, [&](auto& done) {
                const int i = number(done);
                const int runs = i % 2 == 0 ? 3 : 1;
                EXPECT_EQ(done.attempts(), static_cast<unsigned>(runs));
                EXPECT_EQ(code_of(done.error()), code(i, runs));
                expected.insert(code(i, 1));
                if (i % 2 == 0) expected.insert(code(i, 2));
            });
        }
        EXPECT_EQ(asked, expected);
    });
}

TEST_P(Retry, TakesAPredicateThatThrowsForANo) {
    in_every_kind([&](auto start) {
        trials tried(10);
        auto settings = retrying(4, 3);
        settings.retry->again = [](std::exception_ptr) -> bool { throw std::runtime_error("undecided"); };
        auto stream = start(ex, up_to(10), failing(tried, always), settings);
        expect_all(stream, 10, [](auto& done) {
            EXPECT_EQ(done.attempts(), 1U);
            EXPECT_EQ(code_of(done.error()), code(number(done), 1)) << "the task's error";
        });
        EXPECT_EQ(tried.runs(), 10);
    });
}

TEST_P(Retry, WithoutAPredicateIsForWhateverIsThrown) {
    in_every_kind([&](auto start) {
        std::atomic<int> runs{0};
        const work of{[&](int i) -> int {
            ++runs;
            throw i;
        }};
        auto stream = start(ex, up_to(10), of, retrying(4, 3));
        expect_all(stream, 10, [](auto& done) {
            EXPECT_EQ(done.attempts(), 3U);
            EXPECT_THROW(done.get(), int);
        });
        EXPECT_EQ(runs, 30);
    });
}

// --- what it refuses

class RetryPolicy : public support::tracked_test {
protected:
    static penstock::options with(const retry_policy& policy) {
        penstock::options settings{.limit = 2};
        settings.retry = policy;
        return settings;
    }
    template <class Start>
    static bool is_refused(Start start) {
        try {
            start();
        } catch (const std::invalid_argument& why) {
            return std::string_view(why.what()).starts_with("penstock: ");
        }
        return false;
    }

    penstock::executor ex{1};
};

TEST_F(RetryPolicy, IsNoneUnlessItIsGiven) {
    EXPECT_FALSE(penstock::options().retry);
    const retry_policy policy;
    EXPECT_EQ(policy.attempts, 3U);
    EXPECT_EQ(policy.first_delay, 100ms);
    EXPECT_EQ(policy.max_delay, 1min);
    EXPECT_EQ(policy.factor, 2);
    EXPECT_EQ(policy.jitter, 0.1);
    EXPECT_FALSE(policy.again);
}

TEST_F(RetryPolicy, ThatMakesNoSenseIsRefused) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<retry_policy> wrong{{.attempts = 0},
                                          {.first_delay = -1ns},
                                          {.first_delay = nanoseconds::min()},
                                          {.max_delay = -1ns},
                                          {.max_delay = nanoseconds::min()},
                                          {.factor = 0.999},
                                          {.factor = -2},
                                          {.factor = nan},
                                          {.jitter = -0.01},
                                          {.jitter = 1.01},
                                          {.jitter = nan}};
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        bool pulled = false;
        const auto from = [&]() -> std::optional<int> {
            pulled = true;
            return std::nullopt;
        };
        EXPECT_TRUE(is_refused([&] {
            penstock::as_completed(
                ex, from, [](int n) { return n; }, with(wrong[i]));
        })) << i;
        EXPECT_FALSE(pulled) << i;
    }
}

TEST_F(RetryPolicy, AtTheEdgeOfSenseIsNotRefused) {
    const std::vector<retry_policy> right{{.attempts = 1},
                                          {.attempts = UINT_MAX},
                                          {.first_delay = 0ns, .max_delay = 0ns},
                                          {.first_delay = nanoseconds::max(), .max_delay = nanoseconds::max()},
                                          {.first_delay = 1h, .max_delay = 1ns},
                                          {.factor = 1, .jitter = 0},
                                          {.factor = std::numeric_limits<double>::max(), .jitter = 1}};
    for (const auto& policy : right) {
        auto stream = penstock::as_completed(
            ex, up_to(5), [](int n) { return n; }, with(policy));
        EXPECT_EQ(support::drain(stream), 5U);
    }
}

TEST_F(RetryPolicy, ForJobsThatCanNotBeRunTwiceIsRefused) {
    struct rvalue_only {
        tracked witness{};
        int operator()() && { return 1; }
    };
    const auto refuses = [&](auto make) {
        return is_refused([&] {
            std::vector<decltype(make())> jobs;
            for (int i = 0; i < 3; ++i) jobs.push_back(make());
            penstock::as_completed(ex, std::move(jobs), with({}));
        });
    };
    std::atomic<int> runs{0};
    const work of{[&](int i) {
        ++runs;
        return i;
    }};
    EXPECT_TRUE(refuses([&] { return pause_and_call(of, 0); }));
    EXPECT_TRUE(refuses([&] { return penstock::weighted(1, pause_and_call(of, 0)); }));
    EXPECT_TRUE(refuses([] { return rvalue_only(); }));
    EXPECT_TRUE(refuses([] { return penstock::weighted(1, rvalue_only()); }));
    EXPECT_TRUE(refuses([] { return penstock::blocking(rvalue_only()); }));
    EXPECT_TRUE(is_refused([&] {
        penstock::as_completed(
            ex, up_to(3),
            [&](int&& i) {
                ++runs;
                return i;
            },
            with({}));
    }));
    EXPECT_EQ(runs, 0);
}

}  // namespace
