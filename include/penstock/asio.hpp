// SPDX-License-Identifier: MIT
/// Awaiting Asio's operations in a task<T>. Needs standalone Asio; nothing else of penstock does, and penstock.hpp does
/// not include it.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/system_error.hpp>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/errors.hpp>
#include <penstock/task.hpp>

namespace penstock {
inline namespace v0 {

/// Asio's completion token for a task<T>:
///
///     std::size_t size = co_await socket.async_read_some(buffer, penstock::use_task);
///
/// The call returns a task<T>, and the operation begins when that is awaited. T is what the handler is given: void, one
/// value, or a std::tuple of several; an error_code before them is thrown as asio::system_error, an exception_ptr as
/// what it holds; with asio::redirect_error(use_task, code) it is put there. The task goes on on a worker, whichever
/// thread ran the io_context.
///
/// A stop of the stream cancels the operation (cancellation_type::all). The await goes on all the same until the
/// handler has been called, for the buffers are the operation's until then, and throws `stopped` if it has been
/// aborted. What could not be cancelled any more, or never can, gives its result. After a stop no operation is begun.
///
/// If the handler is destroyed without a call, because its io_context is, the await throws broken_task. An io_context
/// that is neither run nor destroyed holds the task for ever, and with it the stream. Asio does not allow an io_context
/// to be destroyed while another thread begins an operation on it: join the stream first, or stop it and run the
/// io_context until its tasks have ended.
///
/// Threads: the io_context may be run by any number. The handler, and the steps of a composed operation, run in a
/// strand of the operation's executor. The operation begins on the worker, so that one I/O object must not be used by
/// two tasks at a time, as Asio says of shared objects. Cost, for each operation: a frame, a strand, and what Asio
/// allocates.
struct use_task_t {};
inline constexpr use_task_t use_task{};

namespace detail {

/// An operation in the frame of the task that awaits it. Held by the thread that begins it, by the handler until it is
/// called or dropped, and by the cancellation on its way, if there is one; the frame goes on when nobody holds it.
template <class Executor>
class asio_wait : public native_awaitable {
public:
    using strand = ::asio::strand<Executor>;

    asio_wait() = default;
    asio_wait(const asio_wait&) = delete;
    asio_wait& operator=(const asio_wait&) = delete;

    ::asio::cancellation_slot slot() noexcept { return signal_.slot(); }
    /// By the handler, when the outcome is there.
    void leave() noexcept {
        completed_ = true;
        if (release()) make_ready(*waiting_);
    }

protected:
    ~asio_wait() = default;

    void set_waiting(suspended_frame& frame) noexcept { waiting_ = &frame; }
    strand make_strand(const Executor& executor) { return strand_.emplace(executor); }
    /// When the operation has begun, so that there is something to cancel. False: there is no need to wait.
    bool wait(std::stop_token token) noexcept {
        stopping_.emplace(std::move(token), stop_operation{*this});
        return !release();
    }
    void end_wait() noexcept { stopping_.reset(); }
    bool stop_requested() const noexcept { return stop_requested_; }

private:
    /// Runs in the strand, as whatever else touches the slot does.
    class cancellation {
    public:
        explicit cancellation(asio_wait& operation) noexcept : operation_(&operation) {}
        cancellation(cancellation&& other) noexcept : operation_(std::exchange(other.operation_, nullptr)) {}
        cancellation& operator=(cancellation&&) = delete;
        ~cancellation() {
            if (operation_ && operation_->release()) make_ready(*operation_->waiting_);
        }
        void operator()() {
            if (!operation_->completed_) operation_->signal_.emit(::asio::cancellation_type::all);
        }

    private:
        asio_wait* operation_;
    };
    struct stop_operation {
        asio_wait& operation;
        void operator()() const noexcept { operation.stop(); }
    };

    void stop() noexcept {
        stop_requested_ = true;
        if (completed_) return;
        int held = holders_;
        do {
            if (held == 0) return;
        } while (!holders_.compare_exchange_weak(held, held + 1));
        try {
            ::asio::post(*strand_, cancellation(*this));
        } catch (...) {  // no memory for it: the operation takes as long as it takes
        }
    }
    /// Whether the caller was the last who held it.
    bool release() noexcept {
        if (--holders_ != 0) return false;
        strand_.reset();  // now: when the io_context goes, the frame must have nothing of it
        return true;
    }

    suspended_frame* waiting_ = nullptr;
    std::optional<strand> strand_;
    ::asio::cancellation_signal signal_;
    std::optional<std::stop_callback<stop_operation>> stopping_;
    sync::atomic<int> holders_{2};
    sync::atomic<bool> completed_{false};
    sync::atomic<bool> stop_requested_{false};
};

/// What Asio calls, or drops.
template <class Operation, class... Args>
class asio_handler {
public:
    using executor_type = typename Operation::strand;
    using cancellation_slot_type = ::asio::cancellation_slot;

    asio_handler(Operation& operation, executor_type executor) noexcept
        : operation_(&operation), executor_(std::move(executor)), slot_(operation.slot()) {}
    asio_handler(asio_handler&& other) noexcept
        : operation_(std::exchange(other.operation_, nullptr)), executor_(other.executor_), slot_(other.slot_) {}
    asio_handler& operator=(asio_handler&&) = delete;
    ~asio_handler() {
        if (!operation_) return;
        operation_->set_error(std::make_exception_ptr(broken_task()));
        operation_->leave();
    }

    /// As the signature says: what is given may be of other types, which convert.
    void operator()(Args... given) {
        Operation& operation = *std::exchange(operation_, nullptr);
        operation.set(std::move(given)...);
        operation.leave();
    }
    executor_type get_executor() const noexcept { return executor_; }
    cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

private:
    Operation* operation_;
    executor_type executor_;
    cancellation_slot_type slot_;
};

/// What an operation gives: nothing, one value, or several.
template <class... Args>
struct asio_values
    : std::conditional<(sizeof...(Args) < 2), std::tuple_element_t<0, std::tuple<Args..., void>>, std::tuple<Args...>> {
};
/// What an operation's handler is given, without the error before it.
template <class... Args>
struct asio_result : asio_values<Args...> {
    template <class Operation>
    using handler = asio_handler<Operation, Args...>;
    static constexpr bool begins_with_error = false;
};
template <class Error, class... Args>
requires std::same_as<Error, ::asio::error_code> || std::same_as<Error, std::exception_ptr>
struct asio_result<Error, Args...> : asio_values<Args...> {
    template <class Operation>
    using handler = asio_handler<Operation, Error, Args...>;
    static constexpr bool begins_with_error = true;
};

template <class Completion, class Initiation, class... Args>
class asio_operation final : public asio_wait<::asio::associated_executor_t<Initiation>> {
    using handler = typename Completion::template handler<asio_operation>;

public:
    explicit asio_operation(Initiation& initiation, Args&... arguments) noexcept
        : initiation_(initiation), arguments_(arguments...) {}

    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
        suspended_frame& frame = waiting.promise();
        this->set_waiting(frame);
        std::stop_token token = frame.root->token();
        if (token.stop_requested()) {
            set_error(std::make_exception_ptr(stopped()));
            return false;
        }
        const auto through = this->make_strand(::asio::get_associated_executor(initiation_));
        try {
            const auto begin = [&](Args&... given) {
                std::move(initiation_)(handler(*this, through), std::move(given)...);
            };
            std::apply(begin, arguments_);
        } catch (...) {  // the handler may have been taken all the same; then it is waited for
            refused_ = std::current_exception();
        }
        return this->wait(std::move(token));
    }
    auto await_resume() -> typename Completion::type {
        this->end_wait();
        if (refused_) std::rethrow_exception(std::exchange(refused_, nullptr));
        return outcome_.take();
    }

    // By the handler.
    void set_error(std::exception_ptr error) noexcept { outcome_.set_error(std::move(error)); }
    template <class... Given>
    void set(Given&&... given) {
        if constexpr (Completion::begins_with_error) {
            set_after(std::forward<Given>(given)...);
        } else {
            set_value(std::forward<Given>(given)...);
        }
    }

private:
    template <class... Given>
    void set_after(const ::asio::error_code& error, Given&&... given) {
        if (!error) return set_value(std::forward<Given>(given)...);
        set_error(cancelled(error) ? std::make_exception_ptr(stopped())
                                   : std::make_exception_ptr(::asio::system_error(error)));
    }
    template <class... Given>
    void set_after(const std::exception_ptr& error, Given&&... given) {
        if (!error) return set_value(std::forward<Given>(given)...);
        try {
            std::rethrow_exception(error);
        } catch (const ::asio::system_error& thrown) {
            set_error(cancelled(thrown.code()) ? std::make_exception_ptr(stopped()) : error);
        } catch (...) {
            set_error(error);
        }
    }
    bool cancelled(const ::asio::error_code& error) const noexcept {
        return this->stop_requested() && error == ::asio::error::operation_aborted;
    }
    template <class... Given>
    void set_value(Given&&... given) {
        try {
            outcome_.set_value(std::forward<Given>(given)...);
        } catch (...) {
            set_error(std::current_exception());
        }
    }

    Initiation& initiation_;
    std::tuple<Args&...> arguments_;
    task_outcome<typename Completion::type> outcome_;
    std::exception_ptr refused_;
};

}  // namespace detail
}  // namespace v0
}  // namespace penstock

namespace asio {

/// What a call that is given use_task returns: a task, as Asio's own adapters of tokens expect one type for each
/// signature.
template <class R, class... Args>
class async_result<penstock::use_task_t, R(Args...)> {
    using completion = penstock::detail::asio_result<std::decay_t<Args>...>;

public:
    using return_type = penstock::task<typename completion::type>;

    /// Everything by value: it is kept in the frame until the task is awaited.
    template <class Initiation, class... Given>
    static return_type initiate(Initiation initiation, penstock::use_task_t, Given... given) {
        penstock::detail::asio_operation<completion, Initiation, Given...> operation(initiation, given...);
        co_return co_await operation;
    }
};

}  // namespace asio
