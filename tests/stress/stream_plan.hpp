// SPDX-License-Identifier: MIT
/// One point of the parameter cube: everything about one stream that is decided beforehand, from a seed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include <penstock/penstock.hpp>

#include "stress/random_numbers.hpp"

namespace stress {

inline constexpr std::size_t never = SIZE_MAX;

enum class source_kind {
    vector_lvalue,
    vector_rvalue,
    view_lvalue,
    view_rvalue,
    callable_lvalue,
    callable_rvalue,
    callable_with_token
};
enum class consumer_kind { next, range_for, polling, next_for, mixed, destroy_at_once };
enum class leave_kind { stays, breaks, throws, drops_elsewhere, goes_on_elsewhere };
enum class stop_kind { none, token, method, token_in_task, method_in_task, method_by_consumer, before_start };
/// What a task comes to, by its index alone.
enum class fate { value, throws, job_move_throws, result_move_throws };
enum class task_kind { empty, spins, long_one, yields, nests, posts };

enum class pause { nothing, yields, sleeps, blocks, is_completed, awaits_a_task, throws_and_catches };

struct stream_plan {
    std::uint64_t seed = 0;
    std::size_t workers = 1;
    std::size_t threads = 512;  ///< executor_options::max_blocking_threads
    unsigned depth = 0;         ///< how many streams deep its tasks may still go
    bool nested = false;        ///< its consumer is inside a task
    bool alone = true;          ///< no other stream uses the executor's workers
    std::size_t limit = 1;
    std::size_t buffer = penstock::auto_buffer;
    std::size_t n = 0;  ///< never: endless
    source_kind source = source_kind::view_rvalue;
    bool with_inputs = false;  ///< as_completed(ex, inputs, f), not (ex, jobs)
    bool blocking = false;     ///< its tasks are blocking jobs, as elements or as what f returns
    bool coroutines = false;   ///< its tasks are coroutines that f returns
    bool slow_source = false;
    std::size_t source_throws_at = never;
    std::size_t source_blocks_at = never;  ///< until everything before it was taken
    std::size_t failing_percent = 0;
    std::size_t busy_percent = 0;  ///< tasks that are not empty
    penstock::order order = penstock::order::completion;
    penstock::on_error on_error = penstock::on_error::yield;
    bool help = true;
    bool measure = false;
    stop_kind stop = stop_kind::none;
    std::size_t stop_at = never;  ///< when the stream has made so many steps, or in that task
    std::size_t deadline_us = never;
    consumer_kind consumer = consumer_kind::next;
    leave_kind leave = leave_kind::stays;
    std::size_t leave_at = never;  ///< when so many were taken
    bool slow_consumer = false;

    bool cut_short() const { return stop != stop_kind::none || deadline_us != never; }
    bool fails_fast() const { return on_error == penstock::on_error::stop; }
    bool in_order() const { return order == penstock::order::submission; }
    std::size_t window() const {
        const std::size_t multiple = in_order() ? 4 : 1;
        const std::size_t spare = buffer != penstock::auto_buffer ? buffer
                                  : limit > SIZE_MAX / multiple   ? SIZE_MAX
                                                                  : limit * multiple;
        return limit > SIZE_MAX - spare ? SIZE_MAX : limit + spare;
    }
    /// Whether each call of the source is seen, and not only what is in it.
    bool source_is_code() const { return source != source_kind::vector_lvalue && source != source_kind::vector_rvalue; }

    std::uint64_t luck(std::size_t index, unsigned what) const { return mixed(mixed(seed, index), what); }
    fate fate_of(std::size_t index) const {
        if (luck(index, 1) % 100 >= failing_percent) return fate::value;
        switch (luck(index, 2) % 8) {
        case 0:
            return fate::job_move_throws;
        case 1:
            return fate::result_move_throws;
        default:
            return fate::throws;
        }
    }
    /// Of a function that returns blocking jobs: what it does before it does.
    bool function_throws(std::size_t index) const { return fate_of(index) == fate::throws && luck(index, 12) % 3 == 0; }
    bool function_nests(std::size_t index) const { return depth > 0 && busy_percent > 0 && luck(index, 13) % 64 == 0; }
    /// Of a coroutine: what it waits for, one thing after the other, until it is nothing.
    pause pause_of(std::size_t index, unsigned turn) const {
        const auto rolled = static_cast<pause>(luck(index, 20 + turn) % 7);
        // What is posted may need the very worker that waits for a nested stream: nothing is promised for that.
        return nested && rolled == pause::is_completed ? pause::yields : rolled;
    }
    task_kind kind_of(std::size_t index) const {
        if (luck(index, 3) % 100 >= busy_percent) return task_kind::empty;
        const std::uint64_t roll = luck(index, 4) % 100;
        if (roll < 60) return task_kind::spins;
        if (roll < 75) return task_kind::yields;
        if (roll < 85) return task_kind::posts;
        if (roll < 97) return depth > 0 ? task_kind::nests : task_kind::spins;
        return task_kind::long_one;
    }

    std::string describe() const {
        std::ostringstream text;
        const auto count = [](std::size_t x) { return x == never ? std::string("-") : std::to_string(x); };
        text << "seed " << seed << " workers " << workers << " limit " << count(limit) << " buffer "
             << (buffer == penstock::auto_buffer ? "auto" : std::to_string(buffer)) << " n " << count(n) << " source "
             << static_cast<int>(source) << (with_inputs ? " inputs" : " jobs")
             << (blocking ? " blocking, threads " + std::to_string(threads) : "") << (coroutines ? " coroutines" : "")
             << (slow_source ? " slow" : "") << " throws@" << count(source_throws_at) << " blocks@"
             << count(source_blocks_at) << " failing% " << failing_percent << " busy% " << busy_percent
             << (in_order() ? " submission" : " completion") << (fails_fast() ? " fail-fast" : " yield")
             << (help ? " help" : " no-help") << " stop " << static_cast<int>(stop) << "@" << count(stop_at)
             << " deadline " << count(deadline_us) << " us, consumer " << static_cast<int>(consumer) << " leave "
             << static_cast<int>(leave) << "@" << count(leave_at) << (slow_consumer ? " slow-consumer" : "")
             << (nested ? " nested" : "") << " depth " << depth;
        return text.str();
    }
};

/// How long things may be: one in `n` is long enough to matter, so that a run is mostly many short streams.
inline std::size_t random_length(random_numbers& random, std::size_t limit, bool nested) {
    const std::size_t some = nested ? 12 : 200;
    if (limit > 5000) return random.below(some * 3);
    switch (random.below(nested ? 6 : 9)) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return limit - 1;
    case 3:
        return limit;
    case 4:
        return limit + 1;
    case 5:
        return random.below(some);
    case 6:
        return never;
    default:
        return random.below(5000);
    }
}

inline stream_plan random_plan(std::uint64_t seed, std::size_t workers, std::size_t threads, bool alone, unsigned depth,
                               bool nested) {
    random_numbers random(seed);
    stream_plan plan;
    plan.seed = seed;
    plan.workers = workers;
    plan.threads = threads;
    plan.depth = depth;
    plan.nested = nested;
    plan.alone = alone;
    plan.limit = nested ? random.one_of<std::size_t>({1, 2, 3, 7})
                        : random.one_of<std::size_t>({1, 2, 3, 7, 64, 64, 1000, SIZE_MAX});
    plan.buffer = random.one_of<std::size_t>({penstock::auto_buffer, penstock::auto_buffer, 0, 1, 5});
    plan.n = random_length(random, plan.limit, nested);
    plan.source = static_cast<source_kind>(random.below(7));
    if (plan.n == never && !plan.source_is_code()) plan.source = source_kind::view_rvalue;
    plan.with_inputs = random.one_in(2);
    plan.blocking = random.one_in(3);
    plan.coroutines = plan.with_inputs && !plan.blocking && random.one_in(2);
    plan.slow_source = random.one_in(10);
    plan.failing_percent = random.one_of<std::size_t>({0, 0, 0, 3, 40, 100});
    plan.busy_percent = random.one_of<std::size_t>({0, 0, 5, 30, 100});
    plan.order = random.one_in(2) ? penstock::order::completion : penstock::order::submission;
    plan.on_error = random.one_in(3) ? penstock::on_error::stop : penstock::on_error::yield;
    plan.help = random.percent(60);
    plan.measure = random.one_in(8);
    plan.slow_consumer = random.one_in(10);
    plan.consumer = static_cast<consumer_kind>(random.below(5));
    // Who only polls does not wait, so nothing is promised to him in a task: he may hold the only worker.
    if (nested && plan.consumer == consumer_kind::polling) plan.consumer = consumer_kind::next_for;
    if (random.one_in(15)) plan.consumer = consumer_kind::destroy_at_once;
    const std::size_t span = std::min<std::size_t>(plan.n, 1500) + 2;
    if (plan.source_is_code() && random.one_in(6)) plan.source_throws_at = random.below(span);
    if (random.one_in(4)) {
        plan.stop = static_cast<stop_kind>(1 + random.below(6));
        plan.stop_at = random.below(2 * span);
    }
    if (random.one_in(10)) plan.deadline_us = random.one_in(4) ? 0 : random.below(5000);
    if (random.one_in(3)) {
        plan.leave = static_cast<leave_kind>(1 + random.below(4));
        plan.leave_at = random.below(span);
    }
    // An endless stream has to be left, or stopped for sure.
    if (plan.n == never && plan.leave == leave_kind::stays && plan.stop != stop_kind::before_start) {
        plan.stop = stop_kind::method_by_consumer;
        plan.stop_at = random.below(span);
    }
    if (plan.n == never && plan.leave == leave_kind::goes_on_elsewhere) plan.leave = leave_kind::drops_elsewhere;
    // A source that waits for the consumer: only where somebody is sure to be left who runs what was pulled (C12).
    // Coroutines go on on workers alone.
    const bool helped = plan.help && !plan.coroutines;
    const bool somebody_left = helped || std::min(plan.limit, workers) >= 2 || plan.limit == 1;
    const bool waits = plan.consumer == consumer_kind::next || plan.consumer == consumer_kind::range_for;
    if (alone && !nested && !plan.cut_short() && !plan.fails_fast() && plan.source >= source_kind::callable_lvalue &&
        waits && somebody_left && plan.source_throws_at == never && random.one_in(2)) {
        plan.source_blocks_at = random.below(span);
    }
    return plan;
}

}  // namespace stress
