// SPDX-License-Identifier: MIT
/// Weights: what the tasks in flight weigh never comes to more than options::max_weight or gate_limits::weight says.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::gate;
using penstock::task;
using penstock::weighted;
using support::drain;
using support::eventually;
using support::latch;
using support::meter;
using support::test_error;
using support::tracked;
using support::tracked_value;

static_assert(penstock::job<decltype(weighted(1, [] {}))>);
static_assert(penstock::job<decltype(weighted(1U, penstock::blocking([] {})))>);
static_assert(penstock::job<decltype(weighted(1L, std::declval<task<>>()))>);
static_assert(penstock::job<decltype(weighted(std::size_t{1}, std::declval<penstock::any_job<int>>()))>);
static_assert(std::is_same_v<decltype(weighted(
                                 1, +[] { return 1.5; })),
                             decltype(weighted(
                                 1U, +[] { return 1.5; }))>,
              "however the weight is written");
static_assert(std::is_same_v<decltype(penstock::as_completed(std::declval<penstock::executor&>(),
                                                             std::declval<std::vector<decltype(weighted(
                                                                 1, +[] { return 1.5; }))>>(),
                                                             1)),
                             penstock::completion_stream<double>>,
              "a weight is no part of the result");

/// The kinds of job that have a weight. Each calls body(), and is on the meter from its start to its end.
struct computed {
    template <class Weight, class Body>
    auto operator()(meter& on, Weight weight, Body body) const {
        return weighted(weight, [&on, weight, body] {
            const meter::visit here(on, static_cast<long>(weight));
            return body();
        });
    }
};
struct blocking {
    template <class Weight, class Body>
    auto operator()(meter& on, Weight weight, Body body) const {
        return weighted(weight, penstock::blocking([&on, weight, body] {
                            const meter::visit here(on, static_cast<long>(weight));
                            return body();
                        }));
    }
};
template <class Body>
auto pause_and_call(meter& on, long weight, Body body) -> task<decltype(body())> {
    const meter::visit here(on, weight);
    const tracked frame;
    if (weight % 3 == 0) {
        co_await penstock::sleep_for(50us);
    } else {
        co_await penstock::yield();
    }
    co_return body();
}
struct suspended {
    template <class Weight, class Body>
    auto operator()(meter& on, Weight weight, Body body) const {
        return weighted(weight, pause_and_call(on, static_cast<long>(weight), body));
    }
};
/// Any of the three.
struct erased {
    template <class Weight, class Body>
    auto operator()(meter& on, Weight weight, Body body) const {
        using any = penstock::any_job<decltype(body())>;
        switch (weight % 3) {
        case 0:
            return weighted(weight, any(computed()(on, weight, body).job));
        case 1:
            return weighted(weight, any(blocking()(on, weight, body).job));
        default:
            return weighted(weight, any(suspended()(on, weight, body).job));
        }
    }
};

/// Calls test(kind) with each of them.
template <class Test>
void in_every_kind(Test test) {
    {
        SCOPED_TRACE("computed");
        test(computed{});
    }
    {
        SCOPED_TRACE("blocking");
        test(blocking{});
    }
    {
        SCOPED_TRACE("suspended");
        test(suspended{});
    }
    {
        SCOPED_TRACE("erased");
        test(erased{});
    }
}

/// From 1 to `most`; one in a hundred, and the last, is `most`.
std::vector<std::size_t> random_weights(std::size_t count, std::size_t most, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::size_t> all(count);
    for (auto& each : all) each = random() % 100 == 0 ? most : 1 + random() % most;
    all.back() = most;
    return all;
}

/// A producer of one job for each weight; body(i) is what the i-th does.
template <class Kind, class Weights, class Body>
auto jobs_of(Kind kind, meter& on, Weights weights, Body body) {
    return std::views::iota(std::size_t{0}, weights.size()) |
           std::views::transform([kind, &on, weights, body](std::size_t i) {
               return kind(on, weights[i], [body, i] { return body(i); });
           });
}
std::size_t as_it_is(std::size_t i) { return i; }

std::string what_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::invalid_argument& refused) {
        return refused.what();
    } catch (...) {
        return "not a std::invalid_argument";
    }
}

class Weight : public support::contract_test {
protected:
    penstock::options up_to(std::size_t max_weight, std::size_t limit,
                            std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.max_weight = max_weight;
        return settings;
    }
    penstock::options under(gate& shared, std::size_t limit, std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.shared = &shared;
        return settings;
    }
    /// Takes everything, `count` results, in the order that was asked for.
    template <class Stream>
    void expect_all(Stream& stream, std::size_t count) const {
        std::size_t taken = 0;
        while (auto done = stream.next()) {
            if (in_order()) {
                EXPECT_EQ(done->index(), taken);
            }
            EXPECT_TRUE(done->has_value()) << done->index();
            ++taken;
        }
        EXPECT_EQ(taken, count);
    }
    /// The same, but for one: that is a std::invalid_argument in which each of `said` occurs.
    template <class Stream>
    void expect_all_but(std::size_t refused, const std::vector<std::string>& said, Stream& stream,
                        std::size_t count) const {
        std::size_t taken = 0;
        while (auto done = stream.next()) {
            if (in_order()) {
                EXPECT_EQ(done->index(), taken);
            }
            ++taken;
            EXPECT_EQ(done->has_value(), done->index() != refused) << done->index();
            if (done->has_value()) continue;
            EXPECT_THROW(done->get(), std::invalid_argument);
            for (const std::string& part : said) {
                EXPECT_NE(what_of(done->error()).find(part), std::string::npos) << what_of(done->error());
            }
        }
        EXPECT_EQ(taken, count);
        EXPECT_EQ(stream.stats().failed, 1U);
    }
    static void expect_free(const gate& shared) {
        EXPECT_EQ(shared.in_flight(), 0U) << "a permit was lost";
        EXPECT_EQ(shared.weight_in_flight(), 0U) << "weight was lost";
    }
    /// Time for what must not happen; nothing depends on its length but what a fault would show.
    static void let_it_go_wrong() { std::this_thread::sleep_for(3ms); }
};
INSTANTIATE_TEST_SUITE_P(, Weight, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class WeightWithAndWithoutHelp : public Weight {};
INSTANTIATE_TEST_SUITE_P(, WeightWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

class WeightWhateverTheOrder : public Weight {};
INSTANTIATE_TEST_SUITE_P(, WeightWhateverTheOrder, ::testing::ValuesIn(support::every_width()),
                         support::name_of_setting);

TEST_P(WeightWithAndWithoutHelp, OfAStreamsTasksIsNeverMoreThanItsOptionsSay) {
    in_every_kind([&](auto kind) {
        for (const std::size_t cap : {1U, 10U, 1000U}) {
            meter on;
            auto stream =
                penstock::as_completed(ex, jobs_of(kind, on, random_weights(150, cap, 1), as_it_is), up_to(cap, 16));
            expect_all(stream, 150);
            EXPECT_LE(on.most(), static_cast<long>(cap));
            EXPECT_EQ(on.inside(), 0);
        }
    });
}

TEST_P(WeightWithAndWithoutHelp, OfSeveralStreamsTasksIsNeverMoreThanTheirGateSays) {
    in_every_kind([&](auto kind) {
        for (const std::size_t cap : {1U, 10U, 1000U}) {
            gate shared({.weight = cap});
            meter on;
            const auto run = [&](unsigned seed) {
                auto stream = penstock::as_completed(ex, jobs_of(kind, on, random_weights(100, cap, seed), as_it_is),
                                                     under(shared, 16));
                expect_all(stream, 100);
            };
            {
                const std::jthread second([&] { run(2); });
                run(3);
            }
            EXPECT_LE(on.most(), static_cast<long>(cap));
            expect_free(shared);
        }
    });
}

TEST_P(Weight, IsCappedByTheOptionsTheGateAndItsParentAtOnce) {
    in_every_kind([&](auto kind) {
        gate parent({.in_flight = 6, .weight = 25});
        gate child({.in_flight = 5, .weight = 20}, parent);
        meter on;
        const auto run = [&](unsigned seed) {
            meter own;
            auto settings = up_to(15, 8);
            settings.shared = &child;
            const auto weights = random_weights(100, 15, seed);
            const auto body = [&](std::size_t i) {
                const meter::visit here(own, static_cast<long>(weights[i]));
                return i;
            };
            auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, body), settings);
            expect_all(stream, 100);
            EXPECT_LE(own.most(), 15);
        };
        {
            const std::jthread second([&] { run(4); });
            run(5);
        }
        EXPECT_LE(on.most(), 20);
        expect_free(child);
        expect_free(parent);
    });
}

TEST_P(Weight, IsReachedByTasksThatWait) {
    // As many as fit as a whole: three of three in ten.
    gate shared({.weight = 10});
    auto own = up_to(10, 8);
    for (const auto& settings : {own, under(shared, 8)}) {
        meter on;
        std::atomic<bool> open{false};
        const auto wait = [&](std::size_t i) {
            while (!open) std::this_thread::sleep_for(1ms);
            return i;
        };
        auto stream =
            penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>(20, 3), wait), settings);
        EXPECT_TRUE(eventually([&] { return on.inside() == 9; })) << on.inside();
        if (settings.shared) {
            EXPECT_EQ(shared.in_flight(), 3U);
            EXPECT_EQ(shared.weight_in_flight(), 9U);
        }
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::weight; }));
        open = true;
        expect_all(stream, 20);
        EXPECT_EQ(on.most(), 9);
    }
    expect_free(shared);
}

TEST_P(Weight, IsOneForJobsThatHaveNone) {
    gate shared({.weight = 3});
    auto own = up_to(3, 10);
    for (const auto& settings : {own, under(shared, 10)}) {
        std::atomic<bool> open{false};
        meter running;
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 30),
            [&](int) {
                return penstock::blocking([&] {
                    const meter::visit here(running);
                    while (!open) std::this_thread::sleep_for(1ms);
                });
            },
            settings);
        EXPECT_TRUE(eventually([&] { return running.inside() == 3; }));
        if (settings.shared) {
            EXPECT_EQ(shared.weight_in_flight(), 3U);
        }
        open = true;
        expect_all(stream, 30);
        EXPECT_EQ(running.most(), 3);

        meter computing;
        auto light = penstock::as_completed(
            ex, std::views::iota(0, 300), [&](int) { const meter::visit here(computing); }, settings);
        expect_all(light, 300);
        EXPECT_LE(computing.most(), 3);
    }
}

TEST_P(Weight, MayBeZeroWhichPassesWhereNothingElseDoes) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 5});
        meter on;
        latch end;
        const auto hold = [&](std::size_t) { EXPECT_TRUE(end.wait()); };
        auto heavy =
            penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{5}, hold), under(shared, 1));
        EXPECT_TRUE(eventually([&] { return on.inside() == 5; }));
        auto light =
            penstock::as_completed(ex, jobs_of(kind, on, std::vector<std::size_t>(30, 0), as_it_is), under(shared, 4));
        expect_all(light, 30);
        EXPECT_EQ(shared.weight_in_flight(), 5U);
        end.open();
        expect_all(heavy, 1);
    });
}

TEST_P(Weight, OfZeroCountsAsOneInFlight) {
    in_every_kind([&](auto kind) {
        gate shared({.in_flight = 2, .weight = 1});
        meter unused;
        meter running;
        const auto body = [&](std::size_t i) {
            const meter::visit here(running);
            if (i % 8 == 0) support::spin_for(20us);
            return i;
        };
        auto stream =
            penstock::as_completed(ex, jobs_of(kind, unused, std::vector<std::size_t>(100, 0), body), under(shared, 8));
        expect_all(stream, 100);
        EXPECT_LE(running.most(), 2);
    });
}

TEST_P(Weight, WithoutACapIsNoMatter) {
    in_every_kind([&](auto kind) {
        meter on;
        auto stream = penstock::as_completed(ex, jobs_of(kind, on, random_weights(150, 1000, 6), as_it_is), with(8));
        expect_all(stream, 150);
    });
}

TEST_P(Weight, MayBeHugeWithoutACap) {
    gate shared(4);
    for (const auto& settings : {with(4), under(shared, 4)}) {
        auto jobs = std::views::iota(std::size_t{0}, std::size_t{40}) | std::views::transform([](std::size_t i) {
                        return weighted(SIZE_MAX - 3 + i % 4, [i] { return i; });
                    });
        auto stream = penstock::as_completed(ex, jobs, settings);
        expect_all(stream, 40);
    }
    expect_free(shared);
}

TEST_P(Weight, MayBeHugeWithACapThatIsHugeToo) {
    constexpr std::size_t cap = SIZE_MAX / 2;
    gate shared({.weight = cap});
    for (const auto& settings : {up_to(cap, 4), under(shared, 4)}) {
        meter running;
        auto jobs = std::views::iota(0, 40) | std::views::transform([&](int i) {
                        return weighted(cap - static_cast<std::size_t>(i % 2), [&running] {
                            const meter::visit here(running);
                            support::spin_for(10us);
                        });
                    });
        auto stream = penstock::as_completed(ex, jobs, settings);
        expect_all(stream, 40);
        EXPECT_EQ(running.most(), 1);
    }
    expect_free(shared);
}

TEST_P(Weight, IsReadOnce) {
    std::vector<std::atomic<int>> asked(100);
    auto jobs = std::views::iota(std::size_t{0}, asked.size()) | std::views::transform([&](std::size_t i) {
                    const auto weigh = [&] {
                        ++asked[i];
                        return i % 4;
                    };
                    return weighted(weigh(), [i] { return i; });
                });
    auto stream = penstock::as_completed(ex, jobs, up_to(5, 8));
    expect_all(stream, asked.size());
    for (const auto& times : asked) EXPECT_EQ(times, 1);
}

TEST_P(Weight, WorksForJobsFromAContainer) {
    meter on;
    using job = decltype(computed()(on, 1, std::function<int()>()));
    std::vector<job> jobs;
    for (int i = 0; i < 50; ++i) {
        jobs.push_back(computed()(on, i % 5, std::function<int()>([i, witness = tracked()] { return i; })));
    }
    auto copied = penstock::as_completed(ex, jobs, up_to(6, 8));
    expect_all(copied, 50);
    auto moved = penstock::as_completed(ex, std::move(jobs), up_to(6, 8));
    expect_all(moved, 50);
    EXPECT_LE(on.most(), 6);
}

TEST_P(Weight, WorksForProducersThatBlockAndForFeeds) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 10});
        meter on;
        const auto weights = random_weights(100, 10, 7);
        auto stream = penstock::as_completed(ex, penstock::blocking_producer(jobs_of(kind, on, weights, as_it_is)),
                                             under(shared, 8));
        expect_all(stream, 100);

        const auto nothing = [] {};
        penstock::feed<decltype(kind(on, std::size_t{1}, nothing))> jobs;
        for (const std::size_t weight : weights) {
            EXPECT_TRUE(jobs.push(kind(on, weight, nothing)));
        }
        auto fed = penstock::as_completed(ex, jobs, under(shared, 8));
        expect_all(fed, 100);
        EXPECT_LE(on.most(), 10);
    });
}

TEST_P(Weight, IsGivenBackByJobsThatThrow) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 10});
        meter on;
        {
            const auto body = [](std::size_t i) {
                if (i % 2 == 0) throw test_error(static_cast<long>(i));
                return tracked_value(i);
            };
            auto stream =
                penstock::as_completed(ex, jobs_of(kind, on, random_weights(100, 10, 8), body), under(shared, 8));
            EXPECT_EQ(drain(stream), 100U);
            EXPECT_EQ(stream.stats().failed, 50U);
        }
        expect_free(shared);
    });
}

TEST_P(Weight, IsGivenBackWhenAStreamIsLeftHalfWay) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 10});
        meter on;
        for (const int last : {0, 1, 10}) {
            auto stream =
                penstock::as_completed(ex, jobs_of(kind, on, random_weights(100, 10, 9), as_it_is), under(shared, 8));
            for (int taken = 0; taken < last; ++taken) {
                ASSERT_TRUE(stream.next());
            }
        }
        expect_free(shared);
    });
}

// --- what is refused

TEST_P(Weight, OverTheOptionsCapFailsThatJobAlone) {
    in_every_kind([&](auto kind) {
        meter on;
        std::vector<std::size_t> weights(30, 40);
        weights[7] = 101;
        std::vector<std::atomic<int>> ran(weights.size());
        const auto body = [&, witness = tracked()](std::size_t i) {
            ++ran[i];
            return tracked_value(i);
        };
        auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, body), up_to(100, 4));
        expect_all_but(7, {"101", "100"}, stream, 30);
        EXPECT_EQ(ran[7], 0);
        EXPECT_EQ(std::accumulate(ran.begin(), ran.end(), 0), 29);
        EXPECT_LE(on.most(), 100);
    });
}

TEST_P(Weight, OverTheGatesCapFailsThatJobAlone) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 100});
        meter on;
        {
            std::vector<std::size_t> weights(30, 40);
            weights[7] = 101;
            auto stream = penstock::as_completed(
                ex, jobs_of(kind, on, weights, [](std::size_t i) { return tracked_value(i); }), under(shared, 4));
            expect_all_but(7, {"101", "100"}, stream, 30);
            EXPECT_LE(on.most(), 100);
        }
        expect_free(shared);
    });
}

TEST_P(Weight, OverTheCapOfTheGatesParentFailsThatJobAlone) {
    in_every_kind([&](auto kind) {
        gate parent({.weight = 100});
        gate child({.weight = 500}, parent);
        meter on;
        {
            std::vector<std::size_t> weights(30, 40);
            weights[7] = 101;
            auto stream = penstock::as_completed(
                ex, jobs_of(kind, on, weights, [](std::size_t i) { return tracked_value(i); }), under(child, 4));
            expect_all_but(7, {"101", "100"}, stream, 30);
        }
        expect_free(child);
        expect_free(parent);
    });
}

TEST_P(Weight, OverTheCapFailsAtTheEdgesOfTheSourceToo) {
    in_every_kind([&](auto kind) {
        for (const std::size_t count : {1U, 2U, 5U}) {
            for (const std::size_t wrong : {std::size_t{0}, count - 1}) {
                meter on;
                std::vector<std::size_t> weights(count, 2);
                weights[wrong] = 3;
                auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, as_it_is), up_to(2, 1, 0));
                expect_all_but(wrong, {"3", "2"}, stream, count);
            }
        }
    });
}

TEST_P(Weight, OverTheCapMayBeThatOfEveryJob) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 5});
        meter on;
        auto stream =
            penstock::as_completed(ex, jobs_of(kind, on, std::vector<std::size_t>(200, 6), as_it_is), under(shared, 3));
        std::size_t failed = 0;
        while (auto done = stream.next()) {
            EXPECT_FALSE(done->has_value());
            ++failed;
        }
        EXPECT_EQ(failed, 200U);
        EXPECT_EQ(on.most(), 0);
    });
}

TEST_P(Weight, OverTheCapDoesNotWaitForRoom) {
    // It could never run: so it does not stand in the way of those behind it either.
    in_every_kind([&](auto kind) {
        gate shared({.weight = 5});
        meter on;
        latch end;
        const auto hold = [&](std::size_t) { EXPECT_TRUE(end.wait()); };
        auto heavy =
            penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{5}, hold), under(shared, 1));
        EXPECT_TRUE(eventually([&] { return on.inside() == 5; }));
        auto stream =
            penstock::as_completed(ex, jobs_of(kind, on, std::vector<std::size_t>{6, 0}, as_it_is), under(shared, 1));
        expect_all_but(0, {"6", "5"}, stream, 2);
        end.open();
        expect_all(heavy, 1);
    });
}

TEST_P(Weight, ThatIsNegativeFailsThatJobAlone) {
    in_every_kind([&](auto kind) {
        gate shared({.weight = 100});
        for (const auto& settings : {up_to(100, 4), under(shared, 4), with(4)}) {
            meter on;
            for (const int wrong : {-1, std::numeric_limits<int>::min()}) {
                std::vector<int> weights(20, 40);
                weights[7] = wrong;
                std::vector<std::atomic<int>> ran(weights.size());
                const auto body = [&](std::size_t i) {
                    ++ran[i];
                    return tracked_value(i);
                };
                auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, body), settings);
                expect_all_but(7, {}, stream, 20);
                EXPECT_EQ(ran[7], 0);
            }
        }
        EXPECT_TRUE(eventually([&] { return shared.in_flight() == 0; }));
        expect_free(shared);
    });
}

TEST_P(Weight, OverTheCapFailsFast) {
    in_every_kind([&](auto kind) {
        meter on;
        auto settings = up_to(100, 4);
        settings.on_error = penstock::on_error::stop;
        std::vector<std::size_t> weights(30, 40);
        weights[7] = 101;
        auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, as_it_is), settings);
        EXPECT_THROW(drain(stream), std::invalid_argument);
        EXPECT_FALSE(stream.next());
    });
}

TEST_P(Weight, OverACapThatShrankFailsThatJobAlone) {
    // Otherwise it would wait for ever, and all that is behind it.
    in_every_kind([&](auto kind) {
        gate shared({.weight = 10});
        meter on;
        latch end;
        const auto hold = [&](std::size_t) { EXPECT_TRUE(end.wait()); };
        auto heavy =
            penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{10}, hold), under(shared, 1));
        EXPECT_TRUE(eventually([&] { return on.inside() == 10; }));
        auto stream = penstock::as_completed(ex, jobs_of(kind, on, std::vector<std::size_t>{9, 3, 1}, as_it_is),
                                             under(shared, 2));
        EXPECT_TRUE(eventually([&] { return stream.stats().bound == penstock::bound_by::weight; }));
        shared.set_limits({.weight = 7});
        end.open();
        expect_all(heavy, 1);
        expect_all_but(0, {"9", "7"}, stream, 3);
    });
}

TEST_P(WeightWhateverTheOrder, CapOfZeroIsRefusedBeforeAnythingIsPulled) {
    int pulled = 0;
    const auto source = [&]() -> std::optional<std::function<void()>> {
        ++pulled;
        return std::nullopt;
    };
    auto settings = with(4);
    settings.max_weight = 0;
    EXPECT_THROW(static_cast<void>(penstock::as_completed(ex, source, settings)), std::invalid_argument);
    EXPECT_EQ(pulled, 0);
}

// --- who goes first

TEST_P(WeightWhateverTheOrder, NeverChangesTheOrderInWhichAStreamsTasksStart) {
    // Each weighs more than half of what may: one runs at a time, so the order in which they start can be seen.
    in_every_kind([&](auto kind) {
        gate shared({.weight = 100});
        for (const auto& settings : {up_to(100, 32), under(shared, 32)}) {
            meter on;
            std::mt19937 random(10);
            std::vector<std::size_t> weights(150);
            for (auto& each : weights) each = 51 + random() % 50;
            std::mutex mutex;
            std::vector<std::size_t> started;
            const auto body = [&](std::size_t i) {
                const std::lock_guard guard(mutex);
                started.push_back(i);
                return i;
            };
            auto stream = penstock::as_completed(ex, jobs_of(kind, on, weights, body), settings);
            EXPECT_EQ(drain(stream), weights.size());
            std::vector<std::size_t> expected(weights.size());
            std::iota(expected.begin(), expected.end(), std::size_t{0});
            EXPECT_EQ(started, expected);
        }
    });
}

TEST_P(WeightWhateverTheOrder, LetsNothingOfAStreamPassAHeavyTaskOfItThatWaits) {
    gate shared({.weight = 10});
    for (const auto& settings : {up_to(10, 8), under(shared, 8)}) {
        meter on;
        latch end;
        std::mutex mutex;
        std::vector<std::size_t> started;
        const auto body = [&](std::size_t i) {
            {
                const std::lock_guard guard(mutex);
                started.push_back(i);
            }
            if (i == 0) {
                EXPECT_TRUE(end.wait());
            }
            return i;
        };
        // The first leaves room for the third, but not for the second.
        auto stream =
            penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{5, 10, 1}, body), settings);
        EXPECT_TRUE(eventually([&] { return on.inside() == 5 && stream.stats().bound == penstock::bound_by::weight; }));
        let_it_go_wrong();
        EXPECT_EQ(on.inside(), 5);
        end.open();
        EXPECT_EQ(drain(stream), 3U);
        EXPECT_EQ(started, (std::vector<std::size_t>{0, 1, 2}));
    }
}

TEST_P(WeightWhateverTheOrder, LetsLightTasksOfOthersPassAHeavyOneThatWaits) {
    gate shared({.weight = 10});
    meter on;
    latch end;
    const auto hold = [&](std::size_t i) {
        EXPECT_TRUE(end.wait());
        return i;
    };
    auto holding =
        penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{5}, hold), under(shared, 1));
    EXPECT_TRUE(eventually([&] { return on.inside() == 5; }));
    auto heavy =
        penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{10}, as_it_is), under(shared, 1));
    EXPECT_TRUE(eventually([&] { return heavy.stats().bound == penstock::bound_by::weight; }));
    // Fewer than those that may pass.
    auto light =
        penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>(5, 1), as_it_is), under(shared, 1));
    expect_all(light, 5);
    end.open();
    expect_all(heavy, 1);
    expect_all(holding, 1);
}

TEST_P(WeightWhateverTheOrder, KeepsNoHeavyTaskWaitingForever) {
    // One that has been told that there is room, and does not get a thread at once, may be passed anew: so a round may
    // go astray on a busy machine, but not most of them.
    constexpr std::size_t cap = 8;
    constexpr std::size_t passes = 16;
    constexpr std::size_t slack = 4;
    constexpr std::size_t lights = 1000;
    constexpr int rounds = 9;
    penstock::executor other(workers());
    int prompt = 0;
    for (int round = 0; round < rounds; ++round) {
        gate shared({.weight = cap});
        meter on;
        std::atomic<bool> open{false}, heavy_began{false};
        std::atomic<std::size_t> light_starts{0}, before{0};
        const auto light_body = [&](std::size_t i) {
            if (heavy_began) return i;
            if (open) {
                ++light_starts;
                std::this_thread::sleep_for(100us);
            }
            while (!open) std::this_thread::sleep_for(100us);
            return i;
        };
        const auto heavy_body = [&](std::size_t i) {
            heavy_began = true;
            before = light_starts.load();
            return i;
        };
        auto light = penstock::as_completed(
            other, jobs_of(blocking(), on, std::vector<std::size_t>(lights, 1), light_body), under(shared, 16, lights));
        EXPECT_TRUE(eventually([&] { return on.inside() == cap; }));
        auto heavy = penstock::as_completed(ex, jobs_of(blocking(), on, std::vector<std::size_t>{cap}, heavy_body),
                                            under(shared, 1));
        // From here on it waits; and only now there is anything to pass it.
        EXPECT_TRUE(eventually([&] { return heavy.stats().bound == penstock::bound_by::weight; }));
        open = true;
        expect_all(heavy, 1);
        if (before <= slack * (passes + cap)) ++prompt;
        EXPECT_EQ(drain(light), lights);
    }
    EXPECT_GT(prompt, rounds / 2);
}

}  // namespace
