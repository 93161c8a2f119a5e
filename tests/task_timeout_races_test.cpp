// SPDX-License-Identifier: MIT
/// C4: options::task_timeout where it meets what happens at the same time: another attempt, a gate that is full, user
/// code that holds up who looks after the time, an end that comes just then, an executor that goes first.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/observer.hpp>
#include <penstock/penstock.hpp>

#include "support/task_timeout_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using penstock::task;
using support::blocks;
using support::computing;
using support::eventually;
using support::expect_timed_out;
using support::hears;
using support::indices;
using support::is_timed_out;
using support::latch;
using support::let_it_go_wrong;
using support::mark;
using support::opened_at_last;
using support::released_at_last;
using support::soon;
using support::stubborn;
using support::test_error;
using support::timed_out;
using support::tracked;
using support::value;

/// The position of the task that threw it; -1 if it was nothing that a task throws.
long thrower_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const test_error& why) {
        return why.code;
    } catch (...) {
    }
    return -1;
}

class TaskTimeout : public support::task_timeout_test {
protected:
    /// Whether so many tasks of that kind can run at once, and one worker is left for others.
    template <class Kind>
    bool can_run_at_once(const Kind& kind, std::size_t count) const {
        return kind.leaves_worker || workers() > count;
    }
    /// Takes what is left, in whatever order; how much it was.
    template <class Stream>
    static std::size_t take_rest(Stream& stream) {
        std::size_t count = 0;
        for (; auto done = soon(stream); ++count) EXPECT_TRUE(timed_out(*done));
        EXPECT_TRUE(stream.done());
        return count;
    }
    /// What throws is run once more after `delay`; what times out is not.
    penstock::options failing_again(clock_type::duration timeout, std::size_t limit, clock_type::duration delay) const {
        auto settings = timing_out(timeout, limit);
        settings.retry = penstock::retry_policy{.attempts = 2, .first_delay = delay, .factor = 1, .jitter = 0};
        settings.retry->again = [](const std::exception_ptr& why) { return thrower_of(why) >= 0; };
        return settings;
    }
};
INSTANTIATE_TEST_SUITE_P(, TaskTimeout, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

class TaskTimeoutInOrder : public TaskTimeout {};
INSTANTIATE_TEST_SUITE_P(, TaskTimeoutInOrder,
                         ::testing::ValuesIn(support::settings_with(support::in_submission_order, support::help)),
                         support::name_of_setting);

class TaskTimeoutBesideOthers : public TaskTimeout {};
INSTANTIATE_TEST_SUITE_P(, TaskTimeoutBesideOthers,
                         ::testing::ValuesIn(support::settings_with(support::several_workers, support::help)),
                         support::name_of_setting);

// --- another attempt

/// Every other task throws at first; then each of them, one at a time, runs until it is overdue.
struct late_ones {
    static constexpr std::size_t count = 6;
    std::array<std::atomic<unsigned>, count> begun{}, repeated{};
    std::atomic<std::size_t> waiting{0}, released{0};

    value run(std::size_t i) {
        if (++begun.at(i) == 1 && i % 2 == 1) throw test_error(static_cast<long>(i));
        const std::size_t mine = ++waiting;
        EXPECT_TRUE(eventually([&] { return released >= mine; }));
        return value(i);
    }
    bool again(const std::exception_ptr& why) {
        const long i = thrower_of(why);
        if (i >= 0) ++repeated.at(static_cast<std::size_t>(i));
        return i >= 0;
    }
    template <class Stream>
    void release_what_is_overdue(const Stream& stream) {
        const std::size_t now = waiting;
        if (stream.stats().overdue > 0 && waiting == now) released = now;
    }
};

TEST_P(TaskTimeout, CountsTheAttemptsOfATaskThoughAnEarlierOneWasOverdue) {
    in_every_kind([&](const auto& kind) {
        if (!kind.repeats) return;
        bool all_repeated = false;
        for (auto timeout = 2ms; !all_repeated && !HasFailure(); timeout *= 4) {
            ASSERT_LT(timeout, 10s) << "those that throw at once can not have been timed out each time";
            late_ones tasks;
            auto settings = failing_again(timeout, 1, 100us);
            settings.retry->attempts = 3;
            settings.retry->again = [&](const std::exception_ptr& why) { return tasks.again(why); };
            const auto what = [&](std::size_t i, const std::stop_token&) { return tasks.run(i); };
            auto stream = kind.start(ex, late_ones::count, what, settings);
            const std::jthread releaser([&](const std::stop_token& over) {
                for (; !over.stop_requested(); std::this_thread::sleep_for(100us))
                    tasks.release_what_is_overdue(stream);
                tasks.released = SIZE_MAX;
            });
            all_repeated = true;
            take_all(stream, late_ones::count, [&](const auto& done) {
                const std::size_t i = done.index();
                EXPECT_TRUE(is_timed_out(done.error()));
                EXPECT_EQ(done.attempts(), tasks.repeated.at(i) + 1);
                all_repeated = all_repeated && tasks.repeated.at(i) == i % 2;
            });
            EXPECT_EQ(stream.stats().failed, late_ones::count);
        }
    });
}

// --- a gate

TEST_P(TaskTimeoutInOrder, OfATaskThatKeepsAPermitLeavesAnEarlierOneToBeRunAgainAfterIt) {
    in_every_kind([&](const auto& kind) {
        if (!kind.repeats || !others_can_run(kind)) return;
        for (const bool is_due_before : {true, false}) {
            bool repeated = false;
            for (auto timeout = 5ms; !repeated && !HasFailure(); timeout *= 8) {
                ASSERT_LT(timeout, 10s) << "what ends at once can not have been timed out each time";
                penstock::gate one(1);
                stubborn second;
                std::atomic<int> runs{0};
                const auto what = [&](std::size_t i, const std::stop_token&) {
                    if (i == 0 && ++runs == 1) throw test_error(0);
                    return i == 1 ? second.run(i) : value(i);
                };
                auto settings = failing_again(timeout, 3, is_due_before ? timeout / 2 : 2 * timeout);
                settings.on_error = penstock::on_error::stop;
                settings.shared = &one;
                auto stream = kind.start(ex, 3, what, settings);
                const released_at_last guard(second);
                // Either may have been timed out: then the stream has failed.
                EXPECT_TRUE(eventually([&] { return stream.stats().failed > 0; }));
                let_it_go_wrong(1ms);
                EXPECT_LE(one.in_flight(), 1U);
                second.released = true;
                try {
                    const auto first = soon(stream);
                    EXPECT_TRUE(first) << "it was not run again";
                    if (first) {
                        EXPECT_EQ(first->index(), 0U);
                        EXPECT_EQ(first->attempts(), 2U);
                        EXPECT_TRUE(first->has_value());
                        EXPECT_THROW(soon(stream), penstock::timed_out);
                    }
                    repeated = true;
                } catch (const penstock::timed_out&) {  // it was the first
                }
                EXPECT_FALSE(soon(stream));
                EXPECT_TRUE(support::eventually_all_accounted(stream));
                EXPECT_TRUE(eventually([&] { return one.in_flight() == 0; }));
            }
        }
    });
}

// --- the counts

TEST_P(TaskTimeout, KeepsTheCountsRightAtEveryMomentThoughEachTaskIsOverdueAtOnce) {
    constexpr std::size_t limit = 4;
    struct readings {
        std::atomic<std::size_t> excess{0}, overdue{0};
        void look(const penstock::stream_stats& now) {
            const std::size_t sum = now.running + now.ready + now.taken + now.dropped;
            if (sum > now.pulled) raise(excess, sum - now.pulled);
            raise(overdue, now.overdue);
        }
        static void raise(std::atomic<std::size_t>& most, std::size_t to) {
            std::size_t seen = most;
            while (seen < to && !most.compare_exchange_weak(seen, to)) {
            }
        }
    };
    in_every_kind([&](const auto& kind) {
        const std::size_t count = kind.leaves_worker ? 100 : 400;
        const auto what = [](std::size_t i, const std::stop_token&) {
            support::spin_for(20us);
            return value(i);
        };
        auto stream = kind.start(ex, count, what, timing_out(0us, limit));
        readings seen;
        {
            const auto watch = [&](const std::stop_token& over) {
                for (; !over.stop_requested(); std::this_thread::yield()) seen.look(stream.stats());
            };
            const std::jthread one(watch), other(watch);
            EXPECT_EQ(take_all(stream, count), count);
        }
        EXPECT_EQ(seen.excess, 0U) << "running + ready + taken + dropped > pulled";
        EXPECT_LE(seen.overdue, limit);
        EXPECT_TRUE(eventually([&] { return stream.stats().overdue == 0; }));
    });
}

// --- user code that holds up who looks after the time

/// Holds up the first who comes until it is opened; counts them all.
struct hurdle {
    void pass() {
        if (came++ == 0) {
            EXPECT_TRUE(gone.wait()) << "nobody else came meanwhile";
            ++went;
        }
    }
    latch gone;
    std::atomic<std::size_t> came{0}, went{0};
};
struct slow_observer final : penstock::stream_observer {
    explicit slow_observer(hurdle& first) : first_(first) {}
    void on_error(std::size_t, std::exception_ptr) noexcept override { first_.pass(); }
    hurdle& first_;
};

TEST_P(TaskTimeout, OfATaskIsNotDelayedByAnObserverOrAPredicateThatIsHeldUpForAnother) {
    constexpr std::size_t count = 4;
    in_every_kind([&](const auto& kind) {
        if (!kind.repeats || !can_run_at_once(kind, count)) return;
        for (const bool observed : {true, false}) {
            hurdle first;
            slow_observer told(first);
            stubborn tasks;
            auto settings = timing_out(2ms, count);
            if (observed) settings.observer = &told;
            if (!observed) {
                settings.retry.emplace();
                settings.retry->again = [&](const std::exception_ptr&) { return first.pass(), false; };
            }
            auto stream = kind.start(ex, count, tasks.each(), settings);
            const opened_at_last hurdle_guard(first.gone);
            const released_at_last guard(tasks);
            EXPECT_TRUE(eventually([&] { return first.came == count; })) << "for those that are late as well";
            if (!in_order()) {
                for (std::size_t i = 1; i < count; ++i) {
                    auto done = soon(stream);
                    ASSERT_TRUE(done);
                    EXPECT_TRUE(timed_out(*done));
                }
                EXPECT_FALSE(stream.try_next()) << "it is held up";
            }
            EXPECT_EQ(first.went, 0U);
            EXPECT_EQ(tasks.ended, 0U);
            first.gone.open();
            tasks.released = true;
            EXPECT_EQ(take_rest(stream), in_order() ? count : 1U);
        }
    });
}

/// Takes its time over the second task: until that has ended.
struct patient_observer final : penstock::stream_observer {
    void on_error(std::size_t index, std::exception_ptr) noexcept override {
        if (index != 1) return;
        asked = true;
        EXPECT_TRUE(eventually([&] { return second_ended.load(); }));
        let_it_go_wrong(500us);
    }
    std::atomic<bool> asked{false}, second_ended{false};
};

TEST_P(TaskTimeoutBesideOthers, LeavesNoSlotEmptyWhileWhatHangsOnATokenIsHeldUp) {
    in_every_kind_that_hears([&](const auto& kind) {
        if (!can_run_at_once(kind, 3)) return;
        for (int round = 0; round < 3; ++round) {
            latch told;
            stubborn first;
            patient_observer observer;
            std::atomic<bool> third_begun{false};
            const auto what = [&](std::size_t i, const std::stop_token& token) {
                if (i == 0) {
                    const std::stop_callback slow(token, [&] { EXPECT_TRUE(told.wait()); });
                    return first.run(i);
                }
                if (i == 1) {
                    EXPECT_TRUE(eventually([&] { return observer.asked.load(); }));
                    observer.second_ended = true;
                }
                if (i == 2) third_begun = true;
                return value(i);
            };
            auto settings = timing_out(2ms, 2);
            settings.buffer = 8;
            settings.observer = &observer;
            auto stream = kind.start(ex, 3, what, settings);
            const opened_at_last told_guard(told);
            const released_at_last guard(first);
            EXPECT_TRUE(eventually([&] { return third_begun.load(); })) << "the slot of the second was left empty";
            EXPECT_EQ(first.ended, 0U);
            told.open();
            first.released = true;
            EXPECT_GE(take_all(stream, 3), 1U);
        }
    });
}

/// Tells the first task's timeout only when the second's has been asked about, so that the second can be late
/// unnoticed.
struct busy_observer final : penstock::stream_observer {
    void on_error(std::size_t index, std::exception_ptr) noexcept override {
        if (index > 0) return;
        EXPECT_TRUE(asked.wait());
    }
    latch asked;
};

TEST_P(TaskTimeout, LetsAThreadThatAsksAboutALateJobHoldUpNoOther) {
    bool by_itself = false;  // the thread of the late job has asked
    for (int round = 0; round < 20 && !by_itself && !HasFailure(); ++round) {
        for (const bool throws : {false, true}) {
            constexpr auto timeout = 2ms;
            penstock::feed<std::size_t> numbers;
            EXPECT_TRUE(numbers.push(0) && numbers.push(1));
            stubborn first;
            busy_observer observer;
            latch third;
            std::atomic<bool> asked{false};
            std::atomic<std::thread::id> second{};
            const auto run = [&](std::size_t i) {
                const mark begin;
                if (i == 0) return first.run(i);
                if (i == 1) {
                    second = std::this_thread::get_id();
                    std::this_thread::sleep_for(timeout + std::chrono::microseconds(round % 5 * 200));
                    if (throws) throw test_error(1);
                }
                if (i == 2) third.open();
                return value(i);
            };
            auto settings = timing_out(timeout, 3);
            settings.observer = &observer;
            settings.retry.emplace();
            settings.retry->again = [&](const std::exception_ptr&) {
                if (asked.exchange(true)) return false;
                if (std::this_thread::get_id() == second.load()) by_itself = true;
                observer.asked.open();
                EXPECT_TRUE(third.wait()) << "it has not been started";
                return false;
            };
            auto stream = penstock::as_completed(
                ex, numbers, [&](std::size_t i) { return penstock::blocking([&run, i] { return run(i); }); }, settings);
            const opened_at_last asked_guard(observer.asked), third_guard(third);
            const released_at_last guard(first);
            EXPECT_TRUE(eventually([&] { return asked.load(); }));
            EXPECT_TRUE(numbers.push(2));
            numbers.close();
            EXPECT_GE(take_all(stream, 3), 1U);
        }
    }
}

// --- who goes first

TEST_P(TaskTimeout, IsWaitedForByItsExecutorOnceTheStreamIsDone) {
    in_every_kind([&](const auto& kind) {
        if (!others_can_run(kind)) return;  // or nobody asks the source whether there is more
        std::optional<penstock::executor> own(std::in_place, workers());
        stubborn only;
        auto stream = kind.start(*own, 1, only.each(), timing_out(1ms, 2));
        const released_at_last guard(only);
        expect_timed_out(soon(stream), 0);
        ASSERT_TRUE(eventually([&] { return stream.done(); }));
        EXPECT_EQ(only.ended, 0U);
        {
            const std::jthread later([&] {
                let_it_go_wrong(500us);
                only.released = true;
            });
            own.reset();
        }
        EXPECT_EQ(only.ended, 1U);
        EXPECT_FALSE(stream.try_next());
    });
}

// --- inputs of every kind

struct alignas(64) lane_wide : tracked {
    explicit lane_wide(std::size_t n) : number(n) {}
    bool is_aligned() const { return reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
    std::size_t number;
};
struct move_only : support::tracked_unique<std::unique_ptr<std::size_t>> {
    explicit move_only(std::size_t n) : tracked_unique(std::make_unique<std::size_t>(n)) {}
};

/// Throws when it is moved into the stream, if it is told to.
struct reluctant : tracked {
    explicit reluctant(std::size_t n, bool bad) : number(n), throws(bad) {}
    reluctant(reluctant&& other) : tracked(std::move(other)), number(other.number), throws(other.throws) {
        if (throws) throw test_error(static_cast<long>(number));
    }
    std::size_t number;
    bool throws;
};
/// Gives references, so that none of them is moved but into the stream.
template <class Input>
auto each_of(std::vector<std::unique_ptr<Input>>& inputs) {
    return std::views::all(inputs) |
           std::views::transform([](std::unique_ptr<Input>& in) -> Input&& { return std::move(*in); });
}

/// Calls test(function) with functions that read an input in the ways there are.
template <class Input, class Read, class Test>
void in_every_function(const Read& read, Test test) {
    test([&read](const Input& in) { return read(in); });
    test([&read](const Input& in) { return penstock::blocking([&read, &in] { return read(in); }); });
    test([&read](const Input& in) -> task<value> {
        const tracked frame;
        co_return co_await penstock::run_blocking([&read, &in] { return read(in); });
    });
}

template <class Input, class Right>
void expect_inputs(penstock::executor& ex, const penstock::options& settings, Right right) {
    stubborn readers;
    const auto read = [&](const Input& in) {
        const std::size_t i = readers.begun++;
        EXPECT_TRUE(eventually([&] { return readers.released.load(); }));
        in.check();
        EXPECT_TRUE(right(in, i)) << "it is the task's as long as it runs";
        return value(i);
    };
    in_every_function<Input>(read, [&](auto function) {
        readers.begun = 0;
        readers.released = false;
        std::vector<std::unique_ptr<Input>> inputs;
        for (std::size_t i = 0; i < 2; ++i) inputs.push_back(std::make_unique<Input>(i));
        std::optional<penstock::completed<value, Input>> kept;
        {
            auto stream = penstock::as_completed(ex, each_of(inputs), function, settings);
            const released_at_last guard(readers);
            auto first = soon(stream);
            ASSERT_TRUE(first);
            kept.emplace(*std::move(first));
            readers.released = true;
            while (auto done = soon(stream)) {
                EXPECT_TRUE(right(done->input(), done->index()));
            }
        }
        EXPECT_EQ(kept->index(), 0U);
        EXPECT_TRUE(is_timed_out(kept->error()));
        kept->input().check();
        EXPECT_TRUE(right(kept->input(), 0)) << "it is the result's for good";
    });
}

TEST_P(TaskTimeout, LeavesAnInputThatCanOnlyBeMovedToTheResult) {
    expect_inputs<move_only>(ex, timing_out(1ms, 1), [](const move_only& in, std::size_t i) { return *in.value == i; });
}

TEST_P(TaskTimeout, LeavesAnInputThatIsOveralignedToTheResult) {
    expect_inputs<lane_wide>(ex, timing_out(1ms, 1),
                             [](const lane_wide& in, std::size_t i) { return in.is_aligned() && in.number == i; });
}

TEST_P(TaskTimeout, MakesAnErrorOfThatTaskOfAnInputWhoseMoveThrows) {
    constexpr std::size_t count = 6;
    std::atomic<std::size_t> ran{0};
    const auto read = [&](const reluctant& in) {
        ++ran;
        return value(in.number);
    };
    for (std::size_t bad = 0; bad < count; ++bad) {
        in_every_function<reluctant>(read, [&](auto function) {
            ran = 0;
            std::vector<std::unique_ptr<reluctant>> inputs;
            for (std::size_t i = 0; i < count; ++i) inputs.push_back(std::make_unique<reluctant>(i, i == bad));
            auto stream = penstock::as_completed(ex, each_of(inputs), function, timing_out(1h, 2));
            std::size_t came = 0;
            for (; auto done = soon(stream); ++came) {
                if (done->index() == bad) {
                    EXPECT_EQ(thrower_of(done->error()), static_cast<long>(bad));
                    EXPECT_THROW(static_cast<void>(done->input()), std::logic_error);
                } else {
                    EXPECT_EQ(done->input().number, done->index());
                    EXPECT_EQ(done->get().value, done->index());
                }
            }
            EXPECT_EQ(came, count);
            EXPECT_EQ(ran, count - 1) << "a task without its input must not run";
        });
    }
}

}  // namespace
