// SPDX-License-Identifier: MIT
/// Tasks that await what is not ours: whoever resumes them, wherever, they go on on a worker.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using penstock::task;
using support::test_error;
using support::tracked;
using support::tracked_unique;
using support::tracked_value;

/// A thread that is no worker, and runs what it is given.
class other_thread {
public:
    void post(std::function<void()> what) {
        const std::lock_guard guard(mutex_);
        posted_.push_back(std::move(what));
        changed_.notify_one();
    }
    ~other_thread() {
        post({});
        thread_.join();
    }

private:
    void run() {
        for (;;) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return !posted_.empty(); });
            const auto next = std::move(posted_.front());
            posted_.pop_front();
            lock.unlock();
            if (!next) return;
            next();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> posted_;
    std::thread thread_{[this] { run(); }};
};

enum class place { nowhere, ready, suspend, resume };

/// Resumed by another thread; throws where it is told to.
struct hop : tracked {
    bool await_ready() const {
        if (throws == place::ready) throw test_error(1);
        return false;
    }
    void await_suspend(std::coroutine_handle<> waiting) {
        if (throws == place::suspend) throw test_error(2);
        to->post([waiting] { waiting.resume(); });
    }
    int await_resume() const {
        check();
        if (throws == place::resume) throw test_error(3);
        return 7;
    }
    other_thread* to = nullptr;
    place throws = place::nowhere;
};

struct at_once {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const { waiting.resume(); }
    int await_resume() const noexcept { return 8; }
};

struct perhaps {
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) const {
        if (!to) return false;
        to->post([waiting] { waiting.resume(); });
        return true;
    }
    std::string await_resume() const { return to ? "suspended" : "went on"; }
    other_thread* to = nullptr;
};

struct transfers {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const {
        if (!to) return waiting;
        to->post([waiting] { waiting.resume(); });
        return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
    other_thread* to = nullptr;
};

template <class Result>
struct gives {
    bool await_ready() const noexcept { return is_ready; }
    void await_suspend(std::coroutine_handle<> waiting) const {
        to->post([waiting] { waiting.resume(); });
    }
    Result await_resume() { return static_cast<Result>(value); }
    std::remove_reference_t<Result>& value;
    other_thread* to;
    bool is_ready = false;
};

struct with_member {
    hop operator co_await() const {
        hop made;
        made.to = to;
        return made;
    }
    other_thread* to;
};
struct with_free {
    other_thread* to;
};
hop operator co_await(const with_free& awaited) {
    hop made;
    made.to = awaited.to;
    return made;
}
struct only_rvalue {
    explicit only_rvalue(other_thread& t) : to(&t) {}
    only_rvalue(only_rvalue&&) = delete;
    hop operator co_await() && {
        hop made;
        made.to = to;
        return made;
    }
    other_thread* to;
};

class ForeignAwaitable : public support::contract_test {
protected:
    /// Runs it as several tasks at once.
    template <class Make>
    void run(Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 100),
            [&](int i) -> task<> {
                const tracked local;
                co_await make(i);
                if (penstock::this_worker() >= workers()) ++elsewhere;
            },
            with(10));
        for (auto& done : stream) EXPECT_NO_THROW(done.get());
        EXPECT_EQ(elsewhere, 0) << "coroutines go on on workers";
    }
    void here() {
        if (penstock::this_worker() >= workers()) ++elsewhere;
    }
    std::atomic<int> elsewhere{0};
    other_thread other;
};
INSTANTIATE_TEST_SUITE_P(, ForeignAwaitable, ::testing::ValuesIn(support::every_width_and_order()),
                         support::name_of_setting);

TEST_P(ForeignAwaitable, MayBeResumedByAnyThread) {
    run([&](int) -> task<> {
        for (int i = 0; i < 5; ++i) {
            hop away;
            away.to = &other;
            EXPECT_EQ(co_await away, 7);
            here();
        }
    });
}

TEST_P(ForeignAwaitable, MayBeResumedBeforeItsAwaitSuspendReturns) {
    run([&](int) -> task<> {
        for (int i = 0; i < 50; ++i) EXPECT_EQ(co_await at_once{}, 8);
        here();
    });
}

TEST_P(ForeignAwaitable, MayDecideNotToSuspend) {
    run([&](int i) -> task<> {
        const std::string went = co_await perhaps{i % 2 == 0 ? &other : nullptr};
        EXPECT_EQ(went, i % 2 == 0 ? "suspended" : "went on");
        here();
        co_await transfers{i % 2 == 0 ? &other : nullptr};
        here();
        co_await std::suspend_never();
    });
}

TEST_P(ForeignAwaitable, MayGiveAReferenceAndItIsTheSameObject) {
    run([&](int i) -> task<> {
        tracked_value mine(i);
        gives<tracked_value<int>&> lender{mine, &other, i % 3 == 0};
        tracked_value<int>& lent = co_await lender;
        EXPECT_EQ(&lent, &mine);
        const tracked_value<int>& again = co_await gives<const tracked_value<int>&>{mine, &other, i % 3 == 0};
        EXPECT_EQ(&again, &mine);
        here();
    });
}

TEST_P(ForeignAwaitable, MayGiveWhatCanOnlyBeMoved) {
    struct maker {
        bool await_ready() const noexcept { return to == nullptr; }
        void await_suspend(std::coroutine_handle<> waiting) const {
            to->post([waiting] { waiting.resume(); });
        }
        tracked_unique<int> await_resume() const { return tracked_unique(value); }
        int value;
        other_thread* to;
    };
    run([&](int i) -> task<> {
        maker made{i, i % 3 == 0 ? nullptr : &other};
        const tracked_unique<int> got = co_await made;
        EXPECT_EQ(got.value, i);
    });
}

TEST_P(ForeignAwaitable, MayHaveAnAwaiter) {
    run([&](int) -> task<> {
        EXPECT_EQ(co_await with_member{&other}, 7);
        here();
        EXPECT_EQ(co_await with_free{&other}, 7);
        here();
        const with_free kept{&other};
        EXPECT_EQ(co_await kept, 7);
        EXPECT_EQ(co_await only_rvalue(other), 7);
        here();
    });
}

TEST_P(ForeignAwaitable, MayThrowWhereverItLikes) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 200),
        [&](int i) -> task<int> {
            const tracked local;
            hop away;
            away.to = &other;
            away.throws = static_cast<place>(i % 4);
            int caught = 0;
            try {
                co_await away;
            } catch (const test_error& error) {
                caught = static_cast<int>(error.code);
            }
            EXPECT_EQ(caught, i % 4);
            here();
            co_return co_await away;
        },
        with(10));
    for (auto& done : stream) {
        if (done.input() % 4 == 0) {
            EXPECT_EQ(done.get(), 7);
        } else {
            EXPECT_THROW(done.get(), test_error);
        }
    }
    EXPECT_EQ(elsewhere, 0);
}

TEST_P(ForeignAwaitable, IsNotTouchedOnceItsTaskHasGoneOn) {
    struct fleeting : tracked {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) const {
            std::atomic<bool> resumed{false};
            to->post([&, waiting] {
                waiting.resume();
                resumed = true;
            });
            // The task goes on meanwhile, and destroys this, if there is another worker.
            while (!resumed) std::this_thread::yield();
        }
        void await_resume() const { check(); }
        other_thread* to = nullptr;
    };
    run([&](int) -> task<> {
        auto awaited = std::make_unique<fleeting>();
        awaited->to = &other;
        co_await *awaited;
        awaited.reset();
        here();
    });
}

TEST_P(ForeignAwaitable, HoldsItsSlot) {
    support::meter running;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 300),
        [&](int) -> task<> {
            const support::meter::visit here(running);
            hop away;
            away.to = &other;
            co_await away;
            co_await away;
        },
        with(7));
    EXPECT_EQ(support::drain(stream), 300U);
    EXPECT_LE(running.most(), 7);
}

TEST_P(ForeignAwaitable, UsesNoStackHoweverManyAreReadyOneAfterTheOther) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2),
        [](int) -> task<long> {
            long sum = 0;
            for (int i = 0; i < 200'000; ++i) {
                sum += co_await at_once{};
                sum += static_cast<long>((co_await perhaps{}).size());
            }
            co_return sum;
        },
        with(2));
    for (auto& done : stream) EXPECT_EQ(done.get(), 200'000 * 15);
}

TEST_P(ForeignAwaitable, MayGoOnWhileItsStreamIsDestroyedAndSoIsItsExecutor) {
    // The stream is over, by its deadline; its task is not, and does not hear of it.
    struct deaf {
        std::atomic<void*>& waiting;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> frame) const noexcept { waiting = frame.address(); }
        void await_resume() const noexcept {}
    };
    std::atomic<void*> waiting{nullptr};
    auto own = std::make_unique<penstock::executor>(workers());
    auto settings = with(1);
    std::optional<penstock::completion_stream<int, int>> stream;
    for (auto patience = std::chrono::milliseconds(10); !waiting; patience *= 4) {
        settings.deadline = std::chrono::steady_clock::now() + patience;
        stream.emplace(penstock::as_completed(
            *own, std::views::iota(0, 1),
            [&](int i) -> task<int> {
                deaf wait{waiting};
                co_await wait;
                co_return i;
            },
            settings));
        EXPECT_THROW(stream->next(), penstock::timed_out);
    }
    std::jthread joiner([&] { stream.reset(); });
    std::jthread resumer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the case: both wait for it by then
        std::coroutine_handle<>::from_address(waiting).resume();
    });
    own.reset();
}

}  // namespace
