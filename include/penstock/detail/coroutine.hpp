// SPDX-License-Identifier: MIT
/// What the frames of one task<T> share, and how they are resumed.
#pragma once

#include <coroutine>
#include <exception>
#include <stop_token>
#include <utility>

#include <penstock/detail/export.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/ticket.hpp>

namespace penstock::inline v0::detail {

/// A task that a stream has launched: it, and every task that it awaits, runs as one, a thread at a time.
///
/// Who awaits does not resume what it awaits on top of itself, but leaves it to the loop in resume(): so a chain of any
/// length needs no stack, with every compiler at every level of optimisation. The loop's variables are on the stack of
/// the thread that runs it, for as soon as a frame waits for something outside, another thread may run the task.
struct PENSTOCK_EXPORT task_root {
    /// What the loop does when the frame that it has resumed comes back.
    struct turn {
        std::coroutine_handle<>
            next;  ///< the frame that goes on; null: the task waits for something outside, or has ended
        bool ended = false;
    };

    /// Runs the task from this frame on, until it waits or ends; it may be gone then. Not on top of itself.
    void resume(std::coroutine_handle<> frame) noexcept;

    /// The stream's, or the task's own if it may time out.
    std::stop_token token() noexcept;

    stream_engine* engine = nullptr;
    turn* now = nullptr;  ///< of the thread that runs it
};

/// A frame that may wait, as something that a worker can go on with. Part of every frame's promise, for a frame waits
/// for one thing at a time: so what it awaits need not bring its own.
///
/// The flags of all that derives from it lie here, where they fill one word: there may be a million of these.
struct PENSTOCK_EXPORT suspended_frame : ticket {
    void serve() noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::frame; }

    bool stopped = false;                           ///< a stop has ended its sleep
    detail::outcome state = detail::outcome::none;  ///< what its task has come to
    task_root* root = nullptr;                      ///< set by who awaits or launches it

    /// The frame that it is in the promise of. See task_promise.
    std::coroutine_handle<> frame() noexcept;

protected:
    ~suspended_frame() = default;
};

/// Makes a frame that waits ready to go on. The frame may be gone when this returns. Threads: any.
PENSTOCK_EXPORT void make_ready(suspended_frame& waiting) noexcept;

/// A call that a frame waits for, as something that a blocking thread can make. Lies in the frame.
struct PENSTOCK_EXPORT blocking_call : ticket {
    void serve() noexcept override;
    void refuse(std::exception_ptr why) noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::frame; }
    /// Makes the call, which must not throw.
    virtual void run() noexcept = 0;
    /// Instead: there is no thread for it.
    virtual void fail(std::exception_ptr why) noexcept = 0;

    suspended_frame* waiting = nullptr;

protected:
    ~blocking_call() = default;
};

/// Has a blocking thread make the call, and then makes the frame ready. It may be gone when this returns.
PENSTOCK_EXPORT void make_blocking(blocking_call& awaited) noexcept;

/// What every task's promise has.
struct task_promise_base : suspended_frame {
    std::coroutine_handle<> continuation;  ///< who awaits it; null for the outermost frame

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            const task_promise_base& promise = ended.promise();
            promise.root->now->next = promise.continuation;
            promise.root->now->ended = !promise.continuation;
        }
        void await_resume() const noexcept {}
    };
    final_awaiter final_suspend() const noexcept { return {}; }

protected:
    ~task_promise_base() = default;
};

/// A base of every promise, at its beginning; and no promise is aligned more strictly than this one: so a frame is
/// found from any base.
inline std::coroutine_handle<> suspended_frame::frame() noexcept {
    auto& promise = static_cast<task_promise_base&>(*this);
    return std::coroutine_handle<>::from_address(
        std::coroutine_handle<task_promise_base>::from_promise(promise).address());
}

}  // namespace penstock::inline v0::detail
