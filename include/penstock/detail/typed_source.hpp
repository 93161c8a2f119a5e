// SPDX-License-Identifier: MIT
/// The typed part of a stream: moves items from the producer into records, and runs them.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/detail/job_record.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/record_store.hpp>
#include <penstock/detail/runner.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/detail/stream_state.hpp>
#include <penstock/producer.hpp>

namespace penstock {
inline namespace v0 {
template <class T, class In>
class completion_stream;
}
}  // namespace penstock

namespace penstock::inline v0::detail {

/// What a record holds of a producer's element: without its weight, if it is a job that has one.
template <class Puller, class Runner>
using held_element =
    std::conditional_t<Runner::keeps_input, typename Puller::element, job_in_t<typename Puller::element>>;

template <class Puller, class Runner>
class typed_source final
    : public stream_state<typename Runner::template outcome_of<held_element<Puller, Runner>>::result,
                          std::conditional_t<Runner::keeps_input, typename Puller::element, void>> {
    using element = held_element<Puller, Runner>;
    static constexpr bool weighted = !std::same_as<element, typename Puller::element>;
    using call = typename Runner::template outcome_of<element>;
    using T = typename call::result;
    using In = std::conditional_t<Runner::keeps_input, element, void>;
    using task_record = job_record<T, element, Runner, typename call::rest, weighted>;
    static constexpr bool may_block = task_record::may_block;
    static constexpr bool may_suspend = task_record::may_suspend;
    static constexpr bool launches_tasks = task_record::launches;
    static constexpr bool remakes_rest = !std::same_as<Runner, hand_over_element>;
    static_assert(
        !is_any_job<typename call::rest> || is_any_job<element>,
        "penstock: a function must not return an any_job, for what kind of job it is must be known when it is "
        "admitted; have the source give any_jobs");

public:
    using stream = completion_stream<T, In>;
    static constexpr bool wants_token =
        Puller::wants_token || Runner::template wants_token<element> || call::wants_token;

    template <class P>
    typed_source(P&& producer, Runner runner, const options& settings)
        : puller_(std::forward<P>(producer)), runner_(std::move(runner)), measure_(settings.measure) {
        if (settings.retry && !Runner::template runs_again<element>) refuse_retry();
        this->retries = settings.retry.has_value();
        this->times_out = settings.task_timeout && *settings.task_timeout != settings.task_timeout->max();
        if (this->times_out) records_.share_inputs();
        this->launches = launches_tasks;
        this->blocks = may_block && !may_suspend;
        this->weighs = weighted;
        this->pull_blocks = pull_blocks<Puller>;
        this->pull_heeds_stop = Puller::wants_token;
        this->fed = fed_by(puller_);
        this->stop = std::stop_source();
        if constexpr (wants_token) token_ = this->stop.get_token();
    }

    record* make_record() override { return records_.make(); }

    bool pull(record& into) override {
        auto& task = static_cast<task_record&>(into);
        task.elapsed = {};
        return puller_.pull(token_, [&]<class Item>(Item&& item) {
            try {
                if constexpr (weighted) {
                    task.weight = item.negative ? 0 : item.weight;
                    if (item.negative) refuse_negative(item.weight);
                    records_.hold(task, std::forward<Item>(item).job);
                } else {
                    records_.hold(task, std::forward<Item>(item));
                }
            } catch (...) {
                task.fail(this->stop);
            }
        });
    }

    std::size_t weight_of(const record& task) const noexcept override {
        return static_cast<const task_record&>(task).weight;
    }

    void run(record& admitted) noexcept override {
        auto& task = static_cast<task_record&>(admitted);
        if constexpr (!launches_tasks) {
            if (task.outcome == detail::outcome::none) run_here(task, task.held().get(), token_);
            destroy_ended(task);
        }
    }

    launched launch(record& admitted, const std::stop_token* own) noexcept override {
        auto& task = static_cast<task_record&>(admitted);
        const std::stop_token& token = own ? *own : token_;
        if constexpr (launches_tasks) {
            if (!task.runs()) return launched::ended;
            const auto start = now().time_since_epoch();
            if (!task.again) task.elapsed = start;  // else it is that of an earlier attempt, until this one begins
            try {
                if (remakes_rest || !task.holds_rest) {
                    task.begin([&] { return runner_(records_.held_by(task), token); });
                }
                const launched how = task.proceed(token);
                if (how == launched::blocking) return how;  // it may still be dropped with the outcome that it has
                task.begin_attempt(start);
                if (how == launched::begun) return how;
                if constexpr (is_any_job<typename call::rest>) {
                    finish(task, [&]() -> decltype(auto) { return task.call(token); });
                }
            } catch (...) {
                task.begin_attempt(start);
                task.fail(this->stop);
                end_launched(task);
            }
        } else if (task.runs()) {
            task.begin_attempt({});
            run_here(task, records_.held_by(task), token);
            destroy_ended(task);
        }
        return launched::ended;
    }

    bool starts_elsewhere(const record& admitted) const noexcept override {
        if constexpr (is_any_job<typename call::rest>) {
            return any_job_of(static_cast<const task_record&>(admitted)).blocks();
        } else {
            return may_block;
        }
    }

    void run_blocking(record& half_done, const std::stop_token* own) noexcept override {
        if constexpr (may_block) {
            auto& task = static_cast<task_record&>(half_done);
            task.begin_attempt(now().time_since_epoch());
            finish(task, [&]() -> decltype(auto) { return task.call(own ? *own : token_); });
        }
    }

    void fail(record& half_done, std::exception_ptr why, std::chrono::nanoseconds elapsed) noexcept override {
        auto& task = static_cast<task_record&>(half_done);
        task.elapsed = measure_ ? elapsed : std::chrono::nanoseconds(0);
        task.clear();
        task.again = false;
        task.set_error(std::move(why));
        destroy_ended(task);
    }

    void time_out(const record& running, record& stand_in, std::exception_ptr why,
                  std::chrono::nanoseconds elapsed) noexcept override {
        auto& filled = static_cast<task_record&>(stand_in);
        if constexpr (Runner::keeps_input) {
            why = std::make_exception_ptr(timed_out_with_input<In>(records_.share_input(running)));
        }
        filled.set_error(std::move(why));
        filled.elapsed = measure_ ? elapsed : std::chrono::nanoseconds(0);
    }

    std::add_pointer_t<In> shared_input_of(const record& done) noexcept override {
        return static_cast<std::add_pointer_t<In>>(records_.input_of(done));
    }

    bool runs_again(const record& failed) const noexcept override {
        if constexpr (is_any_job<typename call::rest>) {
            return any_job_of(static_cast<const task_record&>(failed)).runs_again();
        } else {
            return true;
        }
    }

    void release(record& failed) noexcept override { static_cast<task_record&>(failed).destroy_task(); }

    blocking_ticket* ticket_of(record& half_done) noexcept override {
        if constexpr (may_block) {
            return &static_cast<task_record&>(half_done).ticket;
        } else {
            return nullptr;
        }
    }

    task_root* root_of(record& half_done) noexcept override {
        if constexpr (may_suspend) {
            return &static_cast<task_record&>(half_done);
        } else {
            return nullptr;
        }
    }

    record& record_of(task_root& root) noexcept override {
        if constexpr (may_suspend) {
            return static_cast<task_record&>(root);
        } else {
            return stream_source::record_of(root);
        }
    }

    std::coroutine_handle<> frame_of(record& half_done) noexcept override {
        if constexpr (may_suspend) {
            auto& task = static_cast<task_record&>(half_done);
            return task.coroutine().begin(task);
        } else {
            return nullptr;
        }
    }

    void settle(record& ended) noexcept override {
        if constexpr (may_suspend) {
            auto& task = static_cast<task_record&>(ended);
            finish(task, [&]() -> decltype(auto) { return task.coroutine().take(); });
        }
    }

    void discard(record& task) noexcept override { records_.clear(static_cast<task_record&>(task)); }

    std::exception_ptr error_of(const record& task) const noexcept override {
        return static_cast<const task_record&>(task).error.get();
    }

private:
    /// Where an attempt has begun it has been moved to the rest.
    static const auto& any_job_of(const task_record& task) noexcept {
        return task.holds_rest ? task.rest.get() : task.job.get();
    }
    template <class Held>
    void run_here(task_record& task, Held& held, const std::stop_token& token) noexcept {
        const auto start = now();
        give_result(task, [&]() -> decltype(auto) { return runner_(held, token); });
        if (measure_) task.elapsed = now() - start;
    }
    /// The end of a launched task: call_rest gives its outcome.
    template <class Call>
    void finish(task_record& task, Call call_rest) noexcept {
        give_result(task, std::move(call_rest));
        end_launched(task);
    }
    void end_launched(task_record& task) noexcept {
        task.elapsed = now().time_since_epoch() - task.elapsed;
        destroy_ended(task);
    }
    /// What a task that has failed, or may prove to be late, needs to be run again, it keeps.
    void destroy_ended(task_record& task) noexcept {
        if (!this->retries || !(task.failed() || this->times_out)) {
            task.destroy_task();
        } else if (remakes_rest) {
            task.destroy_rest();
        }
    }

    template <class Call>
    void give_result(task_record& task, Call call_task) noexcept {
        try {
            if constexpr (std::is_void_v<T>) {
                call_task();
            } else {
                task.result.construct(call_task());
            }
            task.outcome = detail::outcome::value;
        } catch (...) {
            task.fail(this->stop);
        }
    }

    std::chrono::steady_clock::time_point now() const noexcept {
        return measure_ ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
    }

    Puller puller_;
    Runner runner_;
    const bool measure_;
    std::stop_token token_;
    record_store<task_record, element, Runner::keeps_input> records_;  ///< last: it goes first
};

}  // namespace penstock::inline v0::detail
