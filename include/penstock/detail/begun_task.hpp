// SPDX-License-Identifier: MIT
/// What is left of a task when it has been launched.
#pragma once

#include <coroutine>
#include <stop_token>
#include <type_traits>

#include <penstock/any_job.hpp>
#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/slot.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/detail/ticket.hpp>
#include <penstock/job.hpp>
#include <penstock/task.hpp>

namespace penstock::inline v0::detail {

/// What a record holds of a task that has begun on a worker and is to go on elsewhere: nothing, if none does. A base of
/// the record, which is so found from a task_root without a pointer: there may be a million of these.
template <class Rest>
struct begun_task {
    static constexpr bool may_block = false;
    static constexpr bool may_suspend = false;
};

/// What all that do go on have. Whether it is there, the record's holds_rest says.
template <class Rest>
struct begun_rest {
    slot<Rest> rest;
};

template <class F>
struct begun_task<blocking_job<F>> : begun_rest<blocking_job<F>> {
    blocking_ticket ticket;

    static constexpr bool may_block = true;
    static constexpr bool may_suspend = false;

    launched proceed(const std::stop_token&) noexcept { return launched::blocking; }
    decltype(auto) call(const std::stop_token& token) {
        return detail::call(static_cast<job_call_t<F>>(this->rest.get().function), token);
    }
};

template <class U>
struct begun_task<task<U>> : begun_rest<task<U>>, task_root {
    static constexpr bool may_block = false;
    static constexpr bool may_suspend = true;

    launched proceed(const std::stop_token&) {
        this->rest.get().require_unbegun();
        return launched::begun;
    }
    task<U>& coroutine() noexcept { return this->rest.get(); }
};

template <class U>
struct begun_task<any_job<U>> : begun_rest<any_job<U>>, task_root {
    blocking_ticket ticket;

    static constexpr bool may_block = true;
    static constexpr bool may_suspend = true;

    launched proceed(const std::stop_token& token) { return this->rest.get().proceed(token); }
    U call(const std::stop_token& token) { return this->rest.get().call(token); }
    task<U>& coroutine() noexcept { return this->rest.get().coroutine(); }
};

}  // namespace penstock::inline v0::detail
