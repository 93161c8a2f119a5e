// SPDX-License-Identifier: MIT
/// options::retry: when a job that has failed is run again.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/retry_test.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using std::chrono::nanoseconds;
using support::failing;
using support::from_function;
using support::suspended;
using support::test_error;
using support::trials;
using support::up_to;
using support::work;

class Retry : public support::retry_test {};
INSTANTIATE_TEST_SUITE_P(, Retry, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

/// When each task was run. Not atomic: the runs follow one another, and ThreadSanitizer looks.
class record_of_times {
public:
    explicit record_of_times(int tasks) : tasks_(static_cast<std::size_t>(tasks)) {}
    work failing() {
        return {[this](int i) -> int {
            auto& mine = tasks_.at(static_cast<std::size_t>(i));
            mine.push_back(clock_type::now());
            throw test_error(i);
        }};
    }
    /// From each run, which fails at once, to the next one.
    std::vector<nanoseconds> gaps(int i) const {
        const auto& runs = tasks_.at(static_cast<std::size_t>(i));
        std::vector<nanoseconds> all;
        for (std::size_t n = 1; n < runs.size(); ++n) all.push_back(runs[n] - runs[n - 1]);
        return all;
    }

private:
    std::vector<std::vector<clock_type::time_point>> tasks_;
};

TEST_P(Retry, WaitsLongerBeforeEachFurtherRun) {
    in_every_kind([&](auto start) {
        record_of_times times(6);
        auto settings = retrying(3, 4, 1ms);
        settings.retry->factor = 2;
        settings.retry->max_delay = 3ms;
        auto stream = start(ex, up_to(6), times.failing(), settings);
        expect_all(stream, 6);
        for (int i = 0; i < 6; ++i) {
            const auto gaps = times.gaps(i);
            ASSERT_EQ(gaps.size(), 3U);
            EXPECT_GE(gaps[0], 1ms);
            EXPECT_GE(gaps[1], 2ms);
            EXPECT_GE(gaps[2], 3ms) << "and not 4";
        }
    });
}

TEST_P(Retry, WaitsNoLongerThanItIsAllowedTo) {
    in_every_function([&](auto start) {
        struct {
            nanoseconds first, most;
            double factor;
        } const tries[] = {{1h, 1ms, 2},
                           {1ns, 1ms, 1e300},
                           {0ns, 1h, 1e308},
                           {0ns, nanoseconds::max(), std::numeric_limits<double>::max()},
                           {1h, 0ns, 1}};
        for (const auto& each : tries) {
            trials tried(3);
            auto settings = retrying(3, 5, each.first);
            settings.retry->max_delay = each.most;
            settings.retry->factor = each.factor;
            auto stream = start(ex, up_to(3), failing(tried, 4), settings);
            EXPECT_EQ(run_out(stream, [](auto& done) { EXPECT_EQ(done.attempts(), 5U); }).delivered, 3U);
        }
    });
}

TEST_P(Retry, WaitsByItsJitterLessOrMore) {
    bool less = false;
    for (auto delay = 2ms; !less && delay < 1s; delay *= 4) {
        record_of_times times(10);
        auto settings = retrying(10, 4, delay);
        settings.retry->jitter = 0.5;
        auto stream = from_function<suspended>()(ex, up_to(10), times.failing(), settings);
        expect_all(stream, 10);
        for (int i = 0; i < 10; ++i) {
            for (const auto gap : times.gaps(i)) {
                EXPECT_GE(gap, delay / 2);
                less = less || gap < delay;
            }
        }
    }
    EXPECT_TRUE(less) << "it was never less";
}

TEST_P(Retry, AfterNoDelayRunsAgainBeforeAnythingIsPulled) {
    in_every_kind([&](auto start) {
        std::mutex mutex;
        std::vector<int> runs;
        trials tried(3);
        const work of{[&](int i) {
            const std::lock_guard guard(mutex);
            runs.push_back(i);
            return tried.run(i, 2);
        }};
        auto stream = start(ex, up_to(3), of, retrying(1, 3, 0ns, 8));
        expect_all(stream, 3);
        EXPECT_EQ(runs, (std::vector{0, 0, 0, 1, 1, 1, 2, 2, 2}));
    });
}

TEST_P(Retry, AdmitsWhatIsDueBeforeItPullsAnythingNew) {
    in_every_kind([&](auto start) {
        std::atomic<bool> before{false};
        for (auto hold = 4ms; !before && hold < 2s; hold *= 4) {
            trials tried(3);
            const work of{[&](int i) {
                if (i == 0 && tried.ran(0) == 1) before = tried.ran(2) == 0;
                if (i == 1) std::this_thread::sleep_for(hold);  // the first comes to be due
                return tried.run(i, i == 0 ? 1 : 0);
            }};
            auto stream = start(ex, up_to(3), of, retrying(1, 2, 1ms, 8));
            expect_all(stream, 3);
        }
        EXPECT_TRUE(before);
    });
}

TEST_P(Retry, WaitsForEverIfItIsTold) {
    constexpr auto never = nanoseconds::max();
    in_every_kind([&](auto start) {
        for (const auto first : {never, never - 1ns}) {
            for (const bool stop : {false, true}) {
                trials tried(2);
                auto settings = retrying(2, 3, first);
                settings.retry->max_delay = never;
                settings.retry->factor = 2;
                settings.retry->jitter = first == never ? 0 : 0.5;
                auto stream = start(ex, up_to(2), failing(tried, 1), settings);
                EXPECT_TRUE(eventually_all_wait(stream, tried, 2));
                EXPECT_FALSE(stream.next_for(500us));
                EXPECT_FALSE(stream.done());
                EXPECT_EQ(tried.runs(), 2);
                if (!stop) continue;
                stream.request_stop();
                EXPECT_EQ(run_out(stream, [](auto& done) { EXPECT_FALSE(done.has_value()); }).delivered, 2U);
            }
        }
    });
}

}  // namespace
