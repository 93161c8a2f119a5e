// SPDX-License-Identifier: MIT
/// What is done with an element of the producer to run it as a task.
#pragma once

#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/job.hpp>

namespace penstock::inline v0::detail {

/// Whether a job that is handed over can be run twice. Of an any_job, it tells itself.
template <class Job>
inline constexpr bool handed_runs_again = is_any_job<Job>;
template <class F>
inline constexpr bool handed_runs_again<blocking_job<F>> = callable_with<F&>;

/// What a call R of a job or of a function amounts to. `result` is the T of the stream; `rest` what is still to be run,
/// on a thread that may block or as a coroutine: void if the call was all.
template <class R>
struct call_outcome {
    using result = typename task_result<R>::type;
    using rest = void;
    static constexpr bool wants_token = false;
};
template <class F>
struct call_outcome<blocking_job<F>> {
    using result = job_result_t<F>;
    using rest = blocking_job<F>;
    static constexpr bool wants_token = takes_token<job_call_t<F>>;
};
template <class U>
struct call_outcome<task<U>> {
    using result = typename task_result<U>::type;
    using rest = task<U>;
    static constexpr bool wants_token = false;
};
template <class U>
struct call_outcome<any_job<U>> {
    using result = U;
    using rest = any_job<U>;
    static constexpr bool wants_token = true;
};
template <class J>
struct call_outcome<weighted_job<J>> {
    static_assert(!is_weighted<weighted_job<J>>,
                  "penstock: a function or job must not return a weighted() job, for its weight must be known when it is "
                  "admitted; have the source give weighted jobs");
};

/// How a job is run: it is the element itself, and is destroyed when it has run.
struct run_element {
    template <class Job>
    using outcome_of = call_outcome<call_result_t<job_call_t<Job>>>;
    static constexpr bool keeps_input = false;
    template <class Job>
    static constexpr bool wants_token = takes_token<job_call_t<Job>>;
    template <class Job>
    static constexpr bool runs_again = callable_with<Job&>;

    template <class Job>
    decltype(auto) operator()(Job& job, const std::stop_token& token) {
        return detail::call(static_cast<job_call_t<Job>>(job), token);
    }
};

/// How a job that is to run elsewhere is run: on a worker, not at all.
struct hand_over_element {
    template <class Job>
    using outcome_of = call_outcome<Job>;
    static constexpr bool keeps_input = false;
    template <class Job>
    static constexpr bool wants_token = false;
    template <class Job>
    static constexpr bool runs_again = handed_runs_again<Job>;

    template <class Job>
    Job operator()(Job& job, const std::stop_token&) {
        return std::move(job);
    }
};

/// Which of them runs a Job.
template <class Job>
using element_runner =
    std::conditional_t<is_blocking<Job> || is_task<Job> || is_any_job<Job>, hand_over_element, run_element>;

/// How a function is run on an input, which is kept for completed::input().
template <class F>
struct run_function {
    template <class In>
    using outcome_of = call_outcome<call_result_t<F&, input_call_t<F, In>>>;
    static constexpr bool keeps_input = true;
    template <class In>
    static constexpr bool wants_token = takes_token<F&, input_call_t<F, In>>;
    template <class In>
    static constexpr bool runs_again = callable_with<F&, In&>;

    template <class In>
    decltype(auto) operator()(In& input, const std::stop_token& token) {
        return detail::call(function, token, static_cast<input_call_t<F, In>>(input));
    }
    F function;
};

}  // namespace penstock::inline v0::detail
