// SPDX-License-Identifier: MIT
/// What a stream adds to a task, by how many are in flight and by what is asked of it. The tasks are empty: all of it
/// is overhead.
///
///     tasks/KIND/in_flight:N    a stream is made, all its tasks are run and taken; one worker for each usable core
///     make_and_.../workers:N    a stream that is hardly used, as a whole: what a loop over few tasks pays
///
/// `help` is what as_completed does unless told otherwise: the thread that measures runs tasks, too. Every other KIND
/// differs from it by one option, or by the kind of its jobs: compare them at the same N. Few in flight (1, 2, 4) show
/// what handing over costs, many (64 and more) what is left when it is shared by a batch. Where the consumer sleeps
/// between results (`no_help`, and few in flight of what it can not help with), it is the scheduler that is measured:
/// on a machine that has other work, those numbers mean nothing.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ranges>

#include <penstock/penstock.hpp>

#include "per_item.hpp"

namespace {

using namespace micro;
using namespace std::chrono_literals;

/// Enough that making the stream does not show.
constexpr std::size_t many = 200'000;
/// Of those that may take microseconds each.
constexpr std::size_t some = 20'000;

/// Measures streams of `count` tasks; make(executor, options) starts one.
void measure_streams(benchmark::State& state, std::size_t count, penstock::options settings, auto make) {
    penstock::executor ex;
    settings.limit = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        std::uint64_t sum = 0;
        for (auto& done : make(ex, settings)) sum += done.get();
        if (sum != sum_of_numbers(count)) {
            state.SkipWithError("a task was lost or doubled");
            break;
        }
    }
    tell_per_item(state, count);
}

void in_flights(benchmark::internal::Benchmark* each) {
    each->ArgName("in_flight")->Apply(with_threads);
    for (const int limit : {1, 2, 4, 16, 64, 256, 4096}) each->Arg(limit);
}

// --- Plain functions, under one option or another

void tasks(benchmark::State& state, std::size_t count, const penstock::options& settings) {
    measure_streams(state, count, settings, [count](penstock::executor& ex, const penstock::options& with) {
        return penstock::as_completed(ex, numbers(count), give_back, with);
    });
}

penstock::stream_observer deaf;  // what remains is to tell it

BENCHMARK_CAPTURE(tasks, help, many, {})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, no_help, some, {.help = false})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, in_order, many, {.order = penstock::order::submission})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, measure, many, {.measure = true})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, observer, many, {.observer = &deaf})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, retry, some, {.retry = penstock::retry_policy{}})->Apply(in_flights);
BENCHMARK_CAPTURE(tasks, task_timeout, some, {.task_timeout = 1h})->Apply(in_flights);

// --- Other kinds of jobs

void any_job(benchmark::State& state) {
    const auto job = [](std::uint64_t number) {
        return penstock::any_job<std::uint64_t>([number] { return give_back(number); });
    };
    measure_streams(state, some, {}, [job](penstock::executor& ex, const penstock::options& with) {
        return penstock::as_completed(ex, numbers(some) | std::views::transform(job), with);
    });
}
BENCHMARK(any_job)->Name("tasks/any_job")->Apply(in_flights);

void coroutine(benchmark::State& state) {
    const auto task = [](std::uint64_t number) -> penstock::task<std::uint64_t> { co_return number; };
    measure_streams(state, some, {}, [task](penstock::executor& ex, const penstock::options& with) {
        return penstock::as_completed(ex, numbers(some), task, with);
    });
}
BENCHMARK(coroutine)->Name("tasks/coroutine")->Apply(in_flights);

/// They run on threads of their own, of which there are as many as are in flight, up to 512.
void blocking(benchmark::State& state) {
    const auto job = [](std::uint64_t number) { return penstock::blocking([number] { return give_back(number); }); };
    measure_streams(state, some, {}, [job](penstock::executor& ex, const penstock::options& with) {
        return penstock::as_completed(ex, numbers(some), job, with);
    });
}
BENCHMARK(blocking)->Name("tasks/blocking")->Apply(in_flights);

// --- Streams that are hardly used

void by_workers(benchmark::internal::Benchmark* each) { each->ArgName("workers")->Arg(1)->Arg(2)->Apply(with_threads); }

/// Its producer would never end. At once: a worker has hardly been woken by then.
void make_and_drop(benchmark::State& state) {
    penstock::executor ex(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        const auto endless = penstock::as_completed(ex, std::views::iota(std::uint64_t{0}), give_back, 64);
        if (endless.done()) {
            state.SkipWithError("an endless stream was over");
            break;
        }
    }
    tell_per_item(state, 1);
}
BENCHMARK(make_and_drop)->Apply(by_workers);

/// The same once it is at work. What was pulled and has not started is dropped, what has started is waited for.
void make_and_leave(benchmark::State& state) {
    penstock::executor ex(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        auto endless = penstock::as_completed(ex, std::views::iota(std::uint64_t{0}), give_back, 64);
        auto first = endless.next();
        if (!first || first->get() != first->index()) {
            state.SkipWithError("an endless stream gave a wrong result");
            break;
        }
    }
    tell_per_item(state, 1);
}
BENCHMARK(make_and_leave)->Apply(by_workers);

/// From start to end. How much the first tasks of a stream cost, before it is known that they are short.
void make_and_end(benchmark::State& state) {
    penstock::executor ex(static_cast<std::size_t>(state.range(0)));
    const auto count = static_cast<std::size_t>(state.range(1));
    for (auto _ : state) {
        std::uint64_t sum = 0;
        std::size_t taken = 0;
        for (auto& done : penstock::as_completed(ex, numbers(count), give_back, 64)) {
            sum += done.get();
            ++taken;
        }
        if (taken != count || sum != sum_of_numbers(count)) {
            state.SkipWithError("a task was lost or doubled");
            break;
        }
    }
    tell_per_item(state, 1);
}
BENCHMARK(make_and_end)
    ->ArgNames({"workers", "tasks"})
    ->ArgsProduct({{1, 2}, {0, 1, 10, 100, 1000}})
    ->Apply(with_threads);

}  // namespace

BENCHMARK_MAIN();
