// SPDX-License-Identifier: MIT
/// oneTBB's parallel_for_each, fed by its own tasks: each takes an input, runs its task, and gives the result to
/// the consumer under a mutex.
///
/// It does not iterate over the range itself: of single-pass iterators parallel_for_each reads four inputs, and
/// looks for a fifth, before it begins the first. So a cap below four would need a barrier after each few inputs,
/// and a slow range would hold up tasks that could begin. It iterates over turns instead, and whoever has a turn
/// takes inputs, each as its task begins: no input ever waits, and no more tasks are begun than there are turns.
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for_each.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include "../contender.hpp"

namespace benchmarks {
namespace {

/// All threads take both mutexes all the time: neither shares its cache line with the other. They spin, as short tasks
/// take longer with tbb::mutex, which blocks, and tasks with a slow consumer or producer take no less.
constexpr std::size_t cache_line = 64;

template <class Inputs>
class alignas(cache_line) shared_inputs {
public:
    using value_type = std::ranges::range_value_t<Inputs>;

    explicit shared_inputs(Inputs range) : inputs(std::move(range)) {}

    std::optional<value_type> take() {
        const tbb::spin_mutex::scoped_lock lock(mutex);
        if (is_over) return std::nullopt;
        // Advances when the next input is wanted, not once this one is taken: a slow range would hold up its task.
        if (std::exchange(is_begun, true)) ++next;
        is_over = next == end;
        if (is_over) return std::nullopt;
        return *next;
    }

private:
    tbb::spin_mutex mutex;
    bool is_begun = false;
    bool is_over = false;
    Inputs inputs;
    std::ranges::iterator_t<Inputs> next = std::ranges::begin(inputs);
    std::ranges::sentinel_t<Inputs> end = std::ranges::end(inputs);
};

class parallel_for_each {
public:
    explicit parallel_for_each(std::size_t threads)
        : count(threads),
          limit(tbb::global_control::max_allowed_parallelism, threads),
          arena(static_cast<int>(threads)) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        shared_inputs<Inputs> shared(std::move(inputs));
        alignas(cache_line) tbb::spin_mutex one_at_a_time;
        const auto body = [&](turn, tbb::feeder<turn>& feeder) {
            for (std::size_t tasks = 0; tasks < tasks_in_a_turn; ++tasks) {
                auto input = shared.take();
                if (!input) return;
                auto result = task(*std::move(input));
                const tbb::spin_mutex::scoped_lock lock(one_at_a_time);
                sink(std::move(result));
            }
            feeder.add(turn{});
        };
        // More than one for each thread would be no use: a turn only ever waits for a thread.
        const std::vector<turn> turns(std::clamp<std::size_t>(in_flight, 1, count));
        // All callers share the arena: with an implicit one for each, all would compute, beyond the number of threads.
        arena.execute([&] { tbb::parallel_for_each(turns.begin(), turns.end(), body); });
    }

private:
    struct turn {};

    /// As in the library's own blocks. It spares three of four spawns, and delays no result; with many more, a thread
    /// would not look for other work, such as that of another stream, for a while.
    static constexpr std::size_t tasks_in_a_turn = 4;

    std::size_t count;
    tbb::global_control limit;  // or an arena larger than the machine gets no more threads than there are cores
    tbb::task_arena arena;      // one of its threads is the caller
};

const bool added = add_contender<parallel_for_each>("parallel_for_each");

}  // namespace
}  // namespace benchmarks
