// SPDX-License-Identifier: MIT
/// A record with all that one task needs.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/detail/begun_task.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/slot.hpp>
#include <penstock/errors.hpp>

namespace penstock::inline v0::detail {

/// What a weighted job's record keeps of it.
template <bool Weighs>
struct weight_part {
    std::size_t weight = 1;
};
template <>
struct weight_part<false> {
    static constexpr std::size_t weight = 1;
};

/// The record of a task that comes from an Element, and is run by a Runner. Alone on its cache lines: neighbours are in
/// the hands of other threads.
template <class T, class Element, class Runner, class Rest, bool Weighs>
struct alignas(64) job_record : result_record<T, std::conditional_t<Runner::keeps_input, Element, void>>,
                                begun_task<Rest>,
                                weight_part<Weighs> {
    [[no_unique_address]] slot<std::conditional_t<Runner::keeps_input, void, Element>> job;
    static constexpr bool launches = begun_task<Rest>::may_block || begun_task<Rest>::may_suspend;

    auto& held() noexcept {
        if constexpr (Runner::keeps_input) {
            return this->input;
        } else {
            return job;
        }
    }
    void destroy_element() noexcept {
        if (this->holds_element) held().destroy();
        this->holds_element = false;
    }
    template <class Make>
    void begin(Make make_rest) {
        this->rest.construct(make_rest());
        this->holds_rest = true;
    }
    void destroy_rest() noexcept {
        if constexpr (launches) {
            if (this->holds_rest) this->rest.destroy();
            this->holds_rest = false;
        }
    }
    /// What the task held and nobody will ask for.
    void destroy_task() noexcept {
        destroy_rest();
        if constexpr (!Runner::keeps_input) destroy_element();
    }
    /// An attempt begins: it is over with what became of the one before.
    void begin_attempt(std::chrono::nanoseconds start) noexcept {
        if (!this->again) return;
        this->clear();
        this->again = false;
        this->elapsed = start;
    }
    void set_error(std::exception_ptr why) noexcept {
        this->error.construct(std::move(why));
        this->outcome = detail::outcome::error;
    }
    /// Takes the exception that is being handled.
    void fail(const std::stop_source& stop) noexcept {
        set_error(std::current_exception());
        if (!stop.stop_requested()) return;
        try {
            throw;
        } catch (const stopped&) {
            this->outcome = detail::outcome::cancelled;
        } catch (...) {
        }
    }
};

}  // namespace penstock::inline v0::detail
