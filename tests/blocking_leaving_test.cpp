// SPDX-License-Identifier: MIT
/// C6, C13 with blocking jobs: a stream may be left at any point; when its destructor has returned, none of its code
/// runs.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using support::in_both_forms;
using support::latch;
using support::test_error;
using support::tracked_value;

/// Code that a stream may call only while it lives.
class guarded {
public:
    class visit {
    public:
        explicit visit(guarded& g) : in_(g) {
            ++in_.inside_;
            if (in_.gone_) ++in_.violations_;
        }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit() {
            if (in_.gone_) ++in_.violations_;
            --in_.inside_;
        }

    private:
        guarded& in_;
    };
    /// How often it was called when it must not be.
    int leave() {
        gone_ = true;
        if (inside_ != 0) ++violations_;
        return violations_;
    }

private:
    std::atomic<bool> gone_{false};
    std::atomic<int> inside_{0};
    std::atomic<int> violations_{0};
};

class BlockingLeaving : public support::contract_test {
protected:
    template <class Start>
    static auto endless(Start start, penstock::executor& on, guarded& code, const penstock::options& settings) {
        auto inputs = std::views::iota(0) | std::views::transform([&code](int i) {
                          const guarded::visit pulling(code);
                          return i;
                      });
        return start(
            on, inputs,
            [&code, held = support::tracked()](int i) {
                const guarded::visit running(code);
                held.check();
                if (i % 16 == 0) std::this_thread::yield();
                return tracked_value(i);
            },
            settings);
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingLeaving, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

class BlockingLeavingOnSeveralWorkers : public BlockingLeaving {};
INSTANTIATE_TEST_SUITE_P(, BlockingLeavingOnSeveralWorkers,
                         ::testing::ValuesIn(support::settings_with(support::help, support::several_workers)),
                         support::name_of_setting);

TEST_P(BlockingLeaving, ByBreakAtEachIndex) {
    in_both_forms([&](auto start) {
        for (const std::size_t limit : {1U, 4U, 20U}) {
            for (int last = 0; last < 30; ++last) {
                guarded code;
                int seen = 0;
                {
                    auto stream = endless(start, ex, code, with(limit));
                    for (auto& done : stream) {
                        static_cast<void>(done.get());
                        if (seen++ == last) break;
                    }
                }
                EXPECT_EQ(code.leave(), 0) << "user code ran after the destructor";
                EXPECT_EQ(seen, last + 1);
            }
        }
    });
}

TEST_P(BlockingLeaving, ByAnExceptionInTheLoopWhileJobsReferToItsScope) {
    in_both_forms([&](auto start) {
        for (int last = 0; last < 30; ++last) {
            try {
                const auto local = std::make_unique<tracked_value<int>>(last);
                int seen = 0;
                auto stream = start(
                    ex, std::views::iota(0),
                    [&local](int) {
                        for (int i = 0; i < 50; ++i) local->check();
                        return local->value;
                    },
                    with(8));
                for (auto& done : stream) {
                    EXPECT_EQ(done.get(), last);
                    if (seen++ == last) throw test_error(last);
                }
                FAIL();
            } catch (const test_error& error) {
                EXPECT_EQ(error.code, last);
            }
        }
    });
}

TEST_P(BlockingLeaving, WithoutIterating) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 60; ++round) {
            guarded code;
            {
                const auto stream = endless(start, ex, code, with(static_cast<std::size_t>(round % 12 + 1)));
                if (round % 3 == 0) support::spin_for(round * 2us);
            }
            ASSERT_EQ(code.leave(), 0);
        }
    });
}

TEST_P(BlockingLeaving, WaitsForRunningJobsAndTellsThemToStop) {
    in_both_forms([&](auto start) {
        std::atomic<int> begun{0};
        std::atomic<int> ended{0};
        {
            auto stream = start(
                ex, std::views::iota(0),
                [&](int, std::stop_token token) {
                    ++begun;
                    EXPECT_TRUE(support::eventually([&] { return token.stop_requested(); }));
                    std::this_thread::sleep_for(1ms);
                    ++ended;
                },
                with(4));
            ASSERT_TRUE(support::eventually([&] { return begun == 4; }));
        }
        EXPECT_EQ(ended, 4);
        EXPECT_EQ(begun, 4);
    });
}

TEST_P(BlockingLeaving, DropsWhatWaitsForAThreadWithoutWaitingForOne) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    const support::busy_threads busy(few, 2);
    in_both_forms([&](auto start) {
        for (int round = 0; round < 30; ++round) {
            guarded code;
            {
                const auto stream = endless(start, few, code, with(5));
                support::spin_for(round * 10us);
            }
            EXPECT_EQ(code.leave(), 0);
        }
    });
}

TEST_P(BlockingLeaving, DropsWhatWaitsForAThreadWhileAllWorkersAreBusyToo) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
    const support::busy_threads busy(few, 1);
    const support::busy_workers busy_too(few);
    in_both_forms([&](auto start) {
        guarded code;
        { const auto stream = endless(start, few, code, with(5)); }
        EXPECT_EQ(code.leave(), 0);
    });
}

TEST_P(BlockingLeavingOnSeveralWorkers, AStreamThatHasEndedWaitsForNoOtherStreamsJob) {
    in_both_forms([&](auto start) {
        penstock::executor few({.workers = workers(), .max_blocking_threads = 1});
        latch first_ran;
        latch last_runs;
        latch end_it;
        latch end_other;
        auto ending = start(
            few,
            [&, given = 0]() mutable -> std::optional<int> {
                if (given == 1) {
                    EXPECT_TRUE(first_ran.wait());  // or the second might come to the only thread before it
                }
                return given < 2 ? std::optional(given++) : std::nullopt;
            },
            [&](int i) {
                if (i == 0) return first_ran.open();
                last_runs.open();
                EXPECT_TRUE(end_it.wait());
            },
            with(2, 0));
        ASSERT_TRUE(last_runs.wait());
        std::this_thread::sleep_for(1ms);
        auto other = start(
            few, std::views::iota(0, 1), [&](int) { EXPECT_TRUE(end_other.wait()); }, with(1));
        std::this_thread::sleep_for(1ms);
        {
            // Taking a result makes room, and a pump ready that finds no worker: it waits behind the other stream's
            // job.
            const support::busy_workers busy(few);
            ASSERT_TRUE(ending.next());
            end_it.open();
            ASSERT_TRUE(ending.next());
            EXPECT_FALSE(ending.next());
            end_other.open();
        }
        EXPECT_EQ(support::drain(other), 1U);
    });
}

TEST_P(BlockingLeaving, OnAnotherThreadOrInsideATask) {
    in_both_forms([&](auto start) {
        for (int round = 0; round < 20; ++round) {
            guarded code;
            auto stream =
                std::make_unique<decltype(endless(start, ex, code, with(8)))>(endless(start, ex, code, with(8)));
            for (int i = 0; i < round; ++i) ASSERT_TRUE(stream->next());
            const auto leave = [&] {
                stream.reset();
                EXPECT_EQ(code.leave(), 0);
            };
            if (round % 3 == 0) {
                std::thread(leave).join();
            } else if (round % 3 == 1) {
                ex.submit(leave).get();
            } else {
                auto inside = start(
                    ex, std::views::iota(0, 1), [&](int) { leave(); }, with(1));
                EXPECT_EQ(support::drain(inside), 1U);
            }
        }
    });
}

TEST_P(BlockingLeaving, DestroysResultsThatNobodyTook) {
    in_both_forms([&](auto start) {
        const std::size_t window = in_order() ? 40 : 16;
        {
            auto stream = start(
                ex, std::views::iota(0), [](int i) { return tracked_value(i); }, with(8));
            ASSERT_TRUE(support::eventually([&] { return stream.stats().ready == window; }));
            EXPECT_EQ(support::tracked::live(), static_cast<long>(window));
        }
        EXPECT_EQ(support::tracked::live(), 0);
    });
}

TEST_P(BlockingLeaving, ManyTimes) {
    // The last completer must not touch the stream that the consumer has just destroyed, nor the executor.
    in_both_forms([&](auto start) {
        for (int round = 0; round < 200; ++round) {
            std::optional<penstock::executor> own;
            if (round % 8 == 0) own.emplace(workers());
            auto stream = start(
                own ? *own : ex, std::views::iota(0, round % 7), [](int i) { return tracked_value(i); },
                with(static_cast<std::size_t>(round % 3 + 1)));
            if (round % 2 == 0 || own) support::drain(stream);
        }
    });
}

class BlockingLeavingDeathTest : public ::testing::TestWithParam<support::setting> {
protected:
    // A forked child would have no workers: it must begin anew.
    BlockingLeavingDeathTest() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
    static void sleep_for_ever() {
        for (;;) std::this_thread::sleep_for(1h);
    }
};
INSTANTIATE_TEST_SUITE_P(, BlockingLeavingDeathTest, ::testing::ValuesIn(support::every_width()),
                         support::name_of_setting);

TEST_P(BlockingLeavingDeathTest, AStreamDestroyedInsideItsOwnJobIsDiagnosed) {
    using job = penstock::blocking_job<std::function<int()>>;
    EXPECT_DEATH(
        {
            penstock::executor ex(GetParam().workers);
            latch made;
            std::unique_ptr<penstock::completion_stream<int>> own;
            std::vector<job> jobs{{[&] {
                if (made.wait()) own.reset();
                return 0;
            }}};
            own = std::make_unique<penstock::completion_stream<int>>(penstock::as_completed(ex, std::move(jobs), 1));
            made.open();
            sleep_for_ever();
        },
        "penstock: a stream was destroyed inside one of its own tasks");
}

TEST_P(BlockingLeavingDeathTest, AnExecutorDestroyedInsideABlockingJobOfItsOwnIsDiagnosed) {
    EXPECT_DEATH(
        {
            auto ex = std::make_unique<penstock::executor>(GetParam().workers);
            auto live = penstock::as_completed(
                *ex, std::views::iota(0, 1), [&](int) { return penstock::blocking([&] { ex.reset(); }); }, 1);
            sleep_for_ever();
        },
        "penstock: an executor was destroyed inside one of its own tasks");
}

TEST_P(BlockingLeavingDeathTest, AnExecutorDestroyedBeforeItsLiveStreamIsDiagnosed) {
    EXPECT_DEATH(
        {
            auto ex = std::make_unique<penstock::executor>(GetParam().workers);
            latch never;
            auto live = penstock::as_completed(
                *ex, std::views::iota(0, 1), [&](int) { return penstock::blocking([&] { return never.wait(); }); }, 1);
            while (live.stats().running == 0) std::this_thread::yield();
            ex.reset();
            sleep_for_ever();
        },
        "penstock: an executor was destroyed while a stream of its was still at work");
}

}  // namespace
