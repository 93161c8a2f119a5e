// SPDX-License-Identifier: MIT
/// Streams that want more of a gate than there is get equal numbers of starts.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ranges>
#include <thread>
#include <vector>

#include <penstock/gate.hpp>
#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::gate;
using penstock::task;

constexpr auto task_time = 200us;  // fairness is meant for tasks of 100 us and more
constexpr std::size_t starts_of_a_round = 1200;
constexpr std::size_t starts_before = 120;  // until all streams are at work
constexpr int most_rounds = 6;
constexpr double tolerance = support::sanitized ? 0.15 : 0.10;

/// Counts the starts of several streams while all of them have work.
class contest {
public:
    explicit contest(std::size_t streams) : starts_(streams) {}

    void start(std::size_t stream) {
        const std::size_t before = all_.fetch_add(1);
        if (before < starts_before) return;
        if (before < starts_before + starts_of_a_round) starts_[stream].fetch_add(1);
        if (before + 1 == starts_before + starts_of_a_round) over_.open();
    }
    [[nodiscard]] bool wait() { return over_.wait(); }
    std::size_t starts(std::size_t stream) const { return starts_[stream]; }

private:
    std::vector<std::atomic<std::size_t>> starts_;
    std::atomic<std::size_t> all_{0};
    support::latch over_;
};

auto block(contest& in, std::size_t stream) {
    return penstock::blocking([&in, stream] {
        in.start(stream);
        std::this_thread::sleep_for(task_time);
    });
}
task<> suspend(contest& in, std::size_t stream) {
    in.start(stream);
    co_await penstock::sleep_for(task_time);
}

class GateFairness : public support::contract_test {
protected:
    using stream = penstock::completion_stream<void, int>;

    /// Each stream's share of the starts, of `limits.size()` streams with these limits; on two executors if `apart`.
    /// A machine that is busy with others may keep a thread of one of them away for a while, so it goes on until all
    /// is as `is_fair` wants it, or long enough: what is not fair does not become so.
    template <class Make, class IsFair>
    std::vector<double> shares(std::size_t cap, const std::vector<std::size_t>& limits, bool apart, Make make,
                               IsFair is_fair) {
        penstock::executor other(workers());
        std::vector<double> starts(limits.size()), share(limits.size());
        for (int round = 1; round <= most_rounds; ++round) {
            gate shared(cap);
            contest all(limits.size());
            {
                std::vector<stream> streams;
                for (std::size_t i = 0; i < limits.size(); ++i) {
                    // A window that is never full: nobody's start depends on when a consumer gets a processor.
                    auto settings = with(limits[i], 2 * (starts_before + starts_of_a_round));
                    settings.shared = &shared;
                    streams.push_back(penstock::as_completed(
                        apart && i % 2 == 1 ? other : ex, std::views::iota(0),
                        [&all, make, i](int) { return make(all, i); }, settings));
                }
                EXPECT_TRUE(all.wait());
            }
            bool fair = true;
            for (std::size_t i = 0; i < limits.size(); ++i) {
                starts[i] += static_cast<double>(all.starts(i));
                share[i] = starts[i] / (round * static_cast<double>(starts_of_a_round));
                fair = fair && is_fair(share[i]);
            }
            if (fair) break;
        }
        return share;
    }
    template <class Make>
    void expect_halves(std::size_t cap, std::size_t one, std::size_t two, bool apart, Make make) {
        const auto is_fair = [](double share) {
            return share > 0.5 * (1 - tolerance) && share < 0.5 * (1 + tolerance);
        };
        for (const double share : shares(cap, {one, two}, apart, make, is_fair)) {
            EXPECT_TRUE(is_fair(share)) << "it got " << share << " of the starts";
        }
    }
};
INSTANTIATE_TEST_SUITE_P(, GateFairness, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(GateFairness, GivesEachOfTwoStreamsOfBlockingJobsHalfOfTheStarts) { expect_halves(4, 8, 8, false, block); }

TEST_P(GateFairness, GivesEachOfTwoStreamsOfCoroutinesHalfOfTheStarts) { expect_halves(4, 8, 8, false, suspend); }

TEST_P(GateFairness, GivesEachOfTwoStreamsHalfOfTheStartsWhateverTheirLimits) {
    expect_halves(4, 8, 64, false, suspend);
    expect_halves(4, 64, 8, false, block);
}

TEST_P(GateFairness, GivesEachOfTwoStreamsHalfOfTheStartsOnTwoExecutors) {
    expect_halves(4, 8, 8, true, suspend);
    expect_halves(4, 8, 8, true, block);
}

TEST_P(GateFairness, StarvesNoneOfThreeStreams) {
    const auto has_some = [](double share) { return share > 0.2; };
    for (const bool apart : {false, true}) {
        for (const double share : shares(4, {8, 8, 8}, apart, suspend, has_some)) EXPECT_PRED1(has_some, share);
        for (const double share : shares(4, {8, 8, 8}, apart, block, has_some)) EXPECT_PRED1(has_some, share);
    }
}

TEST_P(GateFairness, StarvesNoStreamBesideOneOfAnotherKind) {
    gate shared(4);
    contest all(2);
    auto settings = with(8, 2 * (starts_before + starts_of_a_round));
    settings.shared = &shared;
    const auto blocking = penstock::as_completed(
        ex, std::views::iota(0), [&](int) { return block(all, 0); }, settings);
    const auto suspended = penstock::as_completed(
        ex, std::views::iota(0), [&](int) { return suspend(all, 1); }, settings);
    EXPECT_TRUE(all.wait());
    EXPECT_GT(all.starts(0), starts_of_a_round / 10) << "blocking";
    EXPECT_GT(all.starts(1), starts_of_a_round / 10) << "suspended";
}

}  // namespace
