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
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/completed.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/errors.hpp>
#include <penstock/job.hpp>
#include <penstock/options.hpp>
#include <penstock/producer.hpp>

namespace penstock {
inline namespace v0 {
template <class T, class In>
class completion_stream;
}
}  // namespace penstock

namespace penstock::inline v0::detail {

/// What completion_stream<T, In> holds: everything but the types of the producer and of the function.
template <class T, class In>
class stream_state : public stream_source {
public:
    std::optional<completed<T, In>> current;  ///< what an iterator shows
    bool begun = false;                       ///< begin() has pulled the first element
    std::optional<stream_core> core;

    /// Moves the next result out of its record, which then makes room for another task.
    void take(const wait_until& wait, std::optional<completed<T, In>>& into) {
        into.reset();
        while (record* done = core->next(wait)) {
            auto& typed = static_cast<result_record<T, In>&>(*done);
            into.emplace(typed);
            const bool lost = !typed.failed() && !into->has_value() && core->fail_in_transit(*done, into->error());
            discard(*done);
            core->taken(*done);
            if (!lost) return;
            into.reset();
        }
    }

};

/// How a job is run: it is the element itself, and is destroyed when it has run.
struct run_element {
    template <class Job>
    using result_t = job_result_t<Job>;
    static constexpr bool keeps_input = false;
    template <class Job>
    static constexpr bool wants_token = takes_token<job_call_t<Job>>;

    template <class Job>
    decltype(auto) operator()(Job& job, const std::stop_token& token) {
        return detail::call(static_cast<job_call_t<Job>>(job), token);
    }
};

/// How a function is run on an input, which is kept for completed::input().
template <class F>
struct run_function {
    template <class In>
    using result_t = typename task_result<call_result_t<F&, input_call_t<F, In>>>::type;
    static constexpr bool keeps_input = true;
    template <class In>
    static constexpr bool wants_token = takes_token<F&, input_call_t<F, In>>;

    template <class In>
    decltype(auto) operator()(In& input, const std::stop_token& token) {
        return detail::call(function, token, static_cast<input_call_t<F, In>>(input));
    }
    F function;
};

template <class Puller, class Runner>
class typed_source final
    : public stream_state<typename Runner::template result_t<typename Puller::element>,
                          std::conditional_t<Runner::keeps_input, typename Puller::element, void>> {
    using element = typename Puller::element;
    using T = typename Runner::template result_t<element>;
    using In = std::conditional_t<Runner::keeps_input, element, void>;

    /// Alone on its cache lines: neighbours are in the hands of other threads.
    struct alignas(64) job_record : result_record<T, In> {
        [[no_unique_address]] slot<std::conditional_t<Runner::keeps_input, void, element>> job;

        auto& held() noexcept {
            if constexpr (Runner::keeps_input) {
                return this->input;
            } else {
                return job;
            }
        }
        void destroy_element() noexcept {
            if (std::exchange(this->holds_element, false)) held().destroy();
        }
        void fail(const std::stop_source& stop) noexcept {
            this->error.construct(std::current_exception());
            this->outcome = detail::outcome::error;
            if (!stop.stop_requested()) return;
            try {
                throw;
            } catch (const stopped&) {
                this->outcome = detail::outcome::cancelled;
            } catch (...) {
            }
        }
    };

public:
    using stream = completion_stream<T, In>;
    static constexpr bool wants_token = Puller::wants_token || Runner::template wants_token<element>;

    template <class P>
    typed_source(P&& producer, Runner runner, bool measure)
        : puller_(std::forward<P>(producer)), runner_(std::move(runner)), measure_(measure) {
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
        auto& task = static_cast<job_record&>(into);
        return puller_.pull(token_, [&]<class Item>(Item&& item) {
            try {
                task.held().construct(std::forward<Item>(item));
                task.holds_element = true;
            } catch (...) {
                task.fail(this->stop);
            }
        });
    }

    void run(record& admitted) noexcept override {
        auto& task = static_cast<job_record&>(admitted);
        if (task.holds_element) {
            const auto start = measure_ ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
            try {
                if constexpr (std::is_void_v<T>) {
                    runner_(task.held().get(), token_);
                } else {
                    task.result.construct(runner_(task.held().get(), token_));
                }
                task.outcome = detail::outcome::value;
            } catch (...) {
                task.fail(this->stop);
            }
            if (measure_) task.elapsed = std::chrono::steady_clock::now() - start;
        }
        if constexpr (!Runner::keeps_input) task.destroy_element();
    }

    void discard(record& task) noexcept override {
        auto& typed = static_cast<job_record&>(task);
        typed.destroy_element();
        typed.clear();
    }

    std::exception_ptr error_of(const record& task) const noexcept override {
        return static_cast<const job_record&>(task).error.get();
    }

    ~typed_source() override {
        // What was pulled and never taken: results that nobody asked for, tasks that never ran.
        for (auto& chunk : chunks_) {
            for (job_record& task : chunk) discard(task);
        }
    }

private:
    Puller puller_;
    Runner runner_;
    const bool measure_;
    std::stop_token token_;
    std::vector<std::vector<job_record>> chunks_;  ///< records never move: a chunk is made whole
    std::size_t unused_ = 0;
};

}  // namespace penstock::inline v0::detail
