// SPDX-License-Identifier: MIT
/// S34, S36: a stop from anywhere, at every moment, and before anything has begun.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

class Stopping : public Scenario {};

enum class from { other_thread, task, producer, consumer, callback, twice };

/// One stream that is stopped at its `moment`-th pull, task, result or microsecond, as `who` counts.
struct stopped_stream {
    penstock::executor& ex;
    from who;
    std::size_t moment;
    std::size_t limit;

    stopped_stream(penstock::executor& executor, from stopper, std::size_t at, std::size_t most)
        : ex(executor), who(stopper), moment(at), limit(most) {}

    bool in_order = (moment / 5) % 2 == 0;
    bool help = (moment / 10) % 2 == 0;
    bool blocking = (moment / 20) % 2 == 0;
    std::stop_source stop;
    std::atomic<std::size_t> pulls{0};
    std::atomic<std::size_t> runs{0};
    std::atomic<bool> returned{false};
    std::atomic<std::size_t> pulls_after{0};
    std::atomic<std::size_t> starts_after{0};

    void request() {
        if (stop.request_stop()) returned = true;
    }
    std::optional<std::size_t> pull() {
        if (returned) ++pulls_after;
        const std::size_t at = pulls++;
        if (who == from::producer && at == moment) {
            request();
            pulls_after = 0;
        }
        return at < 200 ? std::optional(at) : std::nullopt;
    }
    std::size_t run(std::size_t index) {
        if (returned) ++starts_after;
        if (runs++ == moment && (who == from::task || who == from::twice)) request();
        if (mixed(index, moment) % 4 == 0) busy_for(std::chrono::nanoseconds(mixed(index) % 10'000));
        return index;
    }

    void go() {
        penstock::options settings{.limit = limit,
                                   .order = in_order ? penstock::order::submission : penstock::order::completion,
                                   .stop = stop.get_token(),
                                   .help = help};
        const auto source = [this] { return pull(); };
        if (blocking) {
            const auto task = [this](std::size_t i) { return penstock::blocking([this, i] { return run(i); }); };
            stop_it(penstock::as_completed(ex, source, task, settings));
        } else {
            stop_it(penstock::as_completed(ex, source, [this](std::size_t i) { return run(i); }, settings));
        }
    }

    template <class Stream>
    void stop_it(Stream stream) {
        std::jthread other;
        if (who == from::other_thread || who == from::twice) {
            other = std::jthread([&] {
                busy_for(std::chrono::nanoseconds(moment * 500));
                request();
                stream.request_stop();
            });
        }
        // Runs inside request_stop(), beside the library's own callback; the order of the two is not known.
        const std::stop_callback also(stop.get_token(), [&] { stream.request_stop(); });
        std::size_t taken = 0;
        bool was_stopped = false;
        try {
            while (auto done = stream.next()) {
                if (in_order && done->index() < taken) violations::add("submission order is lost in a stop");
                ++taken;
                if (taken != moment + 1) continue;
                if (who == from::consumer) stream.request_stop();
                if (who == from::callback) request();
            }
        } catch (const penstock::stopped&) {
            was_stopped = true;
        }
        if (other.joinable()) other.join();
        EXPECT_FALSE(stream.next());
        EXPECT_TRUE(stream.done());
        wait_until([&] {  // a call of the producer may have been under way
            const auto now = stream.stats();
            return now.running == 0 && now.taken + now.dropped == now.pulled;
        });
        const auto stats = stream.stats();
        EXPECT_EQ(stats.taken, taken);
        EXPECT_EQ(stats.ready, 0U);
        EXPECT_EQ(runs, taken) << "C5: what has started is delivered";
        if (!was_stopped) {
            EXPECT_EQ(taken, 200U) << "C5: a quiet end, and something is missing";
            EXPECT_EQ(stats.dropped, 0U);
            EXPECT_EQ(pulls, 201U) << "C5: a quiet end, and the source has not ended";
        }
        EXPECT_LE(pulls_after, 1U) << "I11";
        EXPECT_LE(starts_after, (blocking ? limit : ex.workers()) + 1) << "I11";
        watchdog::progress();
    }
};

/// The limits and ways to wait change with the moment, so that a sweep meets all of them.
void sweep(from who) {
    for (const std::size_t workers : {1U, 2U, 8U}) {
        penstock::executor ex(workers);
        for (std::size_t round = 0; round < scaled(5); ++round) {
            for (std::size_t moment = 0; moment < 90; ++moment) {
                const std::size_t limit = std::array<std::size_t, 5>{1, 2, 3, 7, 64}[(moment + round) % 5];
                stopped_stream(ex, who, moment, limit).go();
                if (testing::Test::HasFailure()) {
                    ADD_FAILURE() << "workers " << workers << ", moment " << moment << ", limit " << limit;
                    return;
                }
            }
        }
    }
}

TEST_F(Stopping, AnotherThreadMayStopAStreamAtAnyMoment) { sweep(from::other_thread); }
TEST_F(Stopping, ATaskMayStopItsStream) { sweep(from::task); }
TEST_F(Stopping, TheProducerMayStopItsStream) { sweep(from::producer); }
TEST_F(Stopping, TheConsumerMayStopItsStream) { sweep(from::consumer); }
TEST_F(Stopping, ACallbackOfTheSameTokenMayStopTheStream) { sweep(from::callback); }
TEST_F(Stopping, ManyMayStopTheSameStream) { sweep(from::twice); }

/// S36
TEST_F(Stopping, AStreamThatWasStoppedBeforehandPullsNothing) {
    penstock::executor ex(2);
    std::stop_source stop;
    stop.request_stop();
    std::size_t pulls = 0;
    bool entered = false;
    const auto source = [&]() -> std::optional<std::size_t> { return pulls++; };
    auto stream =
        penstock::as_completed(ex, source, [](std::size_t i) { return i; }, {.limit = 4, .stop = stop.get_token()});
    EXPECT_THROW(
        for (auto& done
             : stream) {
            entered = true;
            (void)done;
        },
        penstock::stopped);
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(stream.stats().pulled, 0U);
    EXPECT_EQ(pulls, 0U);
    EXPECT_FALSE(entered);
}

/// C5: a stop that comes when all is done has cut off nothing.
TEST_F(Stopping, AStopAfterTheEndChangesNothing) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(500); ++round) {
        watchdog::progress();
        auto stream = penstock::as_completed(ex, numbers(5), [](std::size_t i) { return i; }, {.limit = 64});
        std::size_t count = 0;
        if (round % 2) {
            wait_until([&] { return stream.stats().ready == 5; });
            wait_until([&] { return stream.next_for(1s).has_value() ? ++count == 5 : false; });
        } else {
            while (stream.next()) ++count;
        }
        EXPECT_EQ(count, 5U);
        stream.request_stop();
        if (round % 2 == 0) {
            EXPECT_FALSE(stream.next());
        }
    }
}

/// The tokens that tasks and producers get are the stream's own: set by its stop, and by its destructor.
TEST_F(Stopping, WhatRunsIsToldByItsToken) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(500); ++round) {
        watchdog::progress();
        std::atomic<std::size_t> started{0};
        std::atomic<std::size_t> told{0};
        {
            const auto source = [&](const std::stop_token& token) -> std::optional<std::size_t> {
                if (started < 1) return 0;
                while (!token.stop_requested()) std::this_thread::yield();
                return 1;
            };
            const auto task = [&](std::size_t, const std::stop_token& token) {
                ++started;
                while (!token.stop_requested()) std::this_thread::yield();
                ++told;
            };
            auto stream = penstock::as_completed(ex, source, task, {.limit = 2, .help = false});
            wait_until([&] { return started >= 1; });
            if (round % 2) {
                stream.request_stop();
                EXPECT_TRUE(stream.next());
            }
        }
        EXPECT_EQ(started, told);
    }
}

}  // namespace
}  // namespace stress
