// SPDX-License-Identifier: MIT
/// S38, S40: tasks that fail, are run again and time out, at random, under caps, stops and deadlines.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/observer.hpp>

#include "stress/support.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using penstock::task;

class Attempts : public Scenario {};

/// What an attempt throws.
struct attempt_failed : std::runtime_error {
    attempt_failed(std::size_t of, unsigned which) : std::runtime_error("attempt"), index(of), attempt(which) {}
    std::size_t index;
    unsigned attempt;
    tracked life;
};

struct plan {
    explicit plan(std::uint64_t from) : seed(from), random(from) {}

    const std::uint64_t seed;
    random_numbers random;  ///< before what is drawn from it
    const std::size_t workers = random.one_of<std::size_t>({1, 2, 3});
    const std::size_t threads = random.one_of<std::size_t>({1, 2, 4});
    const std::size_t limit = 1 + random.below(6);
    const std::size_t buffer = random.one_of({penstock::auto_buffer, std::size_t(0), std::size_t(1)});
    const std::size_t n = 1 + random.below(60);
    const unsigned attempts = static_cast<unsigned>(1 + random.below(4));
    const std::chrono::microseconds delay = random.one_of({0us, 50us, 500us});
    const std::optional<std::chrono::microseconds> timeout =
        random.one_of({std::optional<std::chrono::microseconds>(), std::optional(0us), std::optional(100us),
                       std::optional(500us), std::optional<std::chrono::microseconds>(1h)});
    const penstock::order order = random.one_of({penstock::order::completion, penstock::order::submission});
    const penstock::on_error on_error =
        random.one_of({penstock::on_error::yield, penstock::on_error::yield, penstock::on_error::stop});
    const std::size_t gate = random.below(4);  ///< 0: none
    const std::size_t stop_at = random.percent(25) ? random.below(n) : SIZE_MAX;
    const std::size_t leave_at = random.percent(15) ? random.below(n) : SIZE_MAX;
    const bool has_deadline = random.percent(15);

    std::uint64_t luck(std::size_t index, unsigned attempt, unsigned what) const {
        return mixed(mixed(seed, index), 8 * attempt + what);
    }
    bool fails(std::size_t index, unsigned attempt) const { return luck(index, attempt, 0) % 5 < 2; }
    std::chrono::microseconds takes(std::size_t index, unsigned attempt) const {
        return std::chrono::microseconds(luck(index, attempt, 1) % 3 == 0 ? luck(index, attempt, 2) % 250 : 0);
    }
    bool may_time_out() const { return timeout && *timeout < 1min; }
    bool is_cut_short() const { return stop_at != SIZE_MAX || leave_at != SIZE_MAX || has_deadline; }
};

/// Counts starts and ends, by task.
class witness final : public penstock::stream_observer {
public:
    explicit witness(std::size_t tasks) : starts_(tasks), ends_(tasks) {}
    void on_start(std::size_t index) noexcept override { ++starts_[index]; }
    void on_finish(std::size_t index) noexcept override { ++ends_[index]; }
    void on_error(std::size_t index, std::exception_ptr) noexcept override { ++ends_[index]; }
    unsigned starts(std::size_t index) const { return starts_[index]; }
    unsigned ends(std::size_t index) const { return ends_[index]; }

private:
    std::vector<std::atomic<unsigned>> starts_, ends_;
};

/// A stream by plan, whatever its tasks are, and what is seen of it from outside.
class run {
public:
    explicit run(std::uint64_t seed) : plan_(seed) {}

    /// One attempt of a task.
    std::size_t attempt(std::size_t index, unsigned which) {
        if (which >= plan_.attempts) violations::add("a task was run too often");
        if (plan_.fails(index, which)) throw attempt_failed(index, which);
        return index;
    }
    unsigned begin(std::size_t index) { return runs_[index].fetch_add(1); }

    std::size_t compute(std::size_t index) {
        const crowd::member here(running_);
        const unsigned which = begin(index);
        busy_for(plan_.takes(index, which));
        return attempt(index, which);
    }
    task<std::size_t> wait(const std::size_t& index) {
        const crowd::member here(running_);
        const unsigned which = begin(index);
        const auto time = plan_.takes(index, which);
        if (time > 0us) co_await penstock::sleep_for(time > 200us ? 1h : time / 2);
        co_return attempt(index, which);
    }

    template <class F>
    void with(F f) {
        SCOPED_TRACE(testing::Message() << "seed " << plan_.seed);
        penstock::executor ex({.workers = plan_.workers, .max_blocking_threads = plan_.threads});
        penstock::gate shared(std::max<std::size_t>(1, plan_.gate));
        penstock::options settings{.limit = plan_.limit,
                                   .buffer = plan_.buffer,
                                   .order = plan_.order,
                                   .on_error = plan_.on_error,
                                   .task_timeout = plan_.timeout,
                                   .shared = plan_.gate ? &shared : nullptr,
                                   .retry = penstock::retry_policy{.attempts = plan_.attempts,
                                                                   .first_delay = plan_.delay,
                                                                   .max_delay = 2 * plan_.delay},
                                   .observer = &witness_};
        if (plan_.has_deadline) settings.deadline = std::chrono::steady_clock::now() + 3ms;
        {
            auto stream = penstock::as_completed(ex, numbers(plan_.n), std::move(f), settings);
            consume(stream);
        }
        judge(shared);
    }
    /// Whether a coroutine may sleep for an hour: something will end that.
    bool wakes_sleepers() const { return plan_.may_time_out(); }

private:
    template <class Stream>
    void consume(Stream& stream) {
        bool threw = false;
        try {
            for (std::size_t taken = 0; auto done = stream.next(); ++taken) {
                watchdog::progress();
                check(*done);
                if (taken == plan_.stop_at) stream.request_stop();
                if (taken == plan_.leave_at) return;
            }
        } catch (const penstock::stopped&) {
            threw = plan_.stop_at != SIZE_MAX;
        } catch (const penstock::timed_out&) {
            threw = plan_.has_deadline || (plan_.on_error == penstock::on_error::stop && plan_.may_time_out());
        } catch (const attempt_failed&) {
            threw = plan_.on_error == penstock::on_error::stop;
        }
        const auto now = stream.stats();
        EXPECT_TRUE(threw || now.taken == plan_.n);
        EXPECT_FALSE(stream.next());
        EXPECT_LE(now.running + now.ready + now.taken + now.dropped, now.pulled);
    }

    template <class Done>
    void check(Done& done) {
        const std::size_t index = done.index();
        EXPECT_EQ(done.input(), index);
        EXPECT_EQ(delivered_[index]++, 0U);
        if (plan_.order == penstock::order::submission) {
            EXPECT_TRUE(last_ == SIZE_MAX || index > last_);
        }
        last_ = index;
        if (done.has_value()) {
            EXPECT_EQ(done.get(), index);
        }
        if (plan_.may_time_out() || plan_.is_cut_short()) return;
        EXPECT_EQ(done.attempts(), runs_[index]);
        unsigned expected = 1;
        while (expected < plan_.attempts && plan_.fails(index, expected - 1)) ++expected;
        EXPECT_EQ(done.attempts(), expected);
        EXPECT_EQ(done.has_value(), !plan_.fails(index, expected - 1));
    }

    /// Nothing runs any more.
    void judge(const penstock::gate& shared) {
        EXPECT_EQ(running_.inside(), 0U);
        EXPECT_LE(running_.most(), std::min(plan_.limit, plan_.gate ? plan_.gate : SIZE_MAX));
        EXPECT_EQ(shared.in_flight(), 0U);
        for (std::size_t i = 0; i < plan_.n; ++i) {
            EXPECT_EQ(witness_.starts(i), witness_.ends(i)) << "task " << i;
            EXPECT_EQ(witness_.starts(i), runs_[i]) << "task " << i;
        }
    }

    plan plan_;
    crowd running_;
    std::vector<std::atomic<unsigned>> runs_ = std::vector<std::atomic<unsigned>>(plan_.n);
    std::vector<unsigned> delivered_ = std::vector<unsigned>(plan_.n);
    std::size_t last_ = SIZE_MAX;
    witness witness_{plan_.n};
};

template <class Test>
void for_many_seeds(Test test) {
    const std::uint64_t first = number_from_environment("PENSTOCK_SEED", 1);
    for (std::uint64_t seed = first; seed < first + scaled(150); ++seed) {
        watchdog::progress();
        test(seed);
        if (testing::Test::HasFailure()) return;
    }
}

TEST_F(Attempts, OfTasksThatComputeEachHaveOneOutcome) {
    for_many_seeds([](std::uint64_t seed) {
        run one(seed);
        one.with([&](std::size_t index) { return one.compute(index); });
    });
}

TEST_F(Attempts, OfTasksThatBlockEachHaveOneOutcome) {
    for_many_seeds([](std::uint64_t seed) {
        run one(seed);
        one.with([&](const std::size_t& index) { return penstock::blocking([&] { return one.compute(index); }); });
    });
}

TEST_F(Attempts, OfTasksThatSleepEachHaveOneOutcome) {
    for_many_seeds([](std::uint64_t seed) {
        run one(seed);
        if (!one.wakes_sleepers()) return;
        one.with([&](const std::size_t& index) { return one.wait(index); });
    });
}

/// S35: a stop, the end of a task and its timeout in the same moment.
TEST_F(Attempts, AreRacedByAStopAndATimeoutAndThereIsOneOutcome) {
    penstock::executor ex(2);
    for (std::size_t round = 0; round < scaled(4'000); ++round) {
        watchdog::progress();
        const auto patience = std::chrono::microseconds(mixed(round) % 40);
        auto stream = penstock::as_completed(ex, numbers(1), [&](std::size_t i) { return busy_for(patience), i; },
                                             {.limit = 1, .task_timeout = patience});
        if (round % 2 == 0) busy_for(std::chrono::microseconds(mixed(round, 1) % 60));
        stream.request_stop();
        std::size_t delivered = 0;
        bool was_stopped = false;
        try {
            while (stream.next()) ++delivered;
        } catch (const penstock::stopped&) {
            was_stopped = true;
        }
        EXPECT_LE(delivered, 1U);
        EXPECT_TRUE(delivered == 1 || was_stopped);
        // A thread may still be about to drop what it has pulled.
        wait_until([&] {
            const auto now = stream.stats();
            return now.pulled == now.taken + now.dropped;
        });
    }
}

}  // namespace
}  // namespace stress
