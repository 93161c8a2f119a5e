// SPDX-License-Identifier: MIT
/// options::retry: what waits to be run again holds nothing but its place in the window and in the order, and what is
/// told of it.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/observer.hpp>
#include <penstock/penstock.hpp>

#include "support/pull_watch.hpp"
#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::bound_by;
using penstock::gate;
using support::all_of_the_first;
using support::always;
using support::code;
using support::code_of;
using support::endless;
using support::eventually;
using support::failing;
using support::let_it_go_wrong;
using support::meter;
using support::number;
using support::source;
using support::trials;
using support::up_to;
using support::up_to_three;
using support::up_to_two;
using support::work;

class Retry : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

class RetryInOrder : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryInOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_submission_order, support::help)),
                         support::name_of_setting);

class RetryWithAndWithoutHelp : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, RetryWithAndWithoutHelp, ::testing::ValuesIn(support::every_setting()),
                         support::name_of_setting);

// --- what it holds meanwhile

TEST_P(Retry, HoldsNoPlaceUnderTheLimitWhileItWaits) {
    in_every_kind([&](auto start) {
        trials tried(8);
        auto stream = start(ex, up_to(8), failing(tried, all_of_the_first), retrying(1, 3, 1h, 8));
        EXPECT_TRUE(eventually([&] { return tried.runs() == 8 && stream.stats().running == 0; }));
        for (int taken = 0; !in_order() && taken < 7; ++taken) {
            const auto done = stream.next_for(support::patience);
            ASSERT_TRUE(done);
            EXPECT_NE(done->index(), 0U);
        }
        EXPECT_FALSE(stream.try_next());
        EXPECT_FALSE(stream.done());
        EXPECT_EQ(tried.ran(0), 1);
    });
}

TEST_P(Retry, HoldsNoThreadWhileItWaits) {
    penstock::executor narrow(penstock::executor_options{.workers = workers(), .max_blocking_threads = 1});
    in_every_kind([&](auto start) {
        trials tried(10);
        auto stream =
            start(narrow, up_to(10), failing(tried, [](int i) { return i < 3 ? always : 0; }), retrying(4, 3, 1h, 8));
        EXPECT_TRUE(eventually([&] { return tried.runs() == 10 && stream.stats().running == 0; }));
    });
}

TEST_P(Retry, CountsTowardsTheWindowWhileItWaits) {
    in_every_kind([&](auto start) {
        for (const auto& [limit, buffer] : {std::pair{1U, 0U}, std::pair{2U, 3U}}) {
            trials tried(100);
            auto stream = start(ex, endless(), failing(tried, always), retrying(limit, 3, 1h, buffer));
            const std::size_t window = limit + buffer;
            EXPECT_TRUE(eventually_all_wait(stream, tried, static_cast<int>(window)));
            let_it_go_wrong(2ms);
            EXPECT_EQ(stream.stats().pulled, window);
            EXPECT_EQ(tried.runs(), static_cast<int>(window));
        }
    });
}

TEST_P(RetryWithAndWithoutHelp, PullsNoFurtherAheadThanLimitAndBuffer) {
    in_every_kind([&](auto start) {
        for (const auto& [limit, buffer] : {std::pair{1U, 0U}, std::pair{3U, 1U}}) {
            support::pull_watch watch(limit + buffer);
            const source from = [&watch, next = 0]() mutable -> std::optional<int> {
                support::pull_watch::call inside(watch);
                if (next == 20) return std::nullopt;
                inside.give();
                return next++;
            };
            trials tried(20);
            auto stream = start(ex, from, failing(tried, up_to_two), retrying(limit, 3, 20us, buffer));
            std::size_t taken = 0;
            while (watch.next(stream)) ++taken;
            EXPECT_EQ(taken, 20U);
            EXPECT_EQ(watch.excess(), 0U);
            EXPECT_EQ(watch.overlaps(), 0U);
        }
    });
}

TEST_P(RetryWithAndWithoutHelp, NeverRunsMoreAtOnceThanTheLimit) {
    in_every_kind([&](auto start) {
        for (const std::size_t limit : {1U, 3U, 10U}) {
            meter running;
            trials tried(24);
            const work of{[&](int i) {
                              support::spin_for(5us);
                              return tried.run(i, i % 3);
                          },
                          &running};
            auto stream = start(ex, up_to(24), of, retrying(limit, 3, 50us, 24));
            expect_all(stream, 24);
            EXPECT_LE(running.most(), static_cast<long>(limit));
            EXPECT_EQ(running.inside(), 0);
        }
    });
}

TEST_P(Retry, HoldsNoPermitOfAGateWhileItWaits) {
    in_every_kind([&](auto start) {
        gate one(1);
        trials tried(1), others(5);
        auto settings = retrying(1, 3, 1h);
        settings.shared = &one;
        const auto waits = start(ex, up_to(1), failing(tried, always), settings);
        EXPECT_TRUE(eventually_all_wait(waits, tried, 1));
        EXPECT_TRUE(eventually([&] { return one.in_flight() == 0; }));
        settings.retry->first_delay = 100us;
        auto goes_on = start(ex, up_to(5), failing(others, 1), settings);
        EXPECT_EQ(run_out(goes_on, [](auto& done) { EXPECT_EQ(done.attempts(), 2U); }).delivered, 5U);
        EXPECT_EQ(tried.runs(), 1);
    });
}

TEST_P(Retry, NeverRunsMoreAtOnceThanASharedGateLets) {
    in_every_kind([&](auto start) {
        gate two(2);
        meter running;
        const auto run = [&] {
            trials tried(20);
            auto settings = retrying(4, 3, 50us);
            settings.shared = &two;
            auto stream = start(ex, up_to(20), failing(tried, up_to_two, running), settings);
            expect_all(stream, 20, [](auto& done) { EXPECT_TRUE(done.has_value()); });
        };
        {
            const std::jthread second(run);
            run();
        }
        EXPECT_LE(running.most(), 2);
        EXPECT_EQ(two.in_flight(), 0U) << "a permit was lost";
        EXPECT_EQ(two.weight_in_flight(), 0U);
    });
}

TEST_P(Retry, WeighsNothingWhileItWaits) {
    in_every_weighted_kind([&](auto start) {
        gate seven({.weight = 7});
        for (const bool at_a_gate : {false, true}) {
            trials tried(28);
            auto settings = retrying(4, 3, 1h, 8);
            if (at_a_gate) settings.shared = &seven;
            if (!at_a_gate) settings.max_weight = 7;
            // Each weighs 7.
            const source from = [next = -1]() mutable { return (next += 7) < 28 ? std::optional(next) : std::nullopt; };
            auto stream = start(ex, from, failing(tried, [](int i) { return i == 6 ? always : 0; }), settings);
            EXPECT_TRUE(eventually([&] { return tried.runs() == 4 && stream.stats().running == 0; }));
            EXPECT_TRUE(eventually([&] { return seven.weight_in_flight() == 0; }));
        }
    });
}

TEST_P(Retry, NeverWeighsMoreAtOnceThanItMay) {
    in_every_weighted_kind([&](auto start) {
        gate ten({.weight = 10});
        for (const bool at_a_gate : {false, true}) {
            meter weighing;
            trials tried(30);
            const work of{[&](int i) {
                const meter::visit here(weighing, i % 7 + 1);
                support::spin_for(5us);
                return tried.run(i, i % 3);
            }};
            auto settings = retrying(8, 3, 50us);
            if (at_a_gate) settings.shared = &ten;
            if (!at_a_gate) settings.max_weight = 10;
            auto stream = start(ex, up_to(30), of, settings);
            expect_all(stream, 30, [](auto& done) { EXPECT_TRUE(done.has_value()); });
            EXPECT_LE(weighing.most(), 10);
        }
        EXPECT_EQ(ten.weight_in_flight(), 0U);
    });
}

TEST_P(Retry, IsNotForAJobThatIsTooHeavyToBeRun) {
    in_every_weighted_kind([&](auto start) {
        trials tried(14);
        auto settings = retrying(4, 3, 1h);
        settings.max_weight = 6;
        auto stream = start(ex, up_to(14), failing(tried, 0), settings);
        const auto went = run_out(stream, [](auto& done) { EXPECT_EQ(done.has_value(), number(done) % 7 != 6); });
        EXPECT_EQ(went.delivered, 14U);
        EXPECT_EQ(tried.runs(), 12);
    });
}

// --- in submission order

TEST_P(RetryInOrder, KeepsTheOrderOfTheProducer) {
    in_every_kind([&](auto start) {
        trials tried(20);
        auto stream = start(ex, up_to(20), failing(tried, [](int i) { return (i + 2) % 3; }), retrying(4, 3, 300us));
        expect_all(stream, 20, [](auto& done) { EXPECT_EQ(done.get(), number(done)); });
    });
}

TEST_P(RetryInOrder, HoldsBackWhatFollowsATaskThatWaits) {
    in_every_kind([&](auto start) {
        trials tried(5);
        auto stream = start(ex, up_to(5), failing(tried, all_of_the_first), retrying(2, 3, 1h, 8));
        EXPECT_TRUE(eventually([&] { return tried.runs() == 5 && stream.stats().running == 0; }));
        EXPECT_FALSE(stream.next_for(500us));
        EXPECT_FALSE(stream.done());
        stream.request_stop();
        const auto went = run_out(stream, [](auto& done) { EXPECT_EQ(done.has_value(), done.index() != 0); });
        EXPECT_EQ(went.delivered, 5U);
    });
}

// --- what is told of it

TEST_P(Retry, CountsInTheStatisticsEachTaskOnce) {
    in_every_kind([&](auto start) {
        trials tried(100);
        auto stream = start(ex, up_to(100), failing(tried, up_to_three), retrying(4, 3, 20us));
        std::atomic<bool> over{false};
        std::atomic<int> samples{0};
        std::jthread observer([&] {
            while (!over) {
                const auto now = stream.stats();
                EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
                EXPECT_LE(now.running, 4U);
                EXPECT_LE(now.failed, 25U);
                ++samples;
                std::this_thread::yield();
            }
        });
        expect_all(stream, 100);
        EXPECT_TRUE(eventually([&] { return samples > 3; }));
        over = true;
        observer.join();
        const auto end = stream.stats();
        EXPECT_EQ(end.pulled, 100U);
        EXPECT_EQ(end.taken, 100U);
        EXPECT_EQ(end.failed, 25U) << "those that fail three times, and no other run";
        EXPECT_EQ(end.running + end.ready + end.dropped + end.stopped + end.overdue, 0U);
        EXPECT_EQ(end.bound, bound_by::none);
    });
}

TEST_P(Retry, IsWhatHoldsAStreamBackWhoseTasksAllWait) {
    in_every_kind([&](auto start) {
        trials tried(5), ended(3);
        const auto full = start(ex, endless(), failing(tried, always), retrying(2, 3, 1h, 3));
        EXPECT_TRUE(comes_to(full, bound_by::retry));
        EXPECT_TRUE(eventually_all_wait(full, tried, 5));
        EXPECT_EQ(full.stats().failed, 0U) << "they may yet succeed";

        const auto at_its_end = start(ex, up_to(3), failing(ended, always), retrying(2, 3, 1h, 8));
        EXPECT_TRUE(comes_to(at_its_end, bound_by::retry));
        EXPECT_TRUE(eventually_all_wait(at_its_end, ended, 3));
    });
}

TEST_P(Retry, TellsAnObserverOfEachRun) {
    class diary final : public penstock::stream_observer {
    public:
        explicit diary(std::size_t tasks) : pages_(tasks) {}
        void on_start(std::size_t index) noexcept override { write(index, '('); }
        void on_finish(std::size_t index) noexcept override { write(index, ')'); }
        void on_error(std::size_t index, std::exception_ptr why) noexcept override {
            EXPECT_EQ(code_of(why), code(static_cast<int>(index), static_cast<int>(page(index).size() + 1) / 2));
            write(index, '!');
        }
        std::string page(std::size_t index) {
            const std::lock_guard guard(mutex_);
            return pages_.at(index);
        }

    private:
        void write(std::size_t index, char what) {
            const std::lock_guard guard(mutex_);
            pages_.at(index) += what;
        }
        std::mutex mutex_;
        std::vector<std::string> pages_;
    };
    in_every_kind([&](auto start) {
        trials tried(20);
        diary all(20);
        auto settings = retrying(4, 3, 20us);
        settings.observer = &all;
        auto stream = start(ex, up_to(20), failing(tried, up_to_three), settings);
        const std::string expected[] = {"()", "(!()", "(!(!()", "(!(!(!"};
        expect_all(stream, 20, [&](auto& done) { EXPECT_EQ(all.page(done.index()), expected[done.index() % 4]); });
    });
}

TEST_P(Retry, MeasuresTheLastRun) {
    in_every_kind([&](auto start) {
        trials tried(1);
        std::atomic<clock_type::time_point> first_end{};
        const work of{[&](int i) {
            if (tried.ran(0) == 1) std::this_thread::sleep_for(1ms);
            if (tried.ran(0) == 0) first_end = clock_type::now();
            return tried.run(i, 1);
        }};
        auto settings = retrying(1, 2, 5ms);
        settings.measure = true;
        auto stream = start(ex, up_to(1), of, settings);
        const auto done = stream.next();
        const auto now = clock_type::now();
        ASSERT_TRUE(done);
        EXPECT_GE(done->elapsed(), 1ms) << "the first was shorter";
        EXPECT_LE(done->elapsed(), now - first_end.load() - 5ms) << "it waited before";
    });
}

}  // namespace
