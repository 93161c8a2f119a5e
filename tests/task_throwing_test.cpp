// SPDX-License-Identifier: MIT
/// Exceptions from every place in a coroutine's life become its one outcome, and leave nothing behind.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"
#include "support/counting_new.hpp"

namespace {

using namespace std::chrono_literals;
using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_value;

class TaskThrowing : public support::contract_test {
protected:
    /// Every task fails with its index; the stream and the executor are as good as before.
    template <class Make>
    void expect_errors(Make make) {
        auto stream = penstock::as_completed(ex, std::views::iota(0, 100), make, with(6));
        std::size_t count = 0;
        while (auto done = stream.next()) {
            ++count;
            try {
                done->get();
                ADD_FAILURE() << "no exception";
            } catch (const test_error& error) {
                EXPECT_EQ(error.code, done->input());
            }
        }
        EXPECT_EQ(count, 100U);
        EXPECT_EQ(stream.stats().failed, 100U);
    }
};
INSTANTIATE_TEST_SUITE_P(, TaskThrowing, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

struct throws_when_made : tracked {
    explicit throws_when_made(int i) { throw test_error(i); }
};
struct throws_when_copied : tracked {
    explicit throws_when_copied(int i) : code(i) {}
    throws_when_copied(const throws_when_copied& other) : tracked(other), code(other.code) { throw test_error(code); }
    int code;
};
struct throws_when_moved : tracked {
    explicit throws_when_moved(int i) : code(i) {}
    throws_when_moved(throws_when_moved&& other) : tracked(std::move(other)), code(other.code) {
        throw test_error(code);
    }
    int code;
};

TEST_P(TaskThrowing, InTheFunctionThatMakesTheTask) {
    expect_errors([](int i) -> task<int> {
        throw test_error(i);
        co_return i;
    });
    const auto never = [](int i) -> task<int> { co_return i; };
    expect_errors([&](int i) {
        if (i >= 0) throw test_error(i);
        return never(i);
    });
}

TEST_P(TaskThrowing, BeforeAndAfterItHasWaited) {
    expect_errors([](int i) -> task<int> {
        const tracked local;
        switch (i % 4) {
        case 0: co_await penstock::yield(); break;
        case 1: co_await penstock::sleep_for(10us); break;
        case 2: co_await penstock::run_blocking([] {}); break;
        default: break;
        }
        throw test_error(i);
        co_return i;
    });
}

TEST_P(TaskThrowing, InATaskThatItAwaits) {
    struct chain {
        static task<tracked_value<int>> link(int i, int depth) {
            const tracked local;
            if (depth == 0) {
                co_await penstock::yield();
                throw test_error(i);
            }
            co_return co_await link(i, depth - 1);
        }
    };
    expect_errors([](int i) { return chain::link(i, 20); });
}

TEST_P(TaskThrowing, WhileTheResultIsMade) {
    expect_errors([](int i) -> task<throws_when_made> {
        const tracked local;
        co_return i;
    });
    expect_errors([](int i) -> task<std::unique_ptr<throws_when_made>> {
        co_await penstock::yield();
        co_return std::make_unique<throws_when_made>(i);
    });
}

TEST_P(TaskThrowing, WhileTheResultIsMovedToWhoAwaitsIt) {
    expect_errors([](int i) -> task<int> {
        const auto inner = [](int x) -> task<throws_when_moved> {
            co_await penstock::yield();
            co_return throws_when_moved(x);
        };
        const auto got = co_await inner(i);
        co_return got.code;
    });
}

TEST_P(TaskThrowing, WhileTheArgumentsAreCopiedIntoTheFrame) {
    expect_errors([](int i) {
        const auto inner = [](throws_when_copied) -> task<int> { co_return 1; };
        const throws_when_copied argument(i);
        return inner(argument);
    });
}

TEST_P(TaskThrowing, IsCaughtByWhoAwaitsAndTheTaskGoesOn) {
    const auto failing = [](int i) -> task<int> {
        const tracked local;
        co_await penstock::yield();
        throw test_error(i);
        co_return i;
    };
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 100),
        [&](int i) -> task<int> {
            int sum = 0;
            for (int attempt = 0; attempt < 5; ++attempt) {
                try {
                    co_await failing(i);
                } catch (const test_error& error) {
                    sum += static_cast<int>(error.code);
                }
                co_await penstock::yield();
            }
            co_return sum;
        },
        with(6));
    for (auto& done : stream) EXPECT_EQ(done.get(), 5 * done.input());
}

TEST_P(TaskThrowing, ThrowsStoppedByItselfWithoutBeingCountedAsStopped) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 20),
        [](int) -> task<> {
            co_await penstock::yield();
            throw penstock::stopped();
        },
        with(4));
    for (auto& done : stream) EXPECT_THROW(done.get(), penstock::stopped);
    EXPECT_EQ(stream.stats().failed, 20U);
    EXPECT_EQ(stream.stats().stopped, 0U);
}

/// Which allocation it is that fails, nobody says; whichever it is, the task fails or does not, and nothing is lost.
TEST_P(TaskThrowing, ForWantOfMemoryIsATasksOutcomeAndNothingElse) {
    struct leaves {
        static task<int> leaf(int i) {
            const tracked local;
            co_await penstock::yield();
            co_await penstock::sleep_for(10us);
            co_return i;
        }
        static task<int> branch(int i) {
            const tracked local;
            const int first = co_await leaf(i);
            co_await std::suspend_never();
            penstock::completion_source<int> source;
            source.set_value(first);
            co_return co_await source.wait() + co_await leaf(i);
        }
    };
    std::size_t failures = 0;
    for (long fuse = 1; fuse < 120; ++fuse) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 30), [](int i) { return leaves::branch(i); }, with(3));
        support::heap::fuse = fuse;
        std::size_t outcomes = 0;
        bool ended_early = false;  // a record for the next task could not be made
        try {
            while (auto done = stream.next()) {
                ++outcomes;
                if (done->has_value()) {
                    EXPECT_EQ(done->get(), 2 * done->input());
                } else {
                    ++failures;
                    EXPECT_THROW(done->get(), std::bad_alloc);
                }
            }
        } catch (const std::bad_alloc&) {
            ended_early = true;
        }
        support::heap::fuse = 0;
        EXPECT_TRUE(outcomes == 30U || ended_early);
        EXPECT_EQ(stream.stats().pulled, outcomes);
        EXPECT_EQ(tracked::live(), 0);
    }
    EXPECT_GT(failures, 0U);
}

}  // namespace
