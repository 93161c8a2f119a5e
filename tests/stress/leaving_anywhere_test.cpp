// SPDX-License-Identifier: MIT
/// S22, S29, S30: streams that are left at every point, by every door, from every thread.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

class Leaving : public Scenario {};

struct value : tracked {
    std::size_t number = 0;
};

/// S30. At each index, by each door; tasks look at the consumer's stack until the stream is gone.
enum class door { breaks, throws, moves_over, drops_in_a_thread, stops };

void leave_at(penstock::executor& ex, std::size_t index, door by, bool help) {
    std::atomic<std::size_t> inside{0};
    {
        std::string on_the_stack = "alive";
        const auto task = [&](std::size_t i) {
            ++inside;
            value made;
            if (on_the_stack != "alive") violations::add("a task outlived the consumer's stack");
            if (i % 3 == 0) busy_for(20us);
            if (on_the_stack != "alive") violations::add("a task outlived the consumer's stack");
            made.number = i;
            --inside;
            return made;
        };
        try {
            auto stream = penstock::as_completed(ex, endless(), task, {.limit = 5, .help = help});
            std::size_t at = 0;
            for (auto& done : stream) {
                EXPECT_EQ(done.get().number, done.index());
                if (at++ < index) continue;
                if (by == door::throws) throw std::runtime_error("the loop's body");
                if (by == door::stops) stream.request_stop();
                if (by == door::moves_over)
                    stream = penstock::as_completed(ex, numbers(3), task, {.limit = 1, .help = help});
                break;
            }
            if (by == door::drops_in_a_thread)
                std::thread([gone = std::move(stream)]() mutable { auto here = std::move(gone); }).join();
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "the loop's body");
        }
        EXPECT_EQ(inside, 0U) << "C6";
        on_the_stack = "dead";
    }
    watchdog::progress();
}

TEST_F(Leaving, AStreamMayBeLeftAtEveryIndexByEveryDoor) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        penstock::executor ex(workers);
        for (std::size_t round = 0; round < scaled(20); ++round) {
            for (std::size_t index = 0; index <= 22; ++index) {
                for (const door by :
                     {door::breaks, door::throws, door::moves_over, door::drops_in_a_thread, door::stops}) {
                    leave_at(ex, index, by, index % 2 == 0);
                }
            }
        }
    }
}

TEST_F(Leaving, AStreamMayBeDestroyedBeforeAnythingWasAskedOfIt) {
    penstock::executor ex(3);
    for (std::size_t round = 0; round < scaled(20'000); ++round) {
        watchdog::progress();
        auto stream =
            penstock::as_completed(ex, endless(), [](std::size_t) { return value(); }, {.limit = 1 + round % 9});
        // From at once to some dozens of tasks later.
        if (round % 4) busy_for(std::chrono::nanoseconds(mixed(round) % 30'000));
    }
}

/// S22. Stream, results, stop source and executor in every order that the contract allows.
TEST_F(Leaving, ResultsAndFinishedStreamsOutliveTheirExecutor) {
    for (std::size_t round = 0; round < scaled(300); ++round) {
        watchdog::progress();
        auto ex = std::make_unique<penstock::executor>(1 + round % 3);
        auto stop = std::make_unique<std::stop_source>();
        const auto task = [](std::size_t i) -> value {
            if (i % 4 == 3) throw std::runtime_error("task " + std::to_string(i));
            value made;
            made.number = i;
            return made;
        };
        const std::size_t n = round % 40;
        auto stream = std::make_optional(
            penstock::as_completed(*ex, numbers(n), task, {.limit = 4, .buffer = 100, .stop = stop->get_token()}));
        std::vector<penstock::completed<value, std::size_t>> results;
        const bool to_the_end = round % 5 != 0;
        if (round % 2) stop.reset();
        if (to_the_end) {
            while (auto done = stream->next()) results.push_back(std::move(*done));
            EXPECT_EQ(results.size(), n);
        } else {
            if (auto done = stream->next()) results.push_back(std::move(*done));
            stream.reset();
        }
        const auto look = [&] {
            for (auto& done : results) {
                EXPECT_EQ(done.has_value(), done.index() % 4 != 3);
                EXPECT_EQ(done.input(), done.index());
                if (!done.has_value()) {
                    EXPECT_THROW(done.get(), std::runtime_error);
                }
            }
        };
        if (round % 3 == 0) results.clear();
        ex.reset();
        look();
        if (stop) stop->request_stop();
        if (stream) {
            EXPECT_TRUE(stream->done());
            EXPECT_FALSE(stream->next());
            EXPECT_EQ(stream->stats().taken, n);
            stream->request_stop();
            stream.reset();
        }
        look();
    }
}

/// A stream that was made and is dropped inside a task, and one that is handed into a task.
TEST_F(Leaving, AStreamMayEndInsideATaskOfTheSameExecutor) {
    for (const std::size_t workers : {1U, 3U}) {
        for (std::size_t round = 0; round < scaled(300); ++round) {
            watchdog::progress();
            penstock::executor ex(workers);
            auto stream =
                penstock::as_completed(ex, endless(), [](std::size_t) { return value(); }, {.limit = 3, .help = false});
            if (round % 2) {
                EXPECT_TRUE(stream.next());
            }
            std::size_t taken = 0;
            // A task that is none of the stream's own takes some, and drops it.
            ex.submit([mine = std::make_shared<decltype(stream)>(std::move(stream)), &taken, round]() mutable {
                  for (std::size_t i = 0; i < round % 7; ++i) taken += mine->next().has_value();
                  mine.reset();
              }).get();
            EXPECT_EQ(taken, round % 7);
        }
    }
}

/// Executors that are made and destroyed all the time, with streams in flight that are drained by other threads.
TEST_F(Leaving, ExecutorsComeAndGoWhileStreamsAreDrained) {
    for (std::size_t round = 0; round < scaled(500); ++round) {
        watchdog::progress();
        std::atomic<std::size_t> posted{0};
        std::atomic<std::size_t> taken{0};
        {
            penstock::executor ex(1 + round % 4);
            std::vector<std::thread> consumers;
            for (std::size_t each = 0; each < 3; ++each) {
                consumers.emplace_back([&, each] {
                    for (std::size_t i = 0; i < 5; ++i) ex.post([&] { ++posted; });
                    const penstock::options settings{.limit = 1 + each * 4,
                                                     .order = each % 2 ? penstock::order::submission
                                                                       : penstock::order::completion,
                                                     .help = round % 2 == 0};
                    for (auto& done : penstock::as_completed(
                             ex, numbers(60), [](std::size_t i) { return i; }, settings)) {
                        if (each == 2 && done.index() == 30) break;
                        ++taken;
                    }
                });
            }
            for (std::thread& consumer : consumers) consumer.join();
        }
        EXPECT_EQ(posted, 15U) << "the executor's destructor runs what was posted";
        EXPECT_GE(taken, 120U);
    }
}

TEST_F(Leaving, AnExecutorWithoutWorkMayBeDestroyedAtOnce) {
    for (std::size_t round = 0; round < scaled(1'000); ++round) {
        watchdog::progress();
        penstock::executor ex(1 + round % 8);
        if (round % 2) ex.post([] {});
    }
}

/// S30, the small print of iterators.
TEST_F(Leaving, BeginMayBeCalledAgainAndTheEndMayBeLookedAtAgain) {
    penstock::executor ex(2);
    auto stream = penstock::as_completed(ex, numbers(3), [](std::size_t i) { return i; }, {.limit = 1});
    auto at = stream.begin();
    EXPECT_EQ(at->index(), 0U);
    EXPECT_EQ(stream.begin()->index(), 0U);
    ++at;
    EXPECT_EQ(stream.begin()->index(), 1U);
    at++;
    EXPECT_EQ((*at).get(), 2U);
    EXPECT_FALSE(at == stream.end());
    ++at;
    EXPECT_TRUE(at == stream.end());
    EXPECT_TRUE(stream.begin() == stream.end());
    EXPECT_FALSE(stream.next());
}

}  // namespace
}  // namespace stress
