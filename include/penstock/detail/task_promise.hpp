// SPDX-License-Identifier: MIT
/// The promise of a task<T>: what it has come to, and what becomes of what it awaits.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/slot.hpp>
#include <penstock/detail/timer.hpp>
#include <penstock/errors.hpp>
#include <penstock/job.hpp>

namespace penstock::inline v0::detail {

/// What a task has come to: nothing yet, a value, or an exception.
template <class T>
class task_outcome {
public:
    template <class... Args>
    void set_value(Args&&... args) {
        state_.template emplace<1>(std::forward<Args>(args)...);
    }
    void set_error(std::exception_ptr error) noexcept { state_.template emplace<2>(std::move(error)); }
    /// Moves the value out, or throws.
    T take() {
        if (state_.index() == 2) std::rethrow_exception(std::get<2>(state_));
        return std::get<1>(std::move(state_));
    }

private:
    std::variant<std::monostate, T, std::exception_ptr> state_;
};
template <>
class task_outcome<void> {
public:
    void set_value() noexcept {}
    void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }
    void take() {
        if (error_) std::rethrow_exception(error_);
    }

private:
    std::exception_ptr error_;
};

/// An awaitable of ours: what it is given as a promise tells it which task waits. Everything else is foreign.
struct native_awaitable {};

/// What a task<T> has come to; says which in `state`, which costs a promise no room of its own.
template <class T>
struct task_result_promise : task_promise_base {
    // Frames are not aligned for more than this (by g++ 12, and suspended_frame::frame() relies on it).
    static constexpr bool boxed = (alignof(T) > 2 * sizeof(void*));
    using kept = std::conditional_t<boxed, std::unique_ptr<T>, T>;

    task_result_promise() noexcept {}

    template <class U = T>
    requires std::constructible_from<T, U&&>
    void return_value(U&& returned) {
        if constexpr (boxed) {
            value.construct(std::make_unique<T>(std::forward<U>(returned)));
        } else {
            value.construct(std::forward<U>(returned));
        }
        state = outcome::value;
    }
    /// A local variable's destructor may throw when there is a value already.
    void set_error(std::exception_ptr why) noexcept {
        clear();
        error.construct(std::move(why));
        state = outcome::error;
    }
    T take() {
        if (state == outcome::error) std::rethrow_exception(error.get());
        if constexpr (boxed) {
            return std::move(*value.get());
        } else {
            return std::move(value.get());
        }
    }

protected:
    ~task_result_promise() { clear(); }

private:
    void clear() noexcept {
        if (state == outcome::value) value.destroy();
        if (state == outcome::error) error.destroy();
    }

    union {
        slot<kept> value;
        slot<std::exception_ptr> error;
    };
};
template <>
struct task_result_promise<void> : task_promise_base {
    void return_void() noexcept {}
    void set_error(std::exception_ptr why) noexcept { error = std::move(why); }
    void take() const {
        if (error) std::rethrow_exception(error);
    }

protected:
    ~task_result_promise() = default;

private:
    std::exception_ptr error;
};

/// Awaits an awaiter where it is: given a reference, g++ 12 awaits a copy.
template <class A>
struct by_reference {
    bool await_ready() { return awaited.await_ready(); }
    template <class Promise>
    auto await_suspend(std::coroutine_handle<Promise> waiting) {
        return awaited.await_suspend(waiting);
    }
    decltype(auto) await_resume() { return awaited.await_resume(); }
    A& awaited;
};

template <class A>
struct foreign_awaitable;

/// What sleep_until() and sleep_for() give: the time on the steady clock. No class, for that would take room in the
/// frame.
enum class sleep_request : std::chrono::steady_clock::rep {};

/// Awaits the time that the frame has been given. Leads to the promise, and is bytes alone: g++ 12 keeps the
/// temporaries of an await side by side in the frame, aligned; a million frames are to stay in the allocator's next
/// smaller class.
class sleep_awaiter final {
public:
    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
        suspended_frame& frame = waiting.promise();
        distance_ = std::bit_cast<bytes>(static_cast<std::int32_t>(reinterpret_cast<std::intptr_t>(&frame) - here()));
        return start_timer(frame);
    }
    void await_resume() const {
        const std::intptr_t frame = here() + std::bit_cast<std::int32_t>(distance_);
        if (reinterpret_cast<const suspended_frame*>(frame)->stopped) throw penstock::stopped();
    }

private:
    std::intptr_t here() const noexcept { return reinterpret_cast<std::intptr_t>(this); }

    using bytes = std::array<std::byte, sizeof(std::int32_t)>;
    bytes distance_{};
};

template <class T>
struct task_promise final : task_result_promise<T> {
    task<T> get_return_object() noexcept {
        static_assert(alignof(task_promise) <= 2 * sizeof(void*), "as suspended_frame::frame() relies on");
        return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
    }
    void unhandled_exception() noexcept { this->set_error(std::current_exception()); }

    sleep_awaiter await_transform(sleep_request how) noexcept {
        this->until = static_cast<std::chrono::steady_clock::rep>(how);
        return {};
    }

    template <class A>
    auto await_transform(A&& awaited) {
        if constexpr (std::derived_from<std::remove_cvref_t<A>, native_awaitable>) {
            return by_reference<std::remove_reference_t<A>>{awaited};
        } else {
            return foreign_awaitable<A>(std::forward<A>(awaited));
        }
    }
};

}  // namespace penstock::inline v0::detail
