// SPDX-License-Identifier: MIT
/// The workloads, each defined once. A workload says what the inputs are, what a task does with one, what the consumer does
/// with a result, and how many may be in flight; a contender (contenders/) says how that is done.
///
/// A contender is a class that is made with the number of threads that may compute, and has
///
///     template <class Inputs, class Task, class Sink>
///     void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink);
///
/// It asks `inputs`, a lazy range that may be single-pass, for one input after the other; has task(input) run for each on any
/// thread, at most in_flight begun or waiting to begin at a time; and gives each result to sink(result), one at a time, as
/// soon as that is possible, in any order. It returns when all results were given. It is called more than once, and for the
/// many-streams workload by several threads at once. Where its community would tell blocking tasks from those that compute,
/// or has timers, it also has run_mixed() or run_sleeping(), as below.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <ranges>
#include <thread>
#include <vector>

#include "work.hpp"

namespace benchmarks {

/// What the command line gives; each workload uses some of it.
struct settings {
    std::size_t threads = 2;      ///< that may compute at a time
    std::size_t tasks = 1'000'000;
    std::size_t in_flight = 64;
    std::size_t turns = 0;        ///< of work() in a task
    std::size_t heavy_every = 0;  ///< heavy_tailed: one task in so many takes heavy_times as long
    std::size_t heavy_times = 1'000;
    std::size_t sink_turns = 0;    ///< slow_consumer, latency: of work() for each result
    std::size_t source_turns = 0;  ///< slow_producer: of work() for each input
    std::size_t bytes = 0;         ///< large_results
    std::size_t streams = 1;       ///< many_streams
    std::size_t milliseconds = 0;  ///< sleeping, mixed: of sleep in a task
    std::size_t blocking_every = 10;  ///< mixed: one task in so many blocks
};

/// What is known when a run is over: enough to tell whether every task ran once, and was delivered once.
struct outcome {
    std::size_t results = 0;
    std::uint64_t sum = 0;                  ///< of the inputs, found in the results
    std::vector<std::uint32_t> latencies{};  ///< nanoseconds from a task's end to its delivery, if the workload measures it
};

/// A consumer that counts what it gets. One for each thread that consumes.
struct tally : outcome {
    void operator()(std::uint64_t value) {
        ++results;
        sum += value;
    }
    void add(const tally& other) {
        results += other.results;
        sum += other.sum;
        latencies.insert(latencies.end(), other.latencies.begin(), other.latencies.end());
    }
};

inline auto numbers(std::size_t from, std::size_t to) { return std::views::iota(std::uint64_t{from}, std::uint64_t{to}); }

inline auto task_of(std::size_t turns) {
    return [turns](std::uint64_t value) {
        tasks_by_thread::count();
        return work(value, turns);
    };
}

// --- W1, W2: tasks that are empty, or short and alike

template <class Contender>
outcome short_tasks(Contender& who, const settings& with) {
    tally sink;
    who.run(with.in_flight, numbers(0, with.tasks), task_of(with.turns), sink);
    return sink;
}

// --- W3: a few tasks are a thousand times as long as the others

/// A fixed choice, spread without a pattern.
inline bool is_heavy(std::uint64_t value, std::size_t every) noexcept {
    std::uint64_t mixed = (value + 1) * 0x9E3779B97F4A7C15U;
    mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93U;
    return (mixed ^ (mixed >> 32)) % every == 0;
}

inline std::size_t heavy_tailed_turns(std::uint64_t value, const settings& with) noexcept {
    return is_heavy(value, with.heavy_every) ? with.turns * with.heavy_times : with.turns;
}

template <class Contender>
outcome heavy_tailed(Contender& who, const settings& with) {
    const auto task = [with](std::uint64_t value) {
        tasks_by_thread::count();
        return work(value, heavy_tailed_turns(value, with));
    };
    tally sink;
    who.run(with.in_flight, numbers(0, with.tasks), task, sink);
    return sink;
}

/// The makespan of a list schedule without any overhead, in turns: whoever is free begins the next input. Nobody who must take
/// the inputs in their order, and does not know their lengths, can do better.
inline double best_makespan(const settings& with) {
    std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
    for (std::size_t thread = 0; thread < with.threads; ++thread) free_at.push(0);
    double end = 0;
    for (std::uint64_t value = 0; value < with.tasks; ++value) {
        const double until = free_at.top() + static_cast<double>(heavy_tailed_turns(value, with));
        free_at.pop();
        free_at.push(until);
        end = std::max(end, until);
    }
    return end;
}

// --- W4: tasks that sleep

/// `run_sleeping(in_flight, inputs, sleep, sink)`: each task sleeps for so long, then gives its input back.
template <class Contender>
concept sleeps = requires(Contender& who, tally& sink) {
    who.run_sleeping(std::size_t{1}, numbers(0, 1), std::chrono::milliseconds(1), sink);
};

template <sleeps Contender>
outcome sleeping(Contender& who, const settings& with) {
    tally sink;
    who.run_sleeping(with.in_flight, numbers(0, with.tasks), std::chrono::milliseconds(with.milliseconds), sink);
    return sink;
}

// --- W5: tasks that compute beside tasks that block

inline auto blocking_task(std::size_t milliseconds) {
    return [milliseconds](std::uint64_t value) {
        tasks_by_thread::count();
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        return value;
    };
}

/// `run_mixed(in_flight, inputs, blocks, compute, block, sink)`: task block(input) where blocks(input), else compute(input).
template <class Contender>
concept tells_kinds_apart = requires(Contender& who, tally& sink) {
    who.run_mixed(std::size_t{1}, numbers(0, 1), [](std::uint64_t) { return true; }, task_of(0), blocking_task(0), sink);
};

template <class Contender>
outcome mixed(Contender& who, const settings& with) {
    const auto blocks = [with](std::uint64_t value) { return is_heavy(value, with.blocking_every); };
    const auto compute = task_of(with.turns);
    const auto block = blocking_task(with.milliseconds);
    tally sink;
    if constexpr (tells_kinds_apart<Contender>) {
        who.run_mixed(with.in_flight, numbers(0, with.tasks), blocks, compute, block, sink);
    } else {
        const auto either = [=](std::uint64_t value) { return blocks(value) ? block(value) : compute(value); };
        who.run(with.in_flight, numbers(0, with.tasks), either, sink);
    }
    return sink;
}

// --- W6: a consumer, or a producer, that takes longer than the tasks

struct slow_tally : tally {
    std::size_t turns = 0;
    void operator()(std::uint64_t value) { tally::operator()(work(value, turns)); }
};

template <class Contender>
outcome slow_consumer(Contender& who, const settings& with) {
    slow_tally sink;
    sink.turns = with.sink_turns;
    who.run(with.in_flight, numbers(0, with.tasks), task_of(with.turns), sink);
    return sink;
}

template <class Contender>
outcome slow_producer(Contender& who, const settings& with) {
    const auto slow = [turns = with.source_turns](std::uint64_t value) { return work(value, turns); };
    tally sink;
    who.run(with.in_flight, numbers(0, with.tasks) | std::views::transform(slow), task_of(with.turns), sink);
    return sink;
}

// --- W7: many streams at a time, each with a consumer of its own, over the same threads

template <class Contender>
outcome many_streams(Contender& who, const settings& with) {
    std::vector<tally> sinks(with.streams);
    {
        std::vector<std::jthread> consumers;
        for (std::size_t stream = 0; stream < with.streams; ++stream) {
            consumers.emplace_back([&, stream] {
                const auto part = numbers(with.tasks * stream / with.streams, with.tasks * (stream + 1) / with.streams);
                tally here;  // on this thread's own stack: the sinks share cache lines
                who.run(with.in_flight, part, task_of(with.turns), here);
                sinks[stream] = std::move(here);
            });
        }
    }
    tally all;
    for (const tally& each : sinks) all.add(each);
    return all;
}

// --- W8: large results

struct large_result {
    std::uint64_t value;
    std::vector<std::byte> bytes;
};

struct large_tally : tally {
    std::size_t expected = 0;
    void operator()(large_result result) {
        if (result.bytes.size() == expected && result.bytes.back() == static_cast<std::byte>(result.value)) {
            tally::operator()(result.value);
        }
    }
};

template <class Contender>
outcome large_results(Contender& who, const settings& with) {
    const auto task = [bytes = with.bytes](std::uint64_t value) {
        tasks_by_thread::count();
        return large_result{value, std::vector<std::byte>(bytes, static_cast<std::byte>(value))};
    };
    large_tally sink;
    sink.expected = with.bytes;
    who.run(with.in_flight, numbers(0, with.tasks), task, sink);
    return sink;
}

// --- W10: from a task's end to its delivery

struct stamped {
    std::uint64_t value;
    clock::time_point ended;
};

struct latency_tally : tally {
    std::size_t turns = 0;
    void operator()(stamped result) {
        const auto late = std::chrono::nanoseconds(clock::now() - result.ended).count();
        latencies.push_back(static_cast<std::uint32_t>(std::clamp<std::int64_t>(late, 0, UINT32_MAX)));
        tally::operator()(work(result.value, turns));
    }
};

template <class Contender>
outcome latency(Contender& who, const settings& with) {
    const auto task = [turns = with.turns](std::uint64_t value) {
        tasks_by_thread::count();
        work(value, turns);
        return stamped{value, clock::now()};
    };
    latency_tally sink;
    sink.turns = with.sink_turns;
    sink.latencies.reserve(with.tasks);
    who.run(with.in_flight, numbers(0, with.tasks), task, sink);
    return sink;
}

}  // namespace benchmarks
