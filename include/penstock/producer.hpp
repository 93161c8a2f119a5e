// SPDX-License-Identifier: MIT
/// Where tasks come from: any input_range, or a callable that returns std::optional.
///
/// A producer is called by one thread at a time, only when there is room for what it gives, and never again after its
/// end, after an exception from it, or after a stop. It may be endless. It may block: nobody but the stream's
/// destructor waits for a thread that is inside it. It runs on any worker, and on the consumer's thread while that
/// helps. The worker is then missing: coroutines that have begun go on on the others, with one worker when the call
/// returns. blocking_producer() takes none.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/job.hpp>

namespace penstock {
inline namespace v0 {

template <class In>
class feed;

namespace detail {

class feed_core;
template <class In>
class feed_puller;

template <class T>
struct optional_value {};
template <class T>
struct optional_value<std::optional<T>> {
    using type = T;
};

/// Whether elements of the range are the range's own, so that they may be moved out of an rvalue of it.
template <class R>
inline constexpr bool owns_elements = !std::ranges::view<R>;
template <class R>
inline constexpr bool owns_elements<std::ranges::owning_view<R>> = true;

/// Pulls from a range. R is an lvalue reference for a range that the caller keeps, else the range itself.
template <class R>
class range_puller {
    using range = std::remove_reference_t<R>;
    static constexpr bool moves_out = !std::is_lvalue_reference_v<R> && owns_elements<range>;

public:
    using element = std::ranges::range_value_t<range>;
    static constexpr bool wants_token = false;

    static_assert(moves_out || std::constructible_from<element, std::ranges::range_reference_t<range>>,
                  "penstock: elements that can only be moved can not be pulled from a range that stays the caller's; "
                  "pass the container as an rvalue: std::move(jobs)");

    explicit range_puller(R&& source) : source_(std::forward<R>(source)) {}

    /// Calls put(item) with the next item; false at the end. Stepping is put off until the next item is asked for, so
    /// that a range which works in its operator++ is never ahead of what was pulled.
    template <class Put>
    bool pull(const std::stop_token&, Put put) {
        if (!at_) {
            at_.emplace(std::ranges::begin(source_));
        } else {
            ++*at_;
        }
        if (*at_ == std::ranges::end(source_)) return false;
        if constexpr (moves_out) {
            put(std::ranges::iter_move(*at_));
        } else {
            put(**at_);
        }
        return true;
    }

private:
    R source_;
    std::optional<std::ranges::iterator_t<range>> at_;
};

/// Pulls from a callable that returns std::optional<element>, nullopt at the end.
template <class F>
class callable_puller {
    using callable = std::remove_reference_t<F>;

public:
    using element = typename optional_value<std::remove_cvref_t<call_result_t<callable&>>>::type;
    static constexpr bool wants_token = takes_token<callable&>;

    explicit callable_puller(F&& source) : source_(std::forward<F>(source)) {}

    template <class Put>
    bool pull(const std::stop_token& token, Put put) {
        auto item = detail::call(static_cast<callable&>(source_), token);
        if (!item) return false;
        put(*std::move(item));
        return true;
    }

private:
    F source_;
};

/// Whether a puller's source may block, so that it is to be called on a thread that may. And the feed that it is, if it
/// is one.
template <class Puller>
inline constexpr bool pull_blocks = false;
template <class Puller>
feed_core* fed_by(const Puller& source) noexcept {
    if constexpr (requires { source.fed(); }) {
        return source.fed();
    } else {
        return nullptr;
    }
}

template <class P>
concept range_producer = std::ranges::input_range<std::remove_reference_t<P>>;

template <class P>
concept callable_producer = !range_producer<P> && callable_with<std::remove_reference_t<P>&> && requires {
    typename optional_value<std::remove_cvref_t<call_result_t<std::remove_reference_t<P>&>>>::type;
};

template <class P>
struct puller_of {
    static_assert(range_producer<P> || callable_producer<P>,
                  "penstock: a producer is an input_range, or a callable that returns std::optional of what to run");
};
template <range_producer P>
struct puller_of<P> {
    using type = range_puller<P>;
};
template <callable_producer P>
struct puller_of<P> {
    using type = callable_puller<P>;
};

/// What blocking_producer() returns: the producer that it wraps.
template <class P>
struct blocking_source {
    P source;
};

template <class P>
struct puller_of<blocking_source<P>> {
    class type : public puller_of<P>::type {
    public:
        static constexpr bool blocks = true;
        explicit type(blocking_source<P>&& from) : puller_of<P>::type(std::forward<P>(from.source)) {}
    };
};
/// One that stays the caller's: so does what it holds.
template <class P>
struct puller_of<blocking_source<P>&> {
    class type : public puller_of<std::remove_reference_t<P>&>::type {
    public:
        static constexpr bool blocks = true;
        explicit type(blocking_source<P>& from) : puller_of<std::remove_reference_t<P>&>::type(from.source) {}
    };
};

template <class Puller>
requires Puller::blocks inline constexpr bool pull_blocks<Puller> = true;

template <class P>
inline constexpr bool is_wrapped = false;
template <class P>
inline constexpr bool is_wrapped<blocking_source<P>> = true;
template <class In>
inline constexpr bool is_wrapped<feed<In>> = true;

/// The puller for what was given as `P&&`: P is an lvalue reference where the caller keeps the object.
template <class P>
using puller_of_t = typename puller_of<P>::type;

}  // namespace detail

/// What as_completed can pull from.
template <class P>
concept producer =
    detail::range_producer<P> || detail::callable_producer<P> || detail::is_wrapped<std::remove_cvref_t<P>>;

/// What such a producer gives: jobs, or the inputs of a function.
template <producer P>
using producer_element_t = typename detail::puller_of_t<P>::element;

/// The same producer, pulled on a thread that may block: for standard input, a socket, a slow generator.
///
///     auto lines = penstock::blocking_producer([](std::stop_token stop) -> std::optional<std::string> {...});
///     for (auto& done : penstock::as_completed(ex, std::move(lines), parse, 64)) ...
///
/// It is never called on a worker, nor on the thread that consumes: with a single worker tasks run at full speed while
/// it waits, and what it has given starts without waiting for what it gives next. All else is as with any producer: one
/// call at a time, only when there is room for what it gives, never again after its end, an exception or a stop; nobody
/// but the stream's destructor waits for a thread that is inside it, so one that may block for long should take a
/// std::stop_token. An lvalue is referenced and must outlive the stream, an rvalue is kept.
///
/// Threads: one that may block, beyond the executor's max_blocking_threads, while there is room; none while there is not.
/// If no thread can be made, the stream ends with that std::system_error as if the producer had thrown it. Cost: a lock for each item; a wake-up, some 5 us, each time that there is room again after there was
/// none.
template <class Producer>
requires detail::range_producer<Producer> || detail::callable_producer<Producer>
auto blocking_producer(Producer&& source) { return detail::blocking_source<Producer>{std::forward<Producer>(source)}; }

}  // namespace v0
}  // namespace penstock
