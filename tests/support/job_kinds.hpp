// SPDX-License-Identifier: MIT
/// Jobs of every kind that all do the same, and streams of them.
#pragma once

#include <cstddef>
#include <functional>
#include <ranges>
#include <stop_token>

#include <penstock/penstock.hpp>

#include "tracked.hpp"

namespace support {

using value = tracked_value<std::size_t>;
/// What a task does, whatever kind of job it is. The index is the task's, the token its own.
using task_body = std::function<value(std::size_t, const std::stop_token&)>;

/// Jobs that do it.
struct computes {
    auto operator()(const task_body& what, std::size_t i) const {
        return [what, i](const std::stop_token& token) { return what(i, token); };
    }
};
struct is_deaf {
    auto operator()(const task_body& what, std::size_t i) const {
        return [what, i] { return what(i, std::stop_token()); };
    }
};
struct blocks {
    auto operator()(const task_body& what, std::size_t i) const { return penstock::blocking(computes()(what, i)); }
};
struct suspends {
    penstock::task<value> operator()(task_body what, std::size_t i) const {
        const tracked frame;
        const auto token = co_await penstock::current_stop_token();
        co_return co_await penstock::run_blocking(what, i, token);
    }
};
template <class Make>
struct calls {
    auto operator()(const task_body& what, std::size_t i) const {
        return [what, i] { return Make()(what, i); };
    }
};
template <class Make>
struct erases {
    penstock::any_job<value> operator()(const task_body& what, std::size_t i) const { return Make()(what, i); }
};
template <class Make>
struct weighs_seven {
    auto operator()(const task_body& what, std::size_t i) const { return penstock::weighted(7, Make()(what, i)); }
};

inline auto indices(std::size_t count) { return std::views::iota(std::size_t{0}, count); }

/// Streams of such jobs, and of functions that return them or do it themselves.
using element_stream = penstock::completion_stream<value>;
using function_stream = penstock::completion_stream<value, std::size_t>;
template <class Stream>
using start_of = Stream(penstock::executor&, std::size_t count, const task_body&, const penstock::options&);

template <class Make>
element_stream elements(penstock::executor& ex, std::size_t count, const task_body& what,
                        const penstock::options& how) {
    const auto make = [what](std::size_t i) { return Make()(what, i); };
    return penstock::as_completed(ex, indices(count) | std::views::transform(make), how);
}
template <class Make>
function_stream functions(penstock::executor& ex, std::size_t count, const task_body& what,
                          const penstock::options& how) {
    return penstock::as_completed(
        ex, indices(count), [what](std::size_t i) { return Make()(what, i); }, how);
}
inline function_stream computing(penstock::executor& ex, std::size_t count, const task_body& what,
                                 const penstock::options& how) {
    return penstock::as_completed(ex, indices(count), what, how);
}
inline function_stream being_deaf(penstock::executor& ex, std::size_t count, const task_body& what,
                                  const penstock::options& how) {
    return penstock::as_completed(
        ex, indices(count), [what](std::size_t i) { return what(i, std::stop_token()); }, how);
}

template <class Stream>
struct kind {
    const char* name;
    start_of<Stream>* start;
    bool hears = true;          ///< of its token
    bool leaves_worker = true;  ///< to others while it runs
    bool repeats = true;        ///< may be run again
};
inline constexpr kind<element_stream> element_kinds[] = {
    {.name = "a function", .start = &elements<computes>, .leaves_worker = false},
    {.name = "a function without a token", .start = &elements<is_deaf>, .hears = false, .leaves_worker = false},
    {.name = "a blocking job", .start = &elements<blocks>},
    {.name = "a function that gives a blocking job", .start = &elements<calls<blocks>>},
    {.name = "a coroutine", .start = &elements<suspends>, .repeats = false},
    {.name = "a function that gives a coroutine", .start = &elements<calls<suspends>>},
    {.name = "any_job: a function", .start = &elements<erases<computes>>, .leaves_worker = false},
    {.name = "any_job: a blocking job", .start = &elements<erases<blocks>>},
    {.name = "any_job: a coroutine", .start = &elements<erases<suspends>>, .repeats = false},
    {.name = "any_job: a function that gives one", .start = &elements<erases<calls<suspends>>>, .repeats = false},
};
inline constexpr kind<element_stream> weighted_kinds[] = {
    {.name = "a function", .start = &elements<weighs_seven<computes>>},
    {.name = "a blocking job", .start = &elements<weighs_seven<blocks>>},
    {.name = "a coroutine", .start = &elements<weighs_seven<suspends>>},
    {.name = "any_job", .start = &elements<weighs_seven<erases<computes>>>},
};
inline constexpr kind<function_stream> function_kinds[] = {
    {.name = "F gives a value", .start = &computing, .leaves_worker = false},
    {.name = "F takes no token", .start = &being_deaf, .hears = false, .leaves_worker = false},
    {.name = "F gives a blocking job", .start = &functions<blocks>},
    {.name = "F gives a coroutine", .start = &functions<suspends>},
};

}  // namespace support
