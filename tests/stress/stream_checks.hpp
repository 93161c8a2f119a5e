// SPDX-License-Identifier: MIT
/// What the consumer of a random stream can check: every result, and the way in which the stream ends.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "stress/observed_jobs.hpp"

namespace stress {

/// How next() came to its end.
enum class ending { open, quiet, stopped, timed_out, source_error, task_error };

class stream_checks {
public:
    explicit stream_checks(observer& seen) : seen_(seen), plan_(seen.plan) {}

    void must_end_before(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }
    bool has_deadline() const { return deadline_.has_value(); }

    void check_order(std::size_t index) {
        if (plan_.in_order()) {
            if (index < next_index_) seen_.violation("C5: submission order went back", std::to_string(index));
            if (index > next_index_ && !plan_.cut_short())
                seen_.violation("C5: submission order left one out", std::to_string(next_index_));
            next_index_ = index + 1;
        }
        if (index >= came_.size()) came_.resize(index + index / 2 + 16);
        if (came_[index]) seen_.violation("I2: an item was delivered twice", std::to_string(index));
        came_[index] = true;
        highest_ = std::max(highest_, index + 1);
    }

    template <class Done>
    void check_result(Done& done, std::size_t index, bool ask_for_value) {
        const fate will = plan_.fate_of(index);
        if (done.has_value() != (will == fate::value))
            seen_.violation("I9: an item has the wrong outcome", std::to_string(index));
        if (done.has_value() != (done.error() == nullptr)) seen_.violation("has_value() and error() differ");
        if (!done.has_value()) ++errors_;
        if (plan_.fails_fast() && !done.has_value())
            seen_.violation("C5: an error was delivered in spite of on_error::stop");
        if (!plan_.measure && done.elapsed().count() != 0) seen_.violation("elapsed() without measure");
        if constexpr (requires { done.input(); }) {
            try {
                if (done.input().index != index || !done.input().intact()) seen_.violation("input() is wrong");
                if (will == fate::job_move_throws) seen_.violation("an input that could not be moved is there");
            } catch (const std::logic_error&) {
                if (will != fate::job_move_throws) seen_.violation("input() is missing");
            }
        }
        if (!ask_for_value) return;
        try {
            const product value = done.get();
            if (value.index != index) seen_.violation("a value has the wrong index");
            if (!value.intact()) seen_.violation("I13: a value is torn");
        } catch (const task_error& error) {
            if (error.index != index || error.what() != "task " + std::to_string(index))
                seen_.violation("I9: an error is not its task's");
            error.life.must_live("caught");
        }
    }

    /// On the consumer's thread `taken` stands still.
    template <class Stream>
    void check_window(Stream& stream) {
        const penstock::stream_stats stats = stream.stats();
        // The error that will be thrown at the end counts as taken when it is met.
        const std::size_t extra = stats.taken - seen_.delivered;
        if (extra > (plan_.fails_fast() ? 1U : 0U)) seen_.violation("stats: taken is not what was taken");
        if (stats.pulled - stats.taken > plan_.window()) seen_.violation("C1: stats show more than limit + buffer");
        if (stats.running > plan_.limit) seen_.violation("C1: stats show more than limit running");
        if (stats.pulled < highest_) seen_.violation("stats: fewer pulled than delivered");
    }

    void check_counters(const penstock::stream_stats& stats, ending end) {
        // The failing task counts as taken when it is met; a deadline may pass before it can be thrown.
        const std::size_t thrown = stats.taken - seen_.delivered;
        const bool may_be_one = end == ending::timed_out && plan_.fails_fast() && thrown <= 1;
        if (thrown != (end == ending::task_error ? 1U : 0U) && !may_be_one) {
            seen_.violation("I3: taken " + std::to_string(stats.taken) + ", delivered " +
                            std::to_string(seen_.delivered));
        }
        if (!plan_.fails_fast() && !deadline_ && stats.failed != errors_)
            seen_.violation("I9: failed " + std::to_string(stats.failed) + ", seen " + std::to_string(errors_));
        if (stats.stopped != 0) seen_.violation("I9: no task has thrown stopped");
    }

    bool settled(const penstock::stream_stats& stats) const {
        return stats.running == 0 && stats.ready == 0 && stats.taken + stats.dropped == stats.pulled &&
               (!plan_.source_is_code() || stats.pulled == seen_.pulls);
    }
    void check_ending(const penstock::stream_stats& stats, ending end, std::size_t ended_by) {
        const std::size_t delivered = seen_.delivered;
        const bool whole = stats.dropped == 0 && delivered == stats.pulled;
        switch (end) {
        case ending::open:
            return seen_.violation("the consumer has not ended");
        case ending::quiet:
            if (!whole || (plan_.n != never && delivered != plan_.n))
                seen_.violation("C5: a quiet end with " + std::to_string(delivered) + " delivered");
            if (plan_.n == never) seen_.violation("C5: a quiet end of an endless source");
            if (seen_.source_threw) seen_.violation("C3: the producer's exception is lost");
            return;
        case ending::stopped:
            if (!seen_.stop_began) seen_.violation("C5: stopped, and nobody has asked for it");
            // Also if the producer has thrown: nobody waits for a thread inside it, and that may still be on its way out.
            return;
        case ending::timed_out:
            if (!deadline_) seen_.violation("C5: timed out without a deadline");
            if (deadline_ && std::chrono::steady_clock::now() < *deadline_)
                seen_.violation("I12: timed out before the deadline");
            return;
        case ending::source_error:
            if (!seen_.source_threw) seen_.violation("C3: the producer has not thrown");
            if (!plan_.cut_short() && (!whole || delivered != plan_.source_throws_at))
                seen_.violation("C3: not all was delivered before the producer's exception");
            return;
        case ending::task_error:
            if (!plan_.fails_fast()) seen_.violation("C5: a task's error left next()");
            if (plan_.fate_of(ended_by) == fate::value) seen_.violation("C5: the error of a task that has none");
            if (ended_by < came_.size() && came_[ended_by])
                seen_.violation("I2: the error thrown was delivered before");
            if (plan_.in_order() && !plan_.cut_short()) {
                if (delivered != ended_by)
                    seen_.violation("C5: fail-fast in order delivered " + std::to_string(delivered) + " before " +
                                    std::to_string(ended_by));
                for (std::size_t at = 0; at < ended_by; ++at) {
                    if (plan_.fate_of(at) != fate::value) return seen_.violation("C5: not the lowest failing index");
                }
            }
            return;
        }
    }

private:
    observer& seen_;
    const stream_plan& plan_;
    std::optional<std::chrono::steady_clock::time_point> deadline_;
    std::vector<bool> came_;
    std::size_t next_index_ = 0;
    std::size_t highest_ = 0;
    std::size_t errors_ = 0;
};

}  // namespace stress
