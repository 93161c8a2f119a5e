// SPDX-License-Identifier: MIT
/// Where tasks come from: any input_range, or a callable that returns std::optional.
///
/// A producer is called by one thread at a time, only when there is room for what it gives, and never again after its end,
/// after an exception from it, or after a stop. It may be endless. It may block: nobody but the stream's destructor waits
/// for a thread that is inside it. It runs on any worker, and on the consumer's thread while that helps.
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

namespace detail {

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

template <class P>
concept range_producer = std::ranges::input_range<std::remove_reference_t<P>>;

template <class P>
concept callable_producer =
    !range_producer<P> && callable_with<std::remove_reference_t<P>&> &&
    requires { typename optional_value<std::remove_cvref_t<call_result_t<std::remove_reference_t<P>&>>>::type; };

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

/// The puller for what was given as `P&&`: P is an lvalue reference where the caller keeps the object.
template <class P>
using puller_of_t = typename puller_of<P>::type;

}  // namespace detail

/// What as_completed can pull from.
template <class P>
concept producer = detail::range_producer<P> || detail::callable_producer<P>;

/// What such a producer gives: jobs, or the inputs of a function.
template <producer P>
using producer_element_t = typename detail::puller_of_t<P>::element;

}  // namespace v0
}  // namespace penstock
