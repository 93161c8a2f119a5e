// SPDX-License-Identifier: MIT
/// S25, S27: jobs and results that throw when they are moved or copied, on whichever side.
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "stress/support.hpp"

namespace stress {
namespace {

class ThrowingMoves : public Scenario {};

struct error : std::runtime_error {
    explicit error(std::size_t at) : std::runtime_error("task " + std::to_string(at)), index(at) {}
    std::size_t index;
    tracked life;
};

/// S27. A result that throws at its k-th move. One of them is on the worker, one takes it out of the stream; whichever
/// it is, the item has one outcome, and nothing is lost or destroyed twice.
struct throws_when_moved {
    explicit throws_when_moved(std::size_t at, unsigned moves) : index(at), moves_(moves) {}
    throws_when_moved(throws_when_moved&& other) : index(other.index), moves_(other.moves_) {
        if (moves_.burns()) throw error(index);
    }
    std::size_t index;

private:
    fuse moves_;
    tracked life_;
};

TEST_F(ThrowingMoves, AResultThatThrowsWhenItIsMovedIsOneErrorOutcome) {
    for (const std::size_t workers : {1U, 2U}) {
        penstock::executor ex(workers);
        for (const unsigned moves : {1U, 2U}) {
            for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
                for (const bool help : {true, false}) {
                    watchdog::progress();
                    const auto task = [moves](std::size_t i) { return throws_when_moved(i, i % 3 == 0 ? moves : 0); };
                    const std::size_t n = scaled(2'000);
                    std::vector<unsigned> came(n);
                    std::size_t failed = 0;
                    const penstock::options settings{.limit = 8, .order = order, .help = help};
                    auto stream = penstock::as_completed(ex, numbers(n), task, settings);
                    while (auto done = stream.next()) {
                        ++came[done->index()];
                        if (!done->has_value()) {
                            ++failed;
                            EXPECT_EQ(done->index() % 3, 0U);
                            EXPECT_THROW(done->get(), error);
                        }
                    }
                    EXPECT_EQ(came, std::vector<unsigned>(n, 1));
                    EXPECT_EQ(failed, (n + 2) / 3) << "moves " << moves;
                }
            }
        }
    }
}

/// S27, with the moves that a range-for needs beyond that: the exception may leave the loop's header, and the stream
/// goes on.
TEST_F(ThrowingMoves, AResultThatThrowsInTheConsumersHandsLosesOnlyItself) {
    penstock::executor ex(2);
    for (unsigned moves = 1; moves < 8; ++moves) {
        watchdog::progress();
        const auto task = [moves](std::size_t i) { return throws_when_moved(i, i == 20 ? moves : 0); };
        auto stream = penstock::as_completed(ex, numbers(50), task, {.limit = 8, .order = penstock::order::submission});
        std::size_t values = 0;
        std::size_t errors = 0;
        for (bool over = false; !over;) {
            try {
                for (auto& done : stream) {
                    if (done.index() != 20) {
                        ++values;
                        continue;
                    }
                    throws_when_moved mine = done.get();
                    ++values;
                    // begin() again would show the same element, whose value is gone.
                }
                over = true;
            } catch (const error& thrown) {
                EXPECT_EQ(thrown.index, 20U);
                ++errors;
                // A loop that was left in its body shows its element again: go past it.
                while (auto done = stream.next()) ++values;
                over = true;
            }
        }
        EXPECT_EQ(values + errors, 50U) << "moves " << moves;
    }
}

/// S25. Every place where a producer can throw, for all k up to 2 * limit + 2.
struct throwing_job {
    enum class where { nowhere, copy, move, call };
    throwing_job(std::size_t at, where place) : index(at), place_(place) {}
    throwing_job(const throwing_job& other) : index(other.index), place_(other.place_) {
        if (place_ == where::copy) throw error(index);
    }
    throwing_job(throwing_job&& other) : index(other.index), place_(other.place_) {
        if (place_ == where::move) throw error(index);
    }
    std::size_t operator()() {
        if (place_ == where::call) throw error(index);
        return index;
    }
    std::size_t index;

private:
    where place_;
    tracked life_;
};

TEST_F(ThrowingMoves, AJobThatThrowsOnItsWayInIsItsOwnErrorAndReturnsItsPermit) {
    constexpr std::size_t limit = 3;
    constexpr std::size_t n = 2 * limit + 4;
    penstock::executor ex(2);
    using where = throwing_job::where;
    for (std::size_t k = 0; k <= 2 * limit + 2; ++k) {
        for (const where place : {where::copy, where::move, where::call}) {
            for (const bool moves_out : {true, false}) {
                watchdog::progress();
                std::vector<throwing_job> jobs;
                jobs.reserve(n);
                for (std::size_t i = 0; i < n; ++i) jobs.emplace_back(i, i == k ? place : where::nowhere);
                std::size_t errors = 0;
                std::size_t values = 0;
                const auto run = [&](auto stream) {
                    while (auto done = stream.next()) {
                        if (done->has_value()) {
                            EXPECT_EQ(done->get(), done->index());
                            ++values;
                        } else {
                            EXPECT_EQ(done->index(), k);
                            ++errors;
                        }
                    }
                    EXPECT_EQ(stream.stats().running, 0U);
                };
                if (moves_out) {
                    run(penstock::as_completed(ex, std::move(jobs), limit));
                } else {
                    run(penstock::as_completed(ex, jobs, limit));
                }
                const bool hit = place == where::call || (place == where::move) == moves_out;
                EXPECT_EQ(errors, hit ? 1U : 0U);
                EXPECT_EQ(values, n - errors);
            }
        }
    }
}

}  // namespace
}  // namespace stress
