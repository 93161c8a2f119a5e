// SPDX-License-Identifier: MIT
/// An observer is told of each task's start and end, once, before its result can be taken; and of nothing else.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/observer.hpp>
#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::drain;
using support::eventually;
using support::latch;
using support::test_error;
using support::tracked;
using support::tracked_value;

static_assert(std::has_virtual_destructor_v<penstock::stream_observer>);
static_assert(!std::is_abstract_v<penstock::stream_observer>, "what one is not interested in need not be written");

/// Writes down what it is told, and what must not be. Room for so many tasks.
class witness final : public penstock::stream_observer {
public:
    explicit witness(std::size_t tasks) : seen_(tasks) {}

    void on_start(std::size_t index) noexcept override {
        if (told_of(index).ended() > 0 || told_of(index).started.fetch_add(1) > 0) ++faults_;
        told_of(index).thread = std::this_thread::get_id();
        ++starts_;
    }
    void on_finish(std::size_t index) noexcept override {
        end(index);
        ++told_of(index).finished;
        ++finishes_;
    }
    void on_error(std::size_t index, std::exception_ptr why) noexcept override {
        end(index);
        if (!why) ++faults_;
        told_of(index).why = why;
        ++told_of(index).failed;
        ++errors_;
    }

    struct told {
        int ended() const { return finished + failed; }
        std::atomic<int> started{0}, finished{0}, failed{0};
        std::atomic<std::thread::id> thread{};  ///< where it started
        std::exception_ptr why;                 ///< written before `failed`
    };
    told& told_of(std::size_t index) { return seen_.at(index); }
    const told& told_of(std::size_t index) const { return seen_.at(index); }

    std::size_t starts() const { return starts_; }
    std::size_t finishes() const { return finishes_; }
    std::size_t errors() const { return errors_; }
    /// What was out of order: a second start, a start after the end, a second end.
    std::size_t faults() const { return faults_; }
    /// Ends that had no start.
    std::size_t unstarted_ends() const { return unstarted_ends_; }

private:
    void end(std::size_t index) noexcept {
        if (told_of(index).started == 0) ++unstarted_ends_;
        if (told_of(index).ended() > 0) ++faults_;
    }

    std::vector<told> seen_;
    std::atomic<std::size_t> starts_{0}, finishes_{0}, errors_{0}, faults_{0}, unstarted_ends_{0};
};

/// Functions of each kind that do the same as `body`.
struct computed {
    template <class Body>
    auto operator()(Body body) const {
        return [body](std::size_t i) { return body(i); };
    }
};
struct blocking {
    template <class Body>
    auto operator()(Body body) const {
        return [body](std::size_t i) { return penstock::blocking([body, i] { return body(i); }); };
    }
};
template <class Body>
auto call_and_pause(Body body, std::size_t i) -> task<decltype(body(i))> {
    const tracked frame;
    if (i % 3 == 0) {
        co_await penstock::sleep_for(20us);
    } else if (i % 3 == 1) {
        co_await penstock::yield();
    }
    co_return body(i);
}
struct suspended {
    template <class Body>
    auto operator()(Body body) const {
        return [body](std::size_t i) { return call_and_pause(body, i); };
    }
};
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
}

auto up_to(std::size_t count) { return std::views::iota(std::size_t{0}, count); }
constexpr auto endless = std::views::iota(std::size_t{0});

class Observer : public support::contract_test {
protected:
    penstock::options watched_by(penstock::stream_observer& who, std::size_t limit,
                                 std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.observer = &who;
        return settings;
    }
    /// Each task that was started has ended once, and there was nothing else.
    static void expect_sound(const witness& all) {
        EXPECT_EQ(all.faults(), 0U);
        EXPECT_EQ(all.unstarted_ends(), 0U);
        EXPECT_EQ(all.starts(), all.finishes() + all.errors());
    }
};
INSTANTIATE_TEST_SUITE_P(, Observer, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(Observer, IsToldOfEachTasksStartAndThenOfItsEndBeforeTheResultCanBeTaken) {
    in_every_kind([&](auto kind) {
        constexpr std::size_t tasks = 600;
        witness all(tasks);
        const auto body = [&](std::size_t i) {
            EXPECT_EQ(all.told_of(i).started, 1) << "before it runs";
            EXPECT_EQ(all.told_of(i).ended(), 0);
            return tracked_value(i);
        };
        auto stream = penstock::as_completed(ex, up_to(tasks), kind(body), watched_by(all, 8));
        std::size_t taken = 0;
        while (auto done = stream.next()) {
            ++taken;
            EXPECT_EQ(done->get().value, done->index()) << "the observer's indices are the stream's";
            EXPECT_EQ(all.told_of(done->index()).finished, 1);
            EXPECT_EQ(all.told_of(done->index()).failed, 0);
        }
        EXPECT_EQ(taken, tasks);
        EXPECT_EQ(all.finishes(), tasks);
        expect_sound(all);
    });
}

TEST_P(Observer, IsToldOfErrorsInsteadWithTheirReason) {
    in_every_kind([&](auto kind) {
        constexpr std::size_t tasks = 300;
        witness all(tasks);
        const auto body = [](std::size_t i) {
            if (i % 3 == 0) throw test_error(static_cast<long>(i));
            return tracked_value(i);
        };
        auto stream = penstock::as_completed(ex, up_to(tasks), kind(body), watched_by(all, 8));
        while (auto done = stream.next()) {
            const auto& told = all.told_of(done->index());
            EXPECT_EQ(told.finished, done->has_value() ? 1 : 0);
            EXPECT_EQ(told.failed, done->has_value() ? 0 : 1);
            if (done->has_value()) continue;
            try {
                std::rethrow_exception(told.why);
            } catch (const test_error& error) {
                EXPECT_EQ(static_cast<std::size_t>(error.code), done->index());
            } catch (...) {
                ADD_FAILURE() << "another error than the task's";
            }
        }
        EXPECT_EQ(all.finishes(), 200U);
        EXPECT_EQ(all.errors(), 100U);
        expect_sound(all);
    });
}

TEST_P(Observer, IsToldOnTheThreadThatRunsTheTask) {
    constexpr std::size_t tasks = 300;
    witness all(tasks);
    std::atomic<int> elsewhere{0};
    const auto body = [&](std::size_t i) {
        if (all.told_of(i).thread.load() != std::this_thread::get_id()) ++elsewhere;
    };
    auto stream = penstock::as_completed(ex, up_to(tasks), computed()(body), watched_by(all, 8));
    EXPECT_EQ(drain(stream), tasks);
    EXPECT_EQ(elsewhere, 0);
    expect_sound(all);

    witness blocked(tasks);
    const auto blocking_body = [&](std::size_t i) {
        if (blocked.told_of(i).thread.load() != std::this_thread::get_id()) ++elsewhere;
    };
    auto second = penstock::as_completed(ex, up_to(tasks) | std::views::transform([&](std::size_t i) {
                                                 return penstock::blocking([&blocking_body, i] { blocking_body(i); });
                                             }),
                                         watched_by(blocked, 8));
    EXPECT_EQ(drain(second), tasks);
    EXPECT_EQ(elsewhere, 0);
    expect_sound(blocked);
}

TEST_P(Observer, IsToldOfJobsWhoseKindOnlyTheyKnow) {
    constexpr std::size_t tasks = 300;
    witness all(tasks);
    std::size_t made = 0;
    auto stream = penstock::as_completed(
        ex,
        [&]() -> std::optional<penstock::any_job<std::size_t>> {
            if (made == tasks) return std::nullopt;
            const std::size_t i = made++;
            const auto body = [&all](std::size_t index) {
                EXPECT_EQ(all.told_of(index).started, 1);
                if (index % 5 == 0) throw test_error(static_cast<long>(index));
                return index;
            };
            if (i % 3 == 0) return [body, i] { return body(i); };
            if (i % 3 == 1) return penstock::blocking([body, i] { return body(i); });
            return call_and_pause(body, i);
        },
        watched_by(all, 8));
    while (auto done = stream.next()) {
        EXPECT_EQ(all.told_of(done->index()).finished, done->has_value() ? 1 : 0);
        EXPECT_EQ(all.told_of(done->index()).failed, done->has_value() ? 0 : 1);
    }
    EXPECT_EQ(all.errors(), 60U);
    EXPECT_EQ(all.starts(), tasks);
    expect_sound(all);
}

TEST_P(Observer, IsToldOfManyShortTasksOneByOne) {
    constexpr std::size_t tasks = 20'000;
    witness all(tasks);
    auto stream = penstock::as_completed(
        ex, up_to(tasks), [](std::size_t i) { return i; }, watched_by(all, 64));
    EXPECT_EQ(drain(stream), tasks);
    EXPECT_EQ(all.starts(), tasks);
    EXPECT_EQ(all.finishes(), tasks);
    expect_sound(all);
}

TEST_P(Observer, NeedsNoConsumer) {
    in_every_kind([&](auto kind) {
        witness all(1000);
        auto stream = penstock::as_completed(ex, endless, kind([](std::size_t i) { return i; }), watched_by(all, 4, 6));
        EXPECT_TRUE(eventually([&] { return all.finishes() == 10; }));
    });
}

TEST_P(Observer, IsNotToldOfTasksThatAreDroppedByAStop) {
    in_every_kind([&](auto kind) {
        for (const int before : {0, 1, 30}) {
            witness all(10'000);
            auto stream =
                penstock::as_completed(ex, endless, kind([](std::size_t i) { return i; }), watched_by(all, 8));
            std::size_t taken = 0;
            for (int i = 0; i < before; ++i) {
                if (stream.next()) ++taken;
            }
            stream.request_stop();
            EXPECT_THROW(while (stream.next())++ taken, penstock::stopped);
            EXPECT_TRUE(support::eventually_all_accounted(stream));
            EXPECT_EQ(all.starts(), taken) << "what has started is delivered";
            expect_sound(all);
        }
    });
}

TEST_P(Observer, IsNotToldOfATaskThatNeverPassedAGate) {
    in_every_kind([&](auto kind) {
        penstock::gate shared(1);
        latch end;
        auto settings = with(1);
        settings.shared = &shared;
        std::atomic<bool> held{false};
        auto holding = penstock::as_completed(
            ex, std::views::iota(0, 1),
            [&](int) {
                return penstock::blocking([&] {
                    held = true;
                    EXPECT_TRUE(end.wait());
                });
            },
            settings);
        EXPECT_TRUE(eventually([&] { return held.load(); }));
        witness all(10);
        {
            auto waits = watched_by(all, 4);
            waits.shared = &shared;
            std::atomic<bool> pulled{false};
            const auto stream = penstock::as_completed(ex, up_to(5) | std::views::transform([&](std::size_t i) {
                                                               pulled = true;
                                                               return i;
                                                           }),
                                                       kind([](std::size_t i) { return i; }), waits);
            EXPECT_TRUE(eventually([&] { return pulled.load(); }));
        }
        EXPECT_EQ(all.starts(), 0U);
        expect_sound(all);
        end.open();
        EXPECT_EQ(drain(holding), 1U);
    });
}

TEST_P(Observer, IsToldOfTheEndOfEachTaskThatHasStartedThoughItsStreamIsLeft) {
    in_every_kind([&](auto kind) {
        for (const int taken : {0, 1, 20}) {
            witness all(10'000);
            {
                auto stream = penstock::as_completed(ex, endless, kind([](std::size_t i) { return tracked_value(i); }),
                                                     watched_by(all, 8));
                for (int i = 0; i < taken; ++i) {
                    ASSERT_TRUE(stream.next());
                }
            }
            EXPECT_GE(all.starts(), static_cast<std::size_t>(taken));
            expect_sound(all);
        }
    });
}

TEST_P(Observer, IsToldThatATaskWasStoppedWhileItSlept) {
    constexpr std::size_t tasks = 6;
    witness all(tasks);
    auto stream = penstock::as_completed(
        ex, up_to(tasks),
        [](std::size_t i) -> task<std::size_t> {
            const tracked frame;
            co_await penstock::sleep_for(1h);
            co_return i;
        },
        watched_by(all, tasks));
    EXPECT_TRUE(eventually([&] { return all.starts() == tasks; }));
    EXPECT_EQ(all.finishes() + all.errors(), 0U);
    stream.request_stop();
    std::size_t taken = 0;
    try {
        while (auto done = stream.next()) {
            ++taken;
            EXPECT_THROW(std::rethrow_exception(all.told_of(done->index()).why), penstock::stopped);
        }
    } catch (const penstock::stopped&) {
        // The end of the source may not have been seen.
    }
    EXPECT_EQ(taken, tasks);
    EXPECT_EQ(all.errors(), tasks);
    expect_sound(all);
}

TEST_P(Observer, IsToldOfTheEndOfTasksThatOutliveTheDeadline) {
    in_every_kind([&](auto kind) {
        witness all(10'000);
        {
            auto settings = watched_by(all, 4);
            settings.deadline = std::chrono::steady_clock::now() + 5ms;
            auto stream = penstock::as_completed(ex, endless, kind([](std::size_t i) {
                                                     std::this_thread::sleep_for(100us);
                                                     return i;
                                                 }),
                                                 settings);
            EXPECT_THROW(drain(stream), penstock::timed_out);
        }
        expect_sound(all);
    });
}

TEST_P(Observer, IsToldOfAFailureThatEndsTheStream) {
    in_every_kind([&](auto kind) {
        witness all(10'000);
        auto settings = watched_by(all, 8);
        settings.on_error = penstock::on_error::stop;
        {
            const auto body = [](std::size_t i) {
                if (i == 40) throw test_error(40);
                return i;
            };
            // Others may go on for as long as the thread of the failing task is kept waiting.
            auto stream = penstock::as_completed(ex, up_to(10'000), kind(body), settings);
            EXPECT_THROW(drain(stream), test_error);
            EXPECT_EQ(all.told_of(40).failed, 1);
        }
        EXPECT_GE(all.errors(), 1U);
        expect_sound(all);
    });
}

TEST_P(Observer, IsToldOfATaskThatIsTooHeavyByItsErrorAlone) {
    constexpr std::size_t tasks = 30;
    penstock::gate shared({.weight = 10});
    const auto check = [&](const penstock::options& settings, const witness& all, auto make) {
        auto jobs = up_to(tasks) | std::views::transform([make](std::size_t i) {
                        return penstock::weighted(std::size_t{i == 7 ? 11U : 4U}, make());
                    });
        auto stream = penstock::as_completed(ex, jobs, settings);
        while (auto done = stream.next()) {
            const auto& told = all.told_of(done->index());
            const bool refused = done->index() == 7;
            EXPECT_EQ(done->has_value(), !refused);
            EXPECT_EQ(told.started, refused ? 0 : 1);
            EXPECT_EQ(told.finished, refused ? 0 : 1);
            EXPECT_EQ(told.failed, refused ? 1 : 0);
            if (refused) {
                EXPECT_THROW(std::rethrow_exception(told.why), std::invalid_argument);
            }
        }
        EXPECT_EQ(all.faults(), 0U);
        EXPECT_EQ(all.starts(), tasks - 1);
        EXPECT_EQ(all.unstarted_ends(), 1U);
        EXPECT_EQ(all.errors(), 1U);
    };
    const auto check_both = [&](auto make) {
        witness own(tasks), at_the_gate(tasks);
        auto settings = watched_by(own, 4);
        settings.max_weight = 10;
        check(settings, own, make);
        settings = watched_by(at_the_gate, 4);
        settings.shared = &shared;
        check(settings, at_the_gate, make);
    };
    check_both([] { return [] {}; });
    check_both([] { return penstock::blocking([] {}); });
    check_both([] { return call_and_pause([](std::size_t) {}, 1); });
}

TEST_P(Observer, MayWatchSeveralStreams) {
    in_every_kind([&](auto kind) {
        std::atomic<std::size_t> balance{0}, ends{0};
        class counter final : public penstock::stream_observer {
        public:
            counter(std::atomic<std::size_t>& b, std::atomic<std::size_t>& e) : balance_(b), ends_(e) {}
            void on_start(std::size_t) noexcept override { ++balance_; }
            void on_finish(std::size_t) noexcept override {
                --balance_;
                ++ends_;
            }

        private:
            std::atomic<std::size_t>&balance_, &ends_;
        };
        counter all(balance, ends);
        const auto run = [&] {
            auto stream =
                penstock::as_completed(ex, up_to(200), kind([](std::size_t i) { return i; }), watched_by(all, 4));
            EXPECT_EQ(drain(stream), 200U);
        };
        {
            const std::jthread second(run);
            run();
        }
        EXPECT_EQ(balance, 0U);
        EXPECT_EQ(ends, 400U);
    });
}

TEST_P(Observer, ThatOverridesNothingIsNoTrouble) {
    in_every_kind([&](auto kind) {
        penstock::stream_observer indifferent;
        const auto body = [](std::size_t i) {
            if (i % 2 == 0) throw test_error(static_cast<long>(i));
            return i;
        };
        auto stream = penstock::as_completed(ex, up_to(100), kind(body), watched_by(indifferent, 4));
        EXPECT_EQ(drain(stream), 100U);
    });
}

}  // namespace
