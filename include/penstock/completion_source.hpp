// SPDX-License-Identifier: MIT
/// Finishing a wait from outside: a callback's way into a task<T>.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/export.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/errors.hpp>
#include <penstock/task.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {

/// What a completion_source and the wait for it share. The outcome is written once, by whoever is first; the frame that
/// waits is made ready by whoever takes it out of `waiting_`: the outcome's writer, or a stop.
class PENSTOCK_EXPORT completion {
public:
    /// Whether the caller may write the outcome; publish() must follow.
    bool claim() noexcept;
    /// The outcome is there.
    void publish() noexcept;

    /// There is one wait. Throws std::logic_error if this is another.
    void begin_wait();
    /// Waits. False if there is no need to: the outcome is there, or a stop has been requested.
    bool wait(suspended_frame& by) noexcept;
    /// By the stop's callback.
    void stop() noexcept;
    /// Whether the wait was ended by a stop, and not by the outcome.
    bool stopped() noexcept;

private:
    sync::mutex mutex_;
    suspended_frame* waiting_ = nullptr;
    bool awaited_ = false;
    bool claimed_ = false;
    bool ready_ = false;
    bool stopped_ = false;
};

template <class T>
struct completion_state : completion {
    task_outcome<T> outcome;
};

template <class T>
class completion_awaiter final : public native_awaitable {
public:
    explicit completion_awaiter(std::shared_ptr<completion_state<T>> state) noexcept : state_(std::move(state)) {}

    bool await_ready() const {
        state_->begin_wait();
        return false;
    }
    template <std::derived_from<task_promise_base> Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
        suspended_frame& frame = waiting.promise();
        // First the callback: once the frame is known as waiting it may go on, and destroy this, on another thread.
        callback_.emplace(frame.root->token(), stop_wait{*state_});
        return state_->wait(frame);
    }
    T await_resume() {
        callback_.reset();
        if (state_->stopped()) throw penstock::stopped();
        return state_->outcome.take();
    }

private:
    struct stop_wait {
        completion& state;
        void operator()() const noexcept { state.stop(); }
    };

    std::shared_ptr<completion_state<T>> state_;
    std::optional<std::stop_callback<stop_wait>> callback_;
};

}  // namespace detail

/// One end of a wait: `co_await source.wait()` in a task goes on when somebody, anywhere, calls set_value() or
/// set_exception(). Move-only: typically kept by the task, and referred to by a callback that it has handed out; or
/// moved into the callback, when wait() has been called before.
///
/// If it is destroyed before it was set, the wait throws broken_task. A stop of the stream ends the wait with
/// `stopped`; it may be set after that all the same.
///
/// Who calls it must keep it alive for as long as the call takes to begin, and no longer: once one call has ended the
/// wait, the task may go on and destroy it before that call returns, which does no harm. But a source that the task
/// keeps, and a callback only refers to, is gone when something else has ended the wait first: a stop, a deadline, or
/// another caller. Where that can happen, and the callback can not be withdrawn before the task goes on, move the
/// source into the callback (call wait() first, and await what it gave), or share it between the two by a
/// std::shared_ptr.
///
/// Threads: set_value() and set_exception() from any, also within the await_suspend() of an awaitable; wait() once, by
/// a task. Cost: one allocation; a lock for each call.
template <class T = void>
class completion_source {
public:
    completion_source() : state_(std::make_shared<detail::completion_state<T>>()) {}
    completion_source(completion_source&&) noexcept = default;
    completion_source& operator=(completion_source&& other) noexcept {
        completion_source old(std::move(*this));
        state_ = std::move(other.state_);
        return *this;
    }
    ~completion_source() {
        if (state_) set_exception(std::make_exception_ptr(broken_task()));
    }

    /// Ends the wait with a value. False if it was set before; the value is then left alone.
    template <class... Args>
    requires(std::is_void_v<T> ? sizeof...(Args) == 0
                               : std::is_constructible_v<T, Args&&...>) bool set_value(Args&&... args) {
        return set([&](auto& outcome) { outcome.set_value(std::forward<Args>(args)...); });
    }
    /// Ends the wait with an exception. False if it was set before. Null is std::invalid_argument.
    bool set_exception(std::exception_ptr error) {
        if (!error) throw std::invalid_argument("penstock: completion_source::set_exception() was given no exception");
        return set([&](auto& outcome) { outcome.set_error(std::move(error)); });
    }

    /// To be awaited, in a task, once: awaiting it again is std::logic_error.
    auto wait() {
        if (!state_) throw std::logic_error("penstock: a completion_source that was moved from can not be awaited");
        return detail::completion_awaiter<T>(state_);
    }

private:
    template <class Write>
    bool set(Write write) {
        // Not state_ itself: the task that goes on may destroy this object.
        const std::shared_ptr<detail::completion_state<T>> state = state_;
        if (!state || !state->claim()) return false;
        try {
            write(state->outcome);
        } catch (...) {
            state->outcome.set_error(std::current_exception());
        }
        state->publish();
        return true;
    }

    std::shared_ptr<detail::completion_state<T>> state_;
};

}  // namespace v0
}  // namespace penstock
