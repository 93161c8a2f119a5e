// SPDX-License-Identifier: MIT
/// The typed part of a stream: moves items from the producer into records, and runs them.
#pragma once

#include <algorithm>
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
#include <vector>

#include <penstock/detail/job_record.hpp>
#include <penstock/detail/record.hpp>
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
    static_assert(
        !is_any_job<typename call::rest> || is_any_job<element>,
        "penstock: a function must not return an any_job, for what kind of job it is must be known when it is "
        "admitted; have the source give any_jobs");

public:
    using stream = completion_stream<T, In>;
    static constexpr bool wants_token =
        Puller::wants_token || Runner::template wants_token<element> || call::wants_token;

    template <class P>
    typed_source(P&& producer, Runner runner, bool measure)
        : puller_(std::forward<P>(producer)), runner_(std::move(runner)), measure_(measure) {
        this->launches = launches_tasks;
        this->blocks = may_block && !may_suspend;
        this->weighs = weighted;
        this->pull_blocks = pull_blocks<Puller>;
        this->pull_heeds_stop = Puller::wants_token;
        this->fed = fed_by(puller_);
        this->stop = std::stop_source();
        if constexpr (wants_token) token_ = this->stop.get_token();
    }

    record* make_record() override {
        if (unused_ == 0) {
            const std::size_t count = std::clamp<std::size_t>(chunks_.size() * 4, 1, 64);
            chunks_.emplace_back(count);
            unused_ = count;
        }
        return &chunks_.back()[--unused_];
    }

    bool pull(record& into) override {
        auto& task = static_cast<task_record&>(into);
        task.elapsed = {};
        return puller_.pull(token_, [&]<class Item>(Item&& item) {
            try {
                if constexpr (weighted) {
                    task.weight = item.negative ? 0 : item.weight;
                    if (item.negative) refuse_negative(item.weight);
                    task.held().construct(std::forward<Item>(item).job);
                } else {
                    task.held().construct(std::forward<Item>(item));
                }
                task.holds_element = true;
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
            if (task.holds_element) {
                const auto start = now();
                give_result(task, [&]() -> decltype(auto) { return runner_(task.held().get(), token_); });
                if (measure_) task.elapsed = now() - start;
            }
            task.destroy_task();
        }
    }

    launched launch(record& admitted) noexcept override {
        auto& task = static_cast<task_record&>(admitted);
        if constexpr (launches_tasks) {
            if (!task.holds_element) return launched::ended;
            task.elapsed = now().time_since_epoch();
            try {
                task.begin([&] { return runner_(task.held().get(), token_); });
                const launched how = task.proceed(token_);
                if (how != launched::ended) return how;
                if constexpr (is_any_job<typename call::rest>) {
                    finish(task, [&]() -> decltype(auto) { return task.call(token_); });
                }
            } catch (...) {
                task.fail(this->stop);
                end_launched(task);
            }
        }
        return launched::ended;
    }

    void run_blocking(record& half_done) noexcept override {
        if constexpr (may_block) {
            auto& task = static_cast<task_record&>(half_done);
            finish(task, [&]() -> decltype(auto) { return task.call(token_); });
        }
    }

    void fail(record& half_done, std::exception_ptr why) noexcept override {
        auto& task = static_cast<task_record&>(half_done);
        task.set_error(std::move(why));
        task.elapsed = {};
        task.destroy_task();
    }

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

    void discard(record& task) noexcept override {
        auto& typed = static_cast<task_record&>(task);
        typed.destroy_rest();
        typed.destroy_element();
        typed.clear();
    }

    std::exception_ptr error_of(const record& task) const noexcept override {
        return static_cast<const task_record&>(task).error.get();
    }

    ~typed_source() override {
        // What was pulled and never taken: results that nobody asked for, tasks that never ran.
        for (auto& chunk : chunks_) {
            for (task_record& task : chunk) discard(task);
        }
    }

private:
    /// The end of a launched task: call_rest gives its outcome.
    template <class Call>
    void finish(task_record& task, Call call_rest) noexcept {
        give_result(task, std::move(call_rest));
        end_launched(task);
    }
    void end_launched(task_record& task) noexcept {
        task.elapsed = now().time_since_epoch() - task.elapsed;
        task.destroy_task();
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
    std::vector<std::vector<task_record>> chunks_;  ///< records never move: a chunk is made whole
    std::size_t unused_ = 0;
};

}  // namespace penstock::inline v0::detail
