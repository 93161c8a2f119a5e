// SPDX-License-Identifier: MIT
/// One type for jobs of all kinds, for streams that mix them.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/detail/runner.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/job.hpp>
#include <penstock/task.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {

/// A job whose type is not known any more.
template <class T>
class erased_job {
public:
    erased_job() = default;
    erased_job(const erased_job&) = delete;
    erased_job& operator=(const erased_job&) = delete;
    virtual ~erased_job() = default;

    /// Runs what runs on a worker before the rest is known, and says which of the two below is the rest; for `ended`
    /// that is call(), at once.
    virtual launched proceed(const std::stop_token& token) = 0;
    virtual T call(const std::stop_token&) { std::terminate(); }
    virtual task<T>& coroutine() noexcept { std::terminate(); }
    /// Whether proceed() may be called once more when it has failed.
    virtual bool runs_again() const noexcept { return false; }
    /// Whether it will say `blocking`.
    virtual bool blocks() const noexcept { return false; }
};

/// A Job, by what it leaves to be run elsewhere.
template <class T, class Job, class Rest>
class erased_job_of {
    static_assert(!is_task<Rest>, "penstock: a task<U> becomes an any_job<U>, and no other");
    static_assert(!is_any_job<Rest>, "penstock: a function that returns an any_job does not become one");
};

template <class T, class Job>
class erased_job_of<T, Job, void> final : public erased_job<T> {
public:
    template <class J>
    explicit erased_job_of(J&& job) : job_(std::forward<J>(job)) {}
    launched proceed(const std::stop_token&) override { return launched::ended; }
    T call(const std::stop_token& token) override { return static_cast<T>(run_element()(job_, token)); }
    bool runs_again() const noexcept override { return run_element::runs_again<Job>; }

private:
    Job job_;
};

template <class T, class Job, class F>
class erased_job_of<T, Job, blocking_job<F>> final : public erased_job<T> {
public:
    template <class J>
    explicit erased_job_of(J&& job) : job_(std::forward<J>(job)) {}
    launched proceed(const std::stop_token& token) override {
        // A job that is handed over has been moved there by its first attempt.
        if (!is_blocking<Job> || !rest_) rest_.emplace(runner()(job_, token));
        return launched::blocking;
    }
    bool runs_again() const noexcept override { return runner::template runs_again<Job>; }
    bool blocks() const noexcept override { return true; }
    T call(const std::stop_token& token) override {
        return static_cast<T>(detail::call(static_cast<job_call_t<F>>(rest_->function), token));
    }

private:
    using runner = element_runner<Job>;
    Job job_;
    std::optional<blocking_job<F>> rest_;
};

template <class T, class Job>
class erased_job_of<T, Job, task<T>> final : public erased_job<T> {
public:
    template <class J>
    explicit erased_job_of(J&& job) : job_(std::forward<J>(job)) {}
    launched proceed(const std::stop_token& token) override {
        rest_.emplace(element_runner<Job>()(job_, token));
        rest_->require_unbegun();
        return launched::begun;
    }
    task<T>& coroutine() noexcept override { return *rest_; }

private:
    Job job_;  // lives as long as the coroutine: its captures, if it is a lambda, are in here
    std::optional<task<T>> rest_;
};

}  // namespace detail

/// A job of any kind that gives a T: a function (also one that returns a task<T> or a blocking job), blocking(f), or a
/// task<T>. For streams whose source mixes kinds; they share the stream's limit.
///
/// What a function or a blocking job gives is converted to T; if T is void, it is ignored. Move-only; run once. A
/// lambda that is a coroutine may have captures here, for the any_job keeps it until the task has ended.
///
/// Cost: one allocation, and a virtual call or two when it runs. Tasks are handed over one by one, and not in batches
/// as plain functions are: a stream of one kind is faster without it.
template <class T>
class any_job {
    static_assert(std::is_same_v<T, typename detail::task_result<T>::type>,
                  "penstock: the type of an any_job must not be const");

public:
    template <class Job>
    requires(!std::same_as<std::remove_cvref_t<Job>, any_job> && detail::plain_job<std::remove_cvref_t<Job>>)
        any_job(Job&& given) {  // implicit: a job is one
        using kept = std::remove_cvref_t<Job>;
        using outcome = typename detail::element_runner<kept>::template outcome_of<kept>;
        static_assert(std::is_void_v<T> || detail::is_task<typename outcome::rest> ||
                          std::is_convertible_v<typename outcome::result, T>,
                      "penstock: what the job gives does not convert to the type of the any_job");
        job_ = std::make_unique<detail::erased_job_of<T, kept, typename outcome::rest>>(std::forward<Job>(given));
    }

    /// For as_completed: what detail::erased_job says.
    detail::launched proceed(const std::stop_token& token) {
        if (!job_) throw std::logic_error("penstock: an any_job that was moved from can not be run");
        return job_->proceed(token);
    }
    T call(const std::stop_token& token) { return job_->call(token); }
    task<T>& coroutine() noexcept { return job_->coroutine(); }
    bool runs_again() const noexcept { return job_ && job_->runs_again(); }
    bool blocks() const noexcept { return job_ && job_->blocks(); }

private:
    std::unique_ptr<detail::erased_job<T>> job_;
};

}  // namespace v0
}  // namespace penstock
