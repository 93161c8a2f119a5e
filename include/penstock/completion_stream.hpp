// SPDX-License-Identifier: MIT
/// The stream of finished tasks.
#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include <penstock/completed.hpp>
#include <penstock/detail/saturating.hpp>
#include <penstock/detail/typed_source.hpp>
#include <penstock/options.hpp>
#include <penstock/task.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {

/// Waits until the consumer should look again.
class look_again final : public native_awaitable {
public:
    explicit look_again(stream_core& core) noexcept : core_(core) {}
    bool await_ready() const noexcept { return false; }
    template <std::derived_from<task_promise_base> Promise>
    bool await_suspend(std::coroutine_handle<Promise> consumer) {
        suspended_frame& frame = consumer.promise();
        token_ = frame.root->token();
        // Before the wait: once it has begun, this may go on, and be destroyed, on another thread.
        stop_.emplace(token_, interruption{core_});
        // Written before it may be read on another thread.
        suspended_ = true;
        if (core_.wait_async(frame, token_)) return true;
        suspended_ = false;
        return false;
    }
    void await_resume() {
        stop_.reset();
        if (suspended_) core_.woken();
    }
    bool stop_requested() const noexcept { return token_.stop_requested(); }

private:
    struct interruption {
        stream_core& core;
        void operator()() const noexcept { core.interrupt(); }
    };

    stream_core& core_;
    bool suspended_ = false;
    std::stop_token token_;
    std::optional<std::stop_callback<interruption>> stop_;
};

/// The right to take results while it exists.
class sole_consumer {
public:
    explicit sole_consumer(sync::atomic<bool>& taken) : taken_(taken) {
        if (taken_.exchange(true)) {
            throw std::logic_error(
                "penstock: a stream has two consumers: async_next() was awaited while another one was");
        }
    }
    sole_consumer(const sole_consumer&) = delete;
    sole_consumer& operator=(const sole_consumer&) = delete;
    ~sole_consumer() { taken_.store(false); }

private:
    sync::atomic<bool>& taken_;
};

template <class T, class In>
task<std::optional<completed<T, In>>> take_async(stream_state<T, In>* state) {
    const sole_consumer here(state->async_consumer);
    for (;;) {
        std::optional<completed<T, In>> found;
        state->take({.time = {}, .may_wait = false, .may_help = false}, found);
        if (found || state->core->done()) co_return std::move(found);
        look_again waiting(*state->core);
        co_await waiting;
        if (waiting.stop_requested() && state->core->may_leave()) throw stopped();
    }
}

inline void close_core(stream_core* core) noexcept { core->close_elsewhere(); }
inline task<> close_async(stream_core* core) {
    core->request_stop();  // at once: there may be no thread before tasks of this very stream have heard of it
    co_await run_blocking(&close_core, core);
}

}  // namespace detail

/// Gives finished tasks one by one. An input range, to be run through once; move-only. It has started when it is made.
///
/// Leaving it at any point is safe: the destructor stops pulling, sets the tasks' stop token, drops what has not
/// started and waits for what has. When it has returned, no user code of this stream runs or will run. A stream that is
/// destroyed inside one of its own tasks would wait for itself: that is reported on stderr and terminates.
///
/// Threads: one consumer at a time. request_stop(), done() and stats() may be called from any thread while it lives.
/// Cost: memory for limit + buffer records and one pump for each worker, made as they are first needed.
template <class T, class In = void>
class completion_stream {
public:
    class iterator;

    completion_stream(completion_stream&&) noexcept = default;
    completion_stream& operator=(completion_stream&& other) noexcept {
        completion_stream old(std::move(*this));
        state_ = std::move(other.state_);
        return *this;
    }
    ~completion_stream() {
        // First join, then destroy: the core closes while the typed part that it calls into is still whole.
        if (state_) state_->core->close();
    }

    /// The first element waits for its result. Called again, it gives the current element.
    iterator begin() {
        if (!std::exchange(state_->begun, true)) state_->take_here(detail::wait_as_long_as_it_takes, state_->current);
        return iterator(state_.get());
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// The next result; waits for it. nullopt: the source has ended and everything was taken. Throws, once, what ended
    /// the stream early: the producer's exception, the first error (on_error::stop), timed_out, or stopped; then
    /// nullopt.
    std::optional<completed<T, In>> next() { return take(detail::wait_as_long_as_it_takes); }

    /// The next result if there is one; never waits and runs no task.
    std::optional<completed<T, In>> try_next() { return take({.time = {}, .may_wait = false, .may_help = false}); }

    /// The next result if there is one within `patience`, in any unit; a huge one means: as long as it takes. Runs no
    /// task, except inside a task.
    template <class R, class P>
    std::optional<completed<T, In>> next_for(std::chrono::duration<R, P> patience) {
        return take({.time = detail::saturating_deadline(patience), .may_wait = true, .may_help = false});
    }

    /// co_await async_next(), in a task<T>: as next(), but waits without holding a thread. Awaiting it while another
    /// task does is std::logic_error. A stop of that task ends the wait with `stopped`, options::deadline with
    /// `timed_out`.
    task<std::optional<completed<T, In>>> async_next() { return detail::take_async(state_.get()); }

    /// co_await async_join(), in a task<T> that leaves the stream before its end: stops it and waits until no user code
    /// of it runs, on a thread that may block. Afterwards the stream gives nothing more, and destroying it waits for
    /// nothing.
    task<> async_join() { return detail::close_async(&*state_->core); }

    /// Pulls nothing more and drops what has not started; what has started is still delivered. Then next() throws
    /// `stopped`, if anything was cut off. May be called again.
    void request_stop() noexcept { state_->core->request_stop(); }

    /// Nothing more will come, neither a result nor an exception: tells "nothing yet" from "over".
    bool done() const noexcept { return state_->core->done(); }

    stream_stats stats() const noexcept { return state_->core->stats(); }

    /// For as_completed.
    explicit completion_stream(std::unique_ptr<detail::stream_state<T, In>> state) noexcept
        : state_(std::move(state)) {}

private:
    std::optional<completed<T, In>> take(const detail::wait_until& wait) {
        std::optional<completed<T, In>> result;
        state_->take_here(wait, result);
        return result;
    }

    std::unique_ptr<detail::stream_state<T, In>> state_;
};

/// Shows the stream's current element; the stream has one, whatever number of iterators there are.
template <class T, class In>
class completion_stream<T, In>::iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = completed<T, In>;
    using difference_type = std::ptrdiff_t;

    iterator() = default;

    completed<T, In>& operator*() const noexcept { return *state_->current; }
    completed<T, In>* operator->() const noexcept { return &*state_->current; }
    iterator& operator++() {
        state_->take_here(detail::wait_as_long_as_it_takes, state_->current);
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
        return at.state_ == nullptr || !at.state_->current.has_value();
    }

private:
    friend class completion_stream;
    explicit iterator(detail::stream_state<T, In>* state) noexcept : state_(state) {}
    detail::stream_state<T, In>* state_ = nullptr;
};

}  // namespace v0
}  // namespace penstock
