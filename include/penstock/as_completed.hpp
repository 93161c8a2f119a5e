// SPDX-License-Identifier: MIT
/// The one call: producer -> limit -> executor -> completion queue -> stream.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <penstock/completion_stream.hpp>
#include <penstock/detail/typed_source.hpp>
#include <penstock/executor.hpp>
#include <penstock/job.hpp>
#include <penstock/options.hpp>
#include <penstock/producer.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {

options limited_to(std::integral auto limit) {
    if constexpr (std::signed_integral<decltype(limit)>) {
        if (limit < 0) throw std::invalid_argument("penstock: a limit must not be negative");
    }
    options settings;
    settings.limit = static_cast<std::size_t>(limit);
    return settings;
}

template <class P, class Runner>
auto start(executor& ex, P&& source, Runner runner, const options& settings) {
    using typed = typed_source<puller_of_t<P>, Runner>;
    using stream = typename typed::stream;
    auto state = std::make_unique<typed>(std::forward<P>(source), std::move(runner), settings);
    state->core.emplace(ex, settings, *state);
    return stream(std::move(state));
}

}  // namespace detail

/// Runs the jobs that `source` gives on `ex`, at most settings.limit at a time, and gives back finished ones as they finish.
///
/// `source` is an input_range of jobs or a callable that returns std::optional of one, and may be endless: it is pulled
/// only as far as limit and buffer allow. An lvalue is referenced and must outlive the stream; an rvalue is moved in. Each
/// job is copied out of a view or an lvalue range, and moved out of a container that was passed as an rvalue.
/// The stream has started when the call returns. Throws std::invalid_argument for a limit of 0.
///
/// Threads: any, tasks of the same executor included: a task may run streams of its own, at any depth, with one worker.
/// Cost: no allocation for each task after warm-up; memory for limit + buffer tasks, however many there are.
template <producer Source>
auto as_completed(executor& ex, Source&& source, options settings) {
    using element = producer_element_t<Source>;
    static_assert(job<element>,
                  "penstock: as_completed(ex, source, limit) runs what the source gives, so that must be callable without "
                  "arguments (or with a std::stop_token); for inputs of a function use as_completed(ex, inputs, f, limit)");
    return detail::start(ex, std::forward<Source>(source), detail::element_runner<detail::job_in_t<element>>(), settings);
}

/// The same with the defaults of `options`. A negative limit is std::invalid_argument.
template <producer Source>
auto as_completed(executor& ex, Source&& source, std::integral auto limit) {
    return penstock::as_completed(ex, std::forward<Source>(source), detail::limited_to(limit));
}

/// Runs f(input) for every input, and gives results that know their input: completed<T, In>::input().
///
/// f is called where the task runs, by several threads at once, with an lvalue of the input unless it takes only an rvalue,
/// and with the std::stop_token behind it if it takes one: the stream's, or the task's own under options::task_timeout. The
/// input lives until the task has ended and the result is taken.
template <producer Inputs, class F>
auto as_completed(executor& ex, Inputs&& inputs, F f, options settings) {
    using element = producer_element_t<Inputs>;
    static_assert(detail::callable_with<F&, detail::input_call_t<F, element>>,
                  "penstock: f can not be called with what the inputs give");
    return detail::start(ex, std::forward<Inputs>(inputs), detail::run_function<F>{std::move(f)}, settings);
}

/// The same with the defaults of `options`. A negative limit is std::invalid_argument.
template <producer Inputs, class F>
auto as_completed(executor& ex, Inputs&& inputs, F f, std::integral auto limit) {
    return penstock::as_completed(ex, std::forward<Inputs>(inputs), std::move(f), detail::limited_to(limit));
}

}  // namespace v0
}  // namespace penstock
