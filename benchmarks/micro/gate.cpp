// SPDX-License-Identifier: MIT
/// What a gate costs: the tasks of a stream that passes one, and the gate's own operations without any stream.
///
///     tasks/GATE              empty tasks, 64 in flight. What a gate costs is the difference to tasks/none.
///     streams/GATE            the same by two threads with a stream each, which meet at the gate and on the workers
///     ask_and_release/GATE    a permit is taken and given back, by one thread or by two at once
///     refused                 what is paid for nothing
///     rate                    the arithmetic of a start
///
/// `room`, `parent`, `weight`, `max_weight` and `rate` never refuse. `cap_2` and `cap_1` do, since the stream would
/// have 64 in flight: a task waits there for another to end, and few are run at a time. So compare those with a stream
/// of that limit as well (`stream`, tasks/help).
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <penstock/penstock.hpp>

#include "gate_core.hpp"
#include "per_item.hpp"
#include "start_rate.hpp"

namespace {

using namespace micro;
using namespace std::chrono_literals;
using penstock::detail::gate_core;

constexpr std::size_t count = 50'000;
/// A cap that is never reached, and a rate that is always kept.
constexpr std::size_t plenty = 1'000'000'000;
constexpr penstock::rate fast{plenty, 1s, plenty};

// --- The tasks of streams

/// An iteration. Returns what is wrong.
const char* run_stream(penstock::executor& ex, const penstock::options& settings) {
    std::uint64_t sum = 0;
    for (auto& done : penstock::as_completed(ex, numbers(count), give_back, settings)) sum += done.get();
    return sum == sum_of_numbers(count) ? nullptr : "a task was lost or doubled";
}

void measure_stream(benchmark::State& state, penstock::gate* shared, std::size_t max_weight) {
    penstock::executor ex;
    for (auto _ : state) {
        const char* wrong = run_stream(ex, {.limit = 64, .max_weight = max_weight, .shared = shared});
        if (shared && shared->in_flight() != 0) wrong = "a permit was not given back";
        if (wrong) {
            state.SkipWithError(wrong);
            break;
        }
    }
    tell_per_item(state, count);
}

void tasks_without(benchmark::State& state, std::size_t max_weight) { measure_stream(state, nullptr, max_weight); }
BENCHMARK_CAPTURE(tasks_without, none, penstock::unlimited)->Name("tasks/none")->Apply(with_threads);
BENCHMARK_CAPTURE(tasks_without, max_weight, plenty)->Name("tasks/max_weight")->Apply(with_threads);

void tasks(benchmark::State& state, const penstock::gate_limits& limits) {
    penstock::gate gate(limits);
    measure_stream(state, &gate, penstock::unlimited);
}
BENCHMARK_CAPTURE(tasks, room, {.in_flight = plenty})->Apply(with_threads);
BENCHMARK_CAPTURE(tasks, weight, {.weight = plenty})->Apply(with_threads);
BENCHMARK_CAPTURE(tasks, rate, {.starts = fast})->Apply(with_threads);
BENCHMARK_CAPTURE(tasks, cap_2, {.in_flight = 2})->Apply(with_threads);
BENCHMARK_CAPTURE(tasks, cap_1, {.in_flight = 1})->Apply(with_threads);

void tasks_with_parent(benchmark::State& state) {
    penstock::gate parent(plenty);
    penstock::gate gate({.in_flight = plenty}, parent);
    measure_stream(state, &gate, penstock::unlimited);
}
BENCHMARK(tasks_with_parent)->Name("tasks/parent")->Apply(with_threads);

/// What the threads share: made by the first before the others begin, and destroyed by it when all are through.
struct shared_things {
    penstock::executor executor;
    penstock::gate gate;
};
std::unique_ptr<shared_things> shared_by_threads;

void streams(benchmark::State& state, std::size_t in_flight) {
    if (state.thread_index() == 0) shared_by_threads.reset(new shared_things{{}, penstock::gate(in_flight)});
    for (auto _ : state) {
        auto& [ex, gate] = *shared_by_threads;
        if (const char* wrong =
                run_stream(ex, {.limit = 64, .shared = in_flight < penstock::unlimited ? &gate : nullptr})) {
            state.SkipWithError(wrong);
            break;
        }
    }
    if (state.thread_index() == 0) shared_by_threads.reset();
    tell_per_item(state, count);
}
BENCHMARK_CAPTURE(streams, none, penstock::unlimited)->Threads(2)->Apply(with_threads);
BENCHMARK_CAPTURE(streams, room, plenty)->Threads(2)->Apply(with_threads);
BENCHMARK_CAPTURE(streams, cap_2, 2)->Threads(2)->Apply(with_threads);
BENCHMARK_CAPTURE(streams, cap_1, 1)->Threads(2)->Apply(with_threads);

// --- The operations. Who waits at a gate is a stream: so nobody waits here, and a rate is not asked.

void one_thread_or_two(benchmark::internal::Benchmark* each) { each->ThreadRange(1, 2)->UseRealTime(); }

void measure_passing(benchmark::State& state, gate_core& gate, const gate_core::request& wanted) {
    for (auto _ : state) {
        const std::size_t granted = gate.ask(wanted).granted;
        for (std::size_t i = 0; i < granted; ++i) gate.release(wanted.weight);
        if (granted != wanted.most) {
            state.SkipWithError("a gate with room has refused");
            break;
        }
    }
    tell_per_item(state, wanted.most);
}

/// `most`: permits that are asked for at once, as for a batch of a pump's. Each is given back by itself.
void ask_and_release(benchmark::State& state, std::size_t most) {
    static gate_core gate({.in_flight = plenty}, nullptr);
    measure_passing(state, gate, {.most = most});
}
BENCHMARK_CAPTURE(ask_and_release, room, 1)->Apply(one_thread_or_two);
BENCHMARK_CAPTURE(ask_and_release, room_for_16, 16)->Apply(one_thread_or_two);

void ask_and_release_weight(benchmark::State& state) {
    static gate_core gate({.weight = plenty}, nullptr);
    measure_passing(state, gate, {.weight = 2});
}
BENCHMARK(ask_and_release_weight)->Name("ask_and_release/weight")->Apply(one_thread_or_two);

void ask_and_release_parent(benchmark::State& state) {
    static gate_core parent({.in_flight = plenty}, nullptr);
    static gate_core gate({.in_flight = plenty}, &parent);
    measure_passing(state, gate, {});
}
BENCHMARK(ask_and_release_parent)->Name("ask_and_release/parent")->Apply(one_thread_or_two);

void refused(benchmark::State& state) {
    static gate_core gate({.in_flight = 1}, nullptr);
    if (state.thread_index() == 0) gate.ask({});
    for (auto _ : state) {
        if (gate.ask({}).granted != 0) {
            state.SkipWithError("a full gate has let somebody in");
            break;
        }
    }
    if (state.thread_index() == 0) gate.release(1);
    tell_per_item(state, 1);
}
BENCHMARK(refused)->Apply(one_thread_or_two);

/// A start each nanosecond is asked for and booked, on a clock of its own.
void rate(benchmark::State& state) {
    auto now = gate_core::clock::time_point{} + 1h;
    penstock::detail::start_rate starts(fast, now);
    for (auto _ : state) {
        now += 1ns;
        benchmark::DoNotOptimize(now);
        if (starts.when(0) > now) {
            state.SkipWithError("a start that the rate allows was put off");
            break;
        }
        starts.start(now);
    }
    tell_per_item(state, 1);
}
BENCHMARK(rate);

}  // namespace

BENCHMARK_MAIN();
