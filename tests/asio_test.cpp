// SPDX-License-Identifier: MIT
/// Tasks that await Asio's operations.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <ranges>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <asio/bind_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

#include <penstock/asio.hpp>
#include <penstock/penstock.hpp>

#include "support/stop_test.hpp"

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using penstock::task;
using penstock::use_task;
using support::test_error;
using support::tracked;
using support::tracked_unique;

/// An io_context that three threads run.
class AsioTask : public support::stop_test {
protected:
    ~AsioTask() override { busy.reset(); }

    /// Runs it as many tasks, none of which may fail.
    template <class Make>
    void run(int count, Make make) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, count),
            [&](int i) -> task<> {
                const tracked local;
                co_await make(i);
                EXPECT_LT(penstock::this_worker(), workers());
            },
            with(20));
        for (auto& done : stream) EXPECT_NO_THROW(done.get());
        EXPECT_EQ(stream.stats().taken, static_cast<std::size_t>(count));
    }

    /// What a worker was doing before, it has done when this returns.
    void meet_all_workers() {
        const auto meeting = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(workers()) + 1);
        for (std::size_t i = 0; i < workers(); ++i) ex.post([meeting] { meeting->arrive_and_wait(); });
        meeting->arrive_and_wait();
    }

    asio::io_context io;
    asio::executor_work_guard<asio::io_context::executor_type> busy{io.get_executor()};
    std::array<std::jthread, 3> runners{std::jthread([this] { io.run(); }), std::jthread([this] { io.run(); }),
                                        std::jthread([this] { io.run(); })};
};
INSTANTIATE_TEST_SUITE_P(, AsioTask, ::testing::ValuesIn(support::every_width_and_order()), support::name_of_setting);

/// An operation of our own: hands its handler to `begin`.
template <class Signature, class Begin, class Token, class... Args>
auto async_begin(Begin begin, Token&& token, Args... args) {
    return asio::async_initiate<Token, Signature>(std::move(begin), token, std::move(args)...);
}

/// Keeps handlers of void(error_code, int) until they are called or dropped, and does not know of cancellation.
class keeper {
public:
    auto keep() {
        return async_begin<void(std::error_code, int)>(
            [this](auto handler) {
                ++begun;
                // The handler can only be moved, a std::function's target must be copyable.
                auto shared = std::make_shared<decltype(handler)>(std::move(handler));
                const std::lock_guard guard(mutex_);
                kept_.push_back([shared](std::error_code error, int value) { (*shared)(error, value); });
            },
            use_task);
    }
    void call_all(std::error_code error, int value) {
        for (auto& each : take()) each(error, value);
    }
    void drop_all() { take().clear(); }
    std::size_t size() {
        const std::lock_guard guard(mutex_);
        return kept_.size();
    }

    std::atomic<std::size_t> begun{0};

private:
    std::vector<std::function<void(std::error_code, int)>> take() {
        const std::lock_guard guard(mutex_);
        return std::exchange(kept_, {});
    }
    std::mutex mutex_;
    std::vector<std::function<void(std::error_code, int)>> kept_;
};

// What an operation gives decides what co_await gives.
struct begin_nothing {
    void operator()(auto) const {}
};
template <class... Args>
using given = typename decltype(async_begin<void(Args...)>(begin_nothing(), use_task))::value_type;
static_assert(std::is_void_v<given<>>);
static_assert(std::is_void_v<given<std::error_code>>);
static_assert(std::is_void_v<given<std::exception_ptr>>);
static_assert(std::is_same_v<given<std::size_t>, std::size_t>);
static_assert(std::is_same_v<given<std::error_code, const std::string&>, std::string>);
static_assert(std::is_same_v<given<std::exception_ptr, int, char>, std::tuple<int, char>>);
static_assert(std::is_same_v<given<int, std::error_code>, std::tuple<int, std::error_code>>);

TEST_P(AsioTask, GoesOnOnAWorkerWhenATimerIsDue) {
    run(200, [this](int i) -> task<> {
        asio::steady_timer timer(io);
        for (int turn = 0; turn < 3; ++turn) {
            timer.expires_after(std::chrono::microseconds(i * 10));
            const auto due = timer.expiry();
            co_await timer.async_wait(use_task);
            EXPECT_GE(std::chrono::steady_clock::now(), due);
            EXPECT_LT(penstock::this_worker(), workers());
        }
    });
}

TEST_P(AsioTask, EchoesOverLoopback) {
    constexpr int pairs = 8;
    constexpr std::size_t size = 200'000;
    std::vector<tcp::acceptor> doors;
    for (int i = 0; i < pairs; ++i) doors.emplace_back(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));

    const auto serve = [&](tcp::acceptor& door) -> task<> {
        tcp::socket peer = co_await door.async_accept(use_task);
        peer.set_option(tcp::no_delay(true));
        std::array<char, 4096> buffer{};
        try {
            for (;;) {
                const std::size_t got = co_await peer.async_read_some(asio::buffer(buffer), use_task);
                EXPECT_EQ(co_await asio::async_write(peer, asio::buffer(buffer, got), use_task), got);
            }
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), asio::error::eof);
        }
    };
    const auto call = [&](tcp::acceptor& door) -> task<> {
        tcp::socket server(io);
        co_await server.async_connect(door.local_endpoint(), use_task);
        server.set_option(tcp::no_delay(true));
        std::string sent(size, ' ');
        std::iota(sent.begin(), sent.end(), '\0');
        std::string received(10'000, ' ');
        for (std::size_t at = 0; at < size; at += received.size()) {
            co_await asio::async_write(server, asio::buffer(&sent[at], received.size()), use_task);
            const std::size_t got = co_await asio::async_read(server, asio::buffer(received), use_task);
            EXPECT_EQ(got, received.size());
            EXPECT_EQ(received, sent.substr(at, got));
        }
    };
    run(2 * pairs, [&](int i) -> task<> {
        auto& door = doors[static_cast<std::size_t>(i / 2)];
        // Not co_await (a ? b : c): g++ 12.2 destroys both arms.
        if (i % 2 == 0) {
            co_await serve(door);
        } else {
            co_await call(door);
        }
    });
}

TEST_P(AsioTask, ThrowsTheErrorOfAnOperation) {
    tcp::acceptor deaf(io);  // keeps the port, and does not listen
    deaf.open(tcp::v4());
    deaf.bind(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const tcp::endpoint nobody = deaf.local_endpoint();
    run(50, [&](int i) -> task<> {
        tcp::socket socket(io);
        std::error_code code;
        try {
            co_await socket.async_connect(nobody, use_task);
        } catch (const asio::system_error& error) {
            code = error.code();
        }
        EXPECT_EQ(code, asio::error::connection_refused);

        long thrown = 0;
        try {
            co_await async_begin<void(std::exception_ptr, int)>(
                [i](auto handler) { handler(std::make_exception_ptr(test_error(i)), 1); }, use_task);
        } catch (const test_error& error) {
            thrown = error.code;
        }
        EXPECT_EQ(thrown, i);

        // What the handler is given converts to what its signature says.
        std::error_code converted;
        try {
            co_await async_begin<void(std::error_code, std::string)>(
                [](auto handler) { handler(asio::error::eof, "nothing"); }, use_task);
        } catch (const asio::system_error& error) {
            converted = error.code();
        }
        EXPECT_EQ(converted, asio::error::eof);
    });
}

TEST_P(AsioTask, GivesWhatTheHandlerIsGiven) {
    run(50, [this](int i) -> task<> {
        const auto answer = [this](auto handler, auto... values) {
            asio::post(io, [handler = std::move(handler), ... values = std::move(values)]() mutable {
                handler(std::error_code(), std::move(values)...);
            });
        };
        co_await async_begin<void(std::error_code)>(answer, use_task);
        auto one =
            co_await async_begin<void(std::error_code, tracked_unique<int>)>(answer, use_task, tracked_unique<int>(i));
        EXPECT_EQ(one.value, i);
        auto [first, second] = co_await async_begin<void(std::error_code, std::string, std::unique_ptr<int>)>(
            answer, use_task, std::string(100, 'a'), std::make_unique<int>(i));
        EXPECT_EQ(first, std::string(100, 'a'));
        EXPECT_EQ(*second, i);
    });
}

TEST_P(AsioTask, KeepsWhatAnOperationBeginsWithAndDestroysItOnce) {
    struct large : tracked {
        std::array<std::uint64_t, 100> words{};
        std::unique_ptr<std::uint64_t> own;
    };
    run(50, [](int i) -> task<> {
        large kept;
        kept.words.fill(static_cast<std::uint64_t>(i));
        kept.own = std::make_unique<std::uint64_t>(static_cast<std::uint64_t>(i));
        auto begin = [kept = std::move(kept)](auto handler, const tracked_unique<int>& argument) mutable {
            kept.check();
            handler(kept.words.back() + *kept.own + static_cast<std::uint64_t>(argument.value));
        };
        const auto sum = co_await async_begin<void(std::uint64_t)>(std::move(begin), use_task, tracked_unique<int>(i));
        EXPECT_EQ(sum, 3 * static_cast<std::uint64_t>(i));
    });
}

TEST_P(AsioTask, BeginsAnOperationWhenItIsAwaited) {
    run(20, [](int) -> task<> {
        int begun = 0;
        auto operation = async_begin<void(int)>([&begun](auto handler) { handler(++begun); }, use_task);
        EXPECT_EQ(begun, 0);
        EXPECT_EQ(co_await operation, 1);
        {
            const auto never = async_begin<void(int)>([&begun](auto handler) { handler(++begun); }, use_task);
        }
        EXPECT_EQ(begun, 1);
    });
}

TEST_P(AsioTask, MayGoOnWhileTheOperationIsStillBeingBegun) {
    run(200, [this](int i) -> task<> {
        const tracked local;
        co_await async_begin<void()>(
            [this, i](auto handler) {
                const tracked on_the_way;
                asio::post(io, std::move(handler));
                if (i % 2 == 0) std::this_thread::yield();
                on_the_way.check();
            },
            use_task);
    });
}

TEST_P(AsioTask, ThrowsWhatTheBeginningThrowsWhenTheHandlerIsThroughToo) {
    run(50, [this](int i) -> task<> {
        long thrown = -1;
        std::atomic<bool> called{false};
        const bool taken = i % 2 == 0;
        const auto begin = [&, this](auto handler) {
            if (taken) {
                asio::post(io, [&called, handler = std::move(handler)]() mutable {
                    called = true;
                    handler(1);
                });
            }
            throw test_error(i);
        };
        try {
            co_await async_begin<void(int)>(begin, use_task);
        } catch (const test_error& error) {
            thrown = error.code;
        }
        EXPECT_EQ(thrown, i);
        EXPECT_EQ(called, taken);
    });
}

TEST_P(AsioTask, TellsThatItsHandlerWasDropped) {
    keeper kept;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 10),
        [&](int) -> task<int> {
            const tracked local;
            co_return co_await kept.keep();
        },
        with(10));
    ASSERT_TRUE(support::eventually([&] { return kept.size() == 10; }));
    kept.drop_all();
    for (auto& done : stream) EXPECT_THROW(done.get(), penstock::broken_task);
    EXPECT_EQ(stream.stats().taken, 10U);
}

TEST_P(AsioTask, OutlivesTheContextOfItsOperation) {
    for (const bool stopped_before : {false, true}) {
        std::mutex mutex;  // Asio's objects are for one thread at a time
        auto never_run = std::make_unique<asio::io_context>();
        auto timer = std::make_unique<asio::steady_timer>(*never_run, 1h);
        std::atomic<std::size_t> begun{0};
        auto wait = [&](int i) -> task<> {
            const tracked local;
            const auto begin = [&, i](auto handler) {
                const std::lock_guard guard(mutex);
                if (i % 2 == 0) {
                    timer->async_wait(std::move(handler));
                } else {
                    asio::post(*never_run, [handler = std::move(handler)]() mutable { handler(std::error_code()); });
                }
                ++begun;
            };
            // With the context's executor, as Asio's own operations have it: a stop's cancellation goes there, too.
            co_await async_begin<void(std::error_code)>(asio::bind_executor(*never_run, begin), use_task);
        };
        auto stream = penstock::as_completed(ex, std::views::iota(0, 10), wait, with(10));
        ASSERT_TRUE(support::eventually([&] { return begun == 10; }));
        meet_all_workers();
        if (stopped_before) stream.request_stop();
        timer.reset();
        never_run.reset();
        EXPECT_EQ(run_out(stream).delivered.size(), 10U);
    }
}

TEST_P(AsioTask, CancelsItsOperationWhenTheStreamIsStopped) {
    tcp::acceptor door(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    std::atomic<std::size_t> waiting{0};
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int i) -> task<> {
            const tracked local;
            std::array<char, 100'000> buffer;  // what the operation writes to
            if (i % 3 == 0) {
                asio::steady_timer timer(io, 1h);
                ++waiting;
                co_await timer.async_wait(use_task);
            } else {
                tcp::socket socket(io);
                co_await socket.async_connect(door.local_endpoint(), use_task);
                ++waiting;
                if (i % 3 == 1) co_await socket.async_read_some(asio::buffer(buffer), use_task);
                co_await asio::async_read(socket, asio::buffer(buffer), use_task);
            }
        },
        with(30));
    ASSERT_TRUE(support::eventually([&] { return waiting == 30; }));
    stream.request_stop();
    const auto went = run_out(stream);
    EXPECT_EQ(went.stopped, 1) << "an endless source has been cut off";
    EXPECT_EQ(went.delivered.size(), 30U);
    EXPECT_EQ(stream.stats().stopped, 30U);
    EXPECT_EQ(stream.stats().failed, 0U);
}

TEST_P(AsioTask, WaitsForAnOperationThatCanNotBeCancelledAndGivesItsResult) {
    keeper kept;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0),
        [&](int) -> task<int> {
            const tracked local;
            const int got = co_await kept.keep();
            bool stopped = false;
            try {
                co_await kept.keep();
            } catch (const penstock::stopped&) {
                stopped = true;
            }
            co_return stopped ? got : -1;
        },
        with(10));
    ASSERT_TRUE(support::eventually([&] { return kept.size() == 10; }));
    stream.request_stop();
    EXPECT_EQ(stream.stats().running, 10U);
    EXPECT_FALSE(stream.try_next());
    kept.call_all({}, 5);
    int count = 0;
    try {
        while (auto done = stream.next()) {
            EXPECT_EQ(done->get(), 5);
            ++count;
        }
    } catch (const penstock::stopped&) {
    }
    EXPECT_EQ(count, 10);
    EXPECT_EQ(kept.begun, 10U) << "after a stop nothing is begun";
}

TEST_P(AsioTask, TellsAStopFromOtherErrors) {
    keeper kept;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 2), [&](int) -> task<int> { co_return co_await kept.keep(); }, with(1, 0));
    // Aborted by somebody else: an error.
    ASSERT_TRUE(support::eventually([&] { return kept.size() == 1; }));
    kept.call_all(asio::error::operation_aborted, 0);
    auto done = stream.next();
    ASSERT_TRUE(done);
    EXPECT_THROW(done->get(), std::system_error);
    // Failed for a reason of its own, after a stop: that error.
    ASSERT_TRUE(support::eventually([&] { return kept.size() == 1; }));
    stream.request_stop();
    kept.call_all(asio::error::eof, 0);
    done = stream.next();
    ASSERT_TRUE(done);
    EXPECT_THROW(done->get(), std::system_error);
}

TEST_P(AsioTask, MayBeStoppedAtAnyMoment) {
    tcp::acceptor door(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    for (int round = 0; round < 40; ++round) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0),
            [&](int i) -> task<> {
                const tracked local;
                asio::steady_timer timer(io);
                for (int turn = 0; turn < 5; ++turn) {
                    timer.expires_after(std::chrono::microseconds(i % 7 * 20));
                    co_await timer.async_wait(use_task);
                }
                co_await asio::post(io, use_task);
            },
            with(10));
        std::this_thread::sleep_for(std::chrono::microseconds(round * 25));
        if (round % 2 == 0) {
            stream.request_stop();
            run_out(stream);
            EXPECT_EQ(stream.stats().failed, 0U);
        }
    }
}

TEST_P(AsioTask, MayBeStoppedBetweenTheStepsOfAnOperation) {
    constexpr std::size_t pairs = 4;
    std::vector<tcp::acceptor> doors;
    for (std::size_t i = 0; i < pairs; ++i) doors.emplace_back(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    for (int round = 0; round < 15; ++round) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(std::size_t{0}, 2 * pairs),
            [&](std::size_t i) -> task<> {
                const tracked local;
                tcp::acceptor& door = doors[i / 2];
                std::vector<char> buffer(5'000'000);
                if (i % 2 == 0) {
                    tcp::socket peer = co_await door.async_accept(use_task);
                    co_await asio::async_read(peer, asio::buffer(buffer), use_task);
                } else {
                    tcp::socket server(io);
                    co_await server.async_connect(door.local_endpoint(), use_task);
                    co_await asio::async_write(server, asio::buffer(buffer), use_task);
                }
            },
            with(2 * pairs));
        std::this_thread::sleep_for(std::chrono::microseconds(round * 700));
        stream.request_stop();
        while (!stream.done()) {
            try {
                stream.next();
            } catch (const penstock::stopped&) {
            }
        }
    }
}

TEST_P(AsioTask, LeavesTheErrorToWhoAsksForIt) {
    run(20, [this](int) -> task<> {
        tcp::socket never_opened(io);
        std::array<char, 10> buffer{};
        std::error_code error;
        const std::size_t got =
            co_await never_opened.async_read_some(asio::buffer(buffer), asio::redirect_error(use_task, error));
        EXPECT_EQ(got, 0U);
        EXPECT_EQ(error, asio::error::bad_descriptor);
    });
}

}  // namespace
