// SPDX-License-Identifier: MIT
/// What is run. A CPU job is any invocable without parameters; if it accepts a std::stop_token it gets the stream's.
/// blocking(f) is such a job that may block.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace penstock {
inline namespace v0 {

namespace detail {

/// How F is called with `Args...`: whether it takes the stream's stop token behind them.
template <class F, class... Args>
concept takes_token = std::invocable<F, Args..., const std::stop_token&>;

template <class F, class... Args>
concept callable_with = takes_token<F, Args...> || std::invocable<F, Args...>;

template <class F, class... Args>
decltype(auto) call(F&& f, const std::stop_token& token, Args&&... args) {
    if constexpr (takes_token<F, Args...>) {
        return std::invoke(std::forward<F>(f), std::forward<Args>(args)..., token);
    } else {
        return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
    }
}

template <class F, class... Args>
using call_result_t =
    decltype(detail::call(std::declval<F>(), std::declval<const std::stop_token&>(), std::declval<Args>()...));

/// A job is called as an lvalue; one that can only be called as an rvalue gets that.
template <class Job>
using job_call_t = std::conditional_t<callable_with<Job&>, Job&, Job&&>;

/// The same for an input: F gets an lvalue of it unless F takes only an rvalue.
template <class F, class In>
using input_call_t = std::conditional_t<callable_with<F&, In&>, In&, In&&>;

/// T of a stream whose tasks return R, after the refusals that every kind of task shares.
template <class R>
struct task_result {
    static_assert(!std::is_reference_v<R>,
                  "penstock: a task must not return a reference, for what it refers to may be gone when the result is "
                  "taken; return a value or a pointer");
    using type = std::remove_cv_t<R>;
    static_assert(std::is_void_v<type> || std::is_move_constructible_v<type>,
                  "penstock: a task's result must be movable, for it moves into completed<T>");
    static_assert(std::is_void_v<type> || std::is_constructible_v<type, R>,
                  "penstock: a task must not return a const object that can only be moved");
    static_assert(std::is_void_v<type> || std::is_nothrow_destructible_v<type>,
                  "penstock: the destructor of a task's result must not throw");
};

}  // namespace detail

/// A job that may wait, for a file, a socket, a lock: it runs on a thread that is no worker. See blocking().
template <class F>
struct blocking_job {
    F function;
};

/// A job that counts more, or less, than 1 at a gate. See weighted().
template <class Job>
struct weighted_job {
    std::size_t weight;
    bool negative;  ///< what was given; then the job fails
    Job job;
};

template <class T = void>
class task;

template <class T = void>
class any_job;

namespace detail {
template <class Job>
inline constexpr bool is_blocking = false;
template <class F>
inline constexpr bool is_blocking<blocking_job<F>> = true;
template <class Job>
inline constexpr bool is_weighted = false;
template <class Job>
inline constexpr bool is_weighted<weighted_job<Job>> = true;
template <class Job>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;
template <class Job>
inline constexpr bool is_any_job = false;
template <class T>
inline constexpr bool is_any_job<any_job<T>> = true;
}  // namespace detail

/// An object that as_completed can run as a CPU job.
template <class Job>
concept cpu_job = std::is_object_v<Job> && detail::callable_with<detail::job_call_t<Job>>;

/// What a CPU job gives: the T of completion_stream<T>.
template <cpu_job Job>
using job_result_t = typename detail::task_result<detail::call_result_t<detail::job_call_t<Job>>>::type;

/// Makes a job that runs f() on a thread which may block, so that it takes no worker from those that compute. As many
/// run at a time as options::limit says, up to executor_options::max_blocking_threads; further ones are in flight and
/// wait for a thread. f gets the stream's std::stop_token if it takes one. If there is no thread at all, and none can
/// be made, the job's outcome is the std::system_error that says so.
///
/// The function of as_completed(ex, inputs, f, limit) may return such a job. It is called on a worker, or on such a
/// thread that has just become free, so what it computes first should be little; what takes long belongs into a
/// task<T>.
///
/// Cost: a hand-over to another thread, some microseconds; that thread, if it has to be made, 30 us and a stack.
template <class F>
auto blocking(F f) {
    static_assert(detail::callable_with<detail::job_call_t<F>>,
                  "penstock: blocking() takes a function without parameters (or with a std::stop_token)");
    return blocking_job<F>{std::move(f)};
}

namespace detail {
template <class Job>
concept plain_job = cpu_job<Job> || is_blocking<Job> || is_task<Job> || is_any_job<Job>;

/// The job in a weighted one.
template <class Job>
struct job_in {
    using type = Job;
};
template <class Job>
struct job_in<weighted_job<Job>> {
    using type = Job;
};
template <class Job>
using job_in_t = typename job_in<Job>::type;
}  // namespace detail

/// What as_completed(ex, source, limit) can run.
template <class Job>
concept job = detail::plain_job<detail::job_in_t<Job>>;

/// Makes a job of any kind count `weight` where weights are capped: options::max_weight and gate_limits::weight. Bytes,
/// for example. The weight is read once, here. 0 is allowed: such a job counts as one in flight, and weighs nothing. One
/// that is heavier than a cap, or negative, is not run: its outcome is a std::invalid_argument that names the numbers.
template <class J>
auto weighted(std::size_t weight, J given) {
    static_assert(!detail::is_weighted<J>, "penstock: a job has one weight");
    static_assert(detail::plain_job<J>, "penstock: weighted() takes a job: a function without parameters (or with a "
                                        "std::stop_token), blocking(f), a task<T> or an any_job<T>");
    return weighted_job<J>{weight, false, std::move(given)};
}
template <std::signed_integral Weight, class J>
auto weighted(Weight weight, J given) {
    auto made = penstock::weighted(static_cast<std::size_t>(weight), std::move(given));
    made.negative = weight < 0;
    return made;
}

}  // namespace v0
}  // namespace penstock
