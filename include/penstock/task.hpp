// SPDX-License-Identifier: MIT
/// Tasks that wait without holding a thread.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/export.hpp>
#include <penstock/detail/saturating.hpp>
#include <penstock/detail/task_promise.hpp>
#include <penstock/errors.hpp>
#include <penstock/job.hpp>

namespace penstock {
inline namespace v0 {

/// A coroutine that runs as a task of a stream, or is awaited by one. Lazy: it begins when the stream admits it, or
/// when it is awaited. While it waits (in sleep_for(), run_blocking(), for another task or any awaitable) it holds its
/// slot in the stream, and no thread. It goes on on a worker, whoever ended the wait.
///
/// What it returns is moved out to who awaits it, or into the stream's result; so are exceptions. A task that is
/// destroyed before it was awaited has never begun.
///
/// Parameters are kept in the frame as their types say: by reference only what lives until the task has ended. With a
/// function of as_completed, the input does. A lambda that is a coroutine keeps its captures in the lambda, which must
/// live as long: the stream keeps its function, and a task keeps what it was made from only if that is a parameter.
///
/// Threads: a task runs on one thread at a time. Cost: a frame from the heap for each; an await of a ready task some
/// nanoseconds; no stack, however long a chain of awaits is. Awaited tasks may nest 10^5 deep, and more.
template <class T>
class [[nodiscard]] task : public detail::native_awaitable {
    static_assert(!std::is_reference_v<T>, "penstock: a task must not return a reference; return a value or a pointer");

public:
    using promise_type = detail::task_promise<T>;
    using value_type = T;

    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        task old(std::move(*this));
        frame_ = std::exchange(other.frame_, nullptr);
        return *this;
    }
    /// One that has begun must have ended, which streams and co_await see to.
    ~task() {
        if (frame_) frame_.destroy();
    }

    /// co_await the_task: begins it, and goes on when it has ended, with its value or its exception. Once; again, or
    /// after it was moved from, it is std::logic_error.
    bool await_ready() const {
        require_unbegun();
        return false;
    }
    template <std::derived_from<detail::task_promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
        detail::task_root* root = awaiting.promise().root;
        frame_.promise().root = root;
        frame_.promise().continuation = awaiting;
        root->now->next = frame_;
    }
    T await_resume() { return frame_.promise().take(); }

    /// For as_completed: throws std::logic_error if it can not be begun.
    void require_unbegun() const {
        if (!frame_) throw std::logic_error("penstock: a task that was moved from can not be awaited or run");
        if (frame_.promise().root) throw std::logic_error("penstock: a task can be awaited once");
    }
    /// For as_completed: the frame, to be begun.
    std::coroutine_handle<> begin(detail::task_root& root) noexcept {
        frame_.promise().root = &root;
        return frame_;
    }
    /// For as_completed: what it has come to.
    T take() { return frame_.promise().take(); }

private:
    friend promise_type;
    explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

namespace detail {

struct yield_awaiter final : native_awaitable {
    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiting) const noexcept {
        make_ready(waiting.promise());
    }
    void await_resume() const noexcept {}
};

struct token_awaiter final : native_awaitable {
    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    bool await_suspend(std::coroutine_handle<Promise> asking) noexcept {
        token = asking.promise().root->token();
        return false;
    }
    std::stop_token await_resume() noexcept { return std::move(token); }
    std::stop_token token;
};

/// Runs a function on a blocking thread.
template <class F, class... Args>
class blocking_awaiter final : public native_awaitable, blocking_call {
    using result = std::invoke_result_t<F, Args...>;
    static_assert(!std::is_reference_v<result>, "penstock: what run_blocking() runs must not return a reference");

public:
    template <class G, class... Given>
    explicit blocking_awaiter(std::in_place_t, G&& function, Given&&... given)
        : function_(std::forward<G>(function)), arguments_(std::forward<Given>(given)...) {}

    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) noexcept {
        this->waiting = &frame.promise();
        make_blocking(*this);
    }
    result await_resume() { return outcome_.take(); }

private:
    void run() noexcept override {
        try {
            if constexpr (std::is_void_v<result>) {
                std::apply(std::move(function_), std::move(arguments_));
            } else {
                outcome_.set_value(std::apply(std::move(function_), std::move(arguments_)));
            }
        } catch (...) {
            outcome_.set_error(std::current_exception());
        }
    }
    void fail(std::exception_ptr why) noexcept override { outcome_.set_error(std::move(why)); }

    F function_;
    std::tuple<Args...> arguments_;
    task_outcome<result> outcome_;
};

/// The awaiter that co_await asks of an awaitable.
template <class A>
decltype(auto) awaiter_of(A&& awaited) {
    if constexpr (requires { std::forward<A>(awaited).operator co_await(); }) {
        return std::forward<A>(awaited).operator co_await();
    } else if constexpr (requires { operator co_await(std::forward<A>(awaited)); }) {
        return operator co_await(std::forward<A>(awaited));
    } else {
        return std::forward<A>(awaited);
    }
}

/// Waits for an awaitable in a frame's stead: whoever resumes it makes that frame ready, and runs nothing of it.
class stand_in {
public:
    struct promise_type {
        suspended_frame* waiting = nullptr;

        stand_in get_return_object() noexcept {
            return stand_in(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        struct final_awaiter {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> ended) const noexcept {
                make_ready(*ended.promise().waiting);
            }
            void await_resume() const noexcept {}
        };
        final_awaiter final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };

    stand_in() = default;
    stand_in(stand_in&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    stand_in& operator=(stand_in&& other) noexcept {
        std::swap(frame_, other.frame_);
        return *this;
    }
    ~stand_in() {
        if (frame_) frame_.destroy();
    }
    std::coroutine_handle<> for_frame(suspended_frame& waiting) noexcept {
        frame_.promise().waiting = &waiting;
        return frame_;
    }

private:
    explicit stand_in(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

/// Any awaitable that is not ours. Whoever resumes what awaits it, on whatever thread, the task goes on on a worker.
template <class A>
struct foreign_awaitable final : native_awaitable {
    using awaiter = decltype(awaiter_of(std::declval<A>()));
    using given = decltype(std::declval<std::remove_reference_t<awaiter>&>().await_resume());
    using result = std::conditional_t<std::is_rvalue_reference_v<given>, std::remove_cvref_t<given>, given>;
    using kept_result = std::conditional_t<std::is_lvalue_reference_v<result>,
                                           std::reference_wrapper<std::remove_reference_t<result>>, result>;

    explicit foreign_awaitable(A&& foreign) : inner(awaiter_of(std::forward<A>(foreign))) {}

    bool await_ready() { return static_cast<bool>(inner.await_ready()); }
    template <std::derived_from<task_promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiting) {
        suspended_frame& frame = waiting.promise();
        waiter.emplace(wait(*this));
        frame.root->now->next = waiter->for_frame(frame);
    }
    result await_resume() {
        if (!waiter) return inner.await_resume();
        return static_cast<result>(outcome.take());
    }

private:
    struct without_asking {
        bool await_ready() const noexcept { return false; }
        template <class Handle>
        decltype(auto) await_suspend(Handle waiting) {
            return inner.await_suspend(waiting);
        }
        result await_resume() { return inner.await_resume(); }
        std::remove_reference_t<awaiter>& inner;
    };
    static stand_in wait(foreign_awaitable& self) {
        try {
            without_asking once{self.inner};
            if constexpr (std::is_void_v<result>) {
                co_await once;
                self.outcome.set_value();
            } else {
                self.outcome.set_value(co_await once);
            }
        } catch (...) {
            self.outcome.set_error(std::current_exception());
        }
    }

    awaiter inner;
    task_outcome<kept_result> outcome;
    std::optional<stand_in> waiter;
};

}  // namespace detail

/// co_await sleep_until(time): waits, without a thread, until then at the earliest. Throws `stopped`, without waiting
/// any longer, if the stream is asked to stop, or when the task's time is up. Cost: no memory beyond the
/// frame; the timer's thread is made by the first.
template <class Duration>
auto sleep_until(std::chrono::time_point<std::chrono::steady_clock, Duration> time) {
    return detail::sleep_request{detail::saturating_time(time).time_since_epoch().count()};
}

/// The same for a duration from now, in any unit; a huge one means: until the stream stops.
template <class R, class P>
auto sleep_for(std::chrono::duration<R, P> patience) {
    constexpr auto never = std::chrono::steady_clock::time_point::max();
    return detail::sleep_request{detail::saturating_deadline(patience).value_or(never).time_since_epoch().count()};
}

/// co_await yield(): lets other tasks that are ready run first.
inline auto yield() noexcept { return detail::yield_awaiter(); }

/// co_await current_stop_token(): the stream's, or the task's own where options::task_timeout is set. Does not wait.
inline auto current_stop_token() noexcept { return detail::token_awaiter(); }

/// co_await run_blocking(f, args...): calls f(args...) on a thread that may block, and gives what it returns or throws;
/// the task holds no worker meanwhile, and goes on on one. f and args are copied or moved into the task's frame.
///
/// Give it what f needs as arguments, as here, rather than as captures of a lambda made in the same expression:
/// g++ 12.2 destroys those twice.
template <class F, class... Args>
auto run_blocking(F&& f, Args&&... args) {
    return detail::blocking_awaiter<std::decay_t<F>, std::decay_t<Args>...>(std::in_place, std::forward<F>(f),
                                                                            std::forward<Args>(args)...);
}

}  // namespace v0
}  // namespace penstock
