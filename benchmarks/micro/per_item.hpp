// SPDX-License-Identifier: MIT
/// What the programs here have in common: each tells what one task, record or call takes.
///
/// Read the column `per_item`. Time is that of a whole iteration, on the wall where threads are involved; CPU is then
/// what all threads of the program have used meanwhile. So CPU / Time tells how many cores were busy, and per_item
/// times that is what an item takes of them, which other work on the machine disturbs less. What does not give the
/// results that it should is reported as an error, and not measured.
///
/// --benchmark_filter=REGEX chooses, --benchmark_repetitions=N tells how far to trust it, --benchmark_min_time=0.05 is
/// enough for a first look. "Library was built as DEBUG", as Debian's says, means Google Benchmark alone, whose code is
/// not in what is timed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ranges>

#include <benchmark/benchmark.h>

namespace micro {

/// When all iterations are over. With several threads, each says what it has done itself.
inline void tell_per_item(benchmark::State& state, std::size_t items_of_an_iteration) {
    const auto items = state.iterations() * static_cast<std::int64_t>(items_of_an_iteration);
    state.SetItemsProcessed(items);
    state.counters["per_item"] =
        benchmark::Counter(static_cast<double>(items), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// For ->Apply(): other threads than the one that measures are at work.
inline void with_threads(benchmark::internal::Benchmark* each) { each->UseRealTime()->MeasureProcessCPUTime(); }

/// Inputs whose sum is known: whatever is lost or doubled is found.
inline auto numbers(std::size_t count) { return std::views::iota(std::uint64_t{0}, std::uint64_t{count}); }
constexpr std::uint64_t sum_of_numbers(std::size_t count) { return std::uint64_t{count} * (count - 1) / 2; }

/// A task that does nothing.
inline constexpr auto give_back = [](std::uint64_t number) { return number; };

}  // namespace micro
