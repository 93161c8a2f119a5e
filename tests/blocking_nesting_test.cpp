// SPDX-License-Identifier: MIT
/// C7 with blocking jobs: whatever iterates over a stream inside a task, job, function or producer gets its results, at
/// any depth, with one worker and with one blocking thread.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <ranges>
#include <stop_token>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/blocking_streams.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::blocking;
using support::in_both_forms;
using support::latch;
using support::meter;
using support::test_error;

class BlockingNesting : public support::contract_test {
protected:
    /// A tree of streams, of blocking jobs where the bits of `kinds` say so and of CPU tasks elsewhere; the lowest bit
    /// is the uppermost stream. How many leaves it has.
    long leaves(penstock::executor& on, int depth, int fan_out, std::size_t limit, unsigned kinds) {
        if (depth == 0) return 1;
        meter running;
        const auto below = [&, depth, fan_out, limit, kinds](int) {
            const meter::visit here(running);
            return leaves(on, depth - 1, fan_out, limit, kinds / 2);
        };
        const auto sum_of = [](auto stream) {
            long sum = 0;
            while (auto done = stream.next()) sum += done->get();
            return sum;
        };
        const auto inputs = std::views::iota(0, fan_out);
        const long sum = kinds % 4 == 1   ? sum_of(support::as_elements{}(on, inputs, below, with(limit)))
                         : kinds % 2 == 1 ? sum_of(support::as_returned{}(on, inputs, below, with(limit)))
                                          : sum_of(penstock::as_completed(on, inputs, below, with(limit)));
        EXPECT_LE(running.most(), static_cast<long>(limit)) << "the cap of each stream";
        return sum;
    }
    /// One stream of blocking jobs.
    long inner(penstock::executor& on) { return leaves(on, 1, 3, 2, 1); }
};
INSTANTIATE_TEST_SUITE_P(, BlockingNesting, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

TEST_P(BlockingNesting, WorksForEveryMixtureOfKinds) {
    for (unsigned kinds = 0; kinds < 16; ++kinds) EXPECT_EQ(leaves(ex, 4, 2, 2, kinds), 16) << kinds;
    EXPECT_EQ(leaves(ex, 2, 20, 8, 3), 400);
    EXPECT_EQ(leaves(ex, 3, 4, 64, 7), 64);
}

TEST_P(BlockingNesting, WorksWithFewerThreadsThanJobsThatWait) {
    for (const std::size_t threads : {1U, 2U, 3U}) {
        penstock::executor few({.workers = workers(), .max_blocking_threads = threads});
        for (unsigned kinds = 0; kinds < 8; ++kinds)
            EXPECT_EQ(leaves(few, 3, 3, 2, kinds), 27) << threads << ", " << kinds;
        EXPECT_EQ(leaves(few, 4, 2, 4, 15), 16) << threads;
    }
}

TEST_P(BlockingNesting, WorksInsideCpuTasksThatKeepEveryWorker) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 4 * static_cast<int>(workers())), [this](int) { return leaves(ex, 2, 3, 2, 3); },
        with(2 * workers()));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 9);
    EXPECT_EQ(stream.stats().taken, 4 * workers());
}

TEST_P(BlockingNesting, WorksInSubmittedTasks) {
    std::vector<std::future<long>> results;
    for (std::size_t i = 0; i < 3 * workers(); ++i) {
        results.push_back(ex.submit([this] { return leaves(ex, 2, 4, 2, 3); }));
    }
    for (auto& result : results) EXPECT_EQ(result.get(), 16);
}

TEST_P(BlockingNesting, WorksInTheProducer) {
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 40) | std::views::transform([this](int) { return inner(ex); }),
            [](long found) {
                std::this_thread::sleep_for(100us);  // so that the thread that ends a job finds the place free to pull
                return found;
            },
            with(3));
        std::size_t count = 0;
        while (auto done = stream.next()) {
            EXPECT_EQ(done->get(), 3);
            ++count;
        }
        EXPECT_EQ(count, 40U);
    });
}

TEST_P(BlockingNesting, WorksInAFunctionBeforeItReturnsABlockingJob) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 40),
        [this](int) {
            const long found = inner(ex);
            return blocking([found] {
                std::this_thread::sleep_for(100us);
                return found;
            });
        },
        with(3));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 3);
    EXPECT_EQ(stream.stats().taken, 40U);
}

TEST_P(BlockingNesting, WorksAcrossExecutors) {
    penstock::executor other({.workers = workers(), .max_blocking_threads = 4});
    auto source = std::views::iota(0, 40) | std::views::transform([&](int) { return inner(other); });
    auto stream = penstock::as_completed(
        ex, source,
        [&](long) {
            const long found = inner(other);
            return blocking([&, found] {
                std::this_thread::sleep_for(100us);
                return found + inner(other);
            });
        },
        with(3));
    while (auto done = stream.next()) EXPECT_EQ(done->get(), 6);
    EXPECT_EQ(stream.stats().taken, 40U);
}

TEST_P(BlockingNesting, AProducerMayStartAStreamOfAnotherExecutorThatGoesOnWithoutIt) {
    // What it starts belongs to that executor's threads alone, and is over before this one's.
    using inner_stream = decltype(penstock::as_completed(
        ex, std::views::iota(0, 3), [](int i) { return blocking([i] { return i; }); }, 2));
    for (int round = 0; round < 20; ++round) {
        penstock::executor other(workers());
        std::vector<inner_stream> begun;
        {
            auto stream = penstock::as_completed(
                ex, std::views::iota(0, 10) | std::views::transform([&](int i) {
                        begun.push_back(penstock::as_completed(
                            other, std::views::iota(0, 3), [](int n) { return blocking([n] { return n; }); }, 2));
                        return i;
                    }),
                [](int) { return blocking([] { std::this_thread::sleep_for(50us); }); }, with(2));
            EXPECT_EQ(support::drain(stream), 10U);
        }
        for (auto& each : begun) EXPECT_EQ(support::drain(each), 3U);
    }
}

TEST_P(BlockingNesting, WithALimitOfOneGetsThroughBesideJobsThatWait) {
    penstock::executor few({.workers = workers(), .max_blocking_threads = 2});
    in_both_forms([&](auto start) {
        auto stream = start(
            few, std::views::iota(0, 20), [&](int) { return leaves(few, 1, 5, 1, 1); }, with(6));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), 5);
        EXPECT_EQ(stream.stats().taken, 20U);
    });
}

TEST_P(BlockingNesting, LetsNextForHelpInsideAJob) {
    penstock::executor few({.workers = 1, .max_blocking_threads = 1});
    in_both_forms([&](auto start) {
        auto stream = start(
            few, std::views::iota(0, 2),
            [&](int) {
                auto nested = start(
                    few, std::views::iota(0, 5), [](int i) { return i; }, with(2));
                int sum = 0;
                while (auto done = nested.next_for(support::patience / 2)) sum += done->get();
                return sum;
            },
            with(2));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), 10);
        EXPECT_EQ(stream.stats().taken, 2U);
    });
}

TEST_P(BlockingNesting, AConsumerInsideATaskFillsTheSlotThatNobodyElseCan) {
    // Every pump is in a function that goes on only when the next task has begun; in submission order the consumer
    // waits for the first.
    penstock::executor one(1);
    latch next_began;
    latch first_may_end;
    const auto count = one.submit([&] {
                              auto stream = penstock::as_completed(
                                  one, std::views::iota(0, 4),
                                  [&](int i) {
                                      if (i == 2) {
                                          EXPECT_TRUE(next_began.wait());
                                      }
                                      if (i == 3) next_began.open();
                                      return blocking([&, i] {
                                          if (i == 0) {
                                              EXPECT_TRUE(first_may_end.wait());
                                          }
                                          if (i == 1) std::this_thread::sleep_for(20ms);
                                          if (i == 3) first_may_end.open();
                                      });
                                  },
                                  with(3, 20));
                              std::this_thread::sleep_for(5ms);
                              return support::drain(stream);
                          })
                           .get();
    EXPECT_EQ(count, 4U);
}

TEST_P(BlockingNesting, CarriesErrorsUp) {
    auto settings = with(3);
    settings.on_error = penstock::on_error::stop;
    in_both_forms([&](auto start) {
        auto stream = start(
            ex, std::views::iota(0, 20),
            [&](int i) {
                auto nested = start(
                    ex, std::views::iota(0, 10),
                    [i](int n) {
                        if (i == 7 && n == 5) throw test_error(75);
                    },
                    settings);
                support::drain(nested);
            },
            with(3));
        std::size_t errors = 0;
        while (auto done = stream.next()) {
            if (done->has_value()) continue;
            ++errors;
            EXPECT_EQ(done->index(), 7U);
            EXPECT_THROW(done->get(), test_error);
        }
        EXPECT_EQ(errors, 1U);
    });
}

TEST_P(BlockingNesting, CanBeStoppedFromOutside) {
    in_both_forms([&](auto start) {
        std::stop_source source;
        auto settings = with(3);
        settings.stop = source.get_token();
        std::atomic<int> ran{0};
        auto stream = start(
            ex, std::views::iota(0),
            [&](int, std::stop_token token) {
                auto inside = with(2);
                inside.stop = token;
                auto nested = start(
                    ex, std::views::iota(0), [&](int) { ++ran; }, inside);
                EXPECT_THROW(support::drain(nested), penstock::stopped);
            },
            settings);
        std::thread other([&] {
            EXPECT_TRUE(support::eventually([&] { return ran > 50; }));
            source.request_stop();
        });
        EXPECT_THROW(support::drain(stream), penstock::stopped);
        other.join();
    });
}

}  // namespace
