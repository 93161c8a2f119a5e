// SPDX-License-Identifier: MIT
/// oneTBB's parallel_pipeline: a serial filter takes the inputs, a parallel one runs the tasks, a serial one is the
/// consumer; in_flight is the number of live tokens.
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <concepts>
#include <ranges>
#include <type_traits>
#include <utility>

#include "../contender.hpp"

namespace benchmarks {
namespace {

class parallel_pipeline {
public:
    explicit parallel_pipeline(std::size_t threads)
        : limit(tbb::global_control::max_allowed_parallelism, threads), arena(static_cast<int>(threads)) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        using input_type = std::ranges::range_value_t<Inputs>;
        using result_type = std::decay_t<std::invoke_result_t<Task&, input_type>>;
        static_assert(std::default_initializable<input_type>, "the first filter returns one at the end, too");

        auto next = std::ranges::begin(inputs);
        const auto end = std::ranges::end(inputs);
        bool is_first = true;
        // Advances when the next input is wanted, not once this one is taken: a slow range would hold up its task.
        const auto take = [&](tbb::flow_control& control) -> input_type {
            if (!std::exchange(is_first, false)) ++next;
            if (next == end) {
                control.stop();
                return input_type{};
            }
            return *next;
        };
        const auto compute = [&](input_type input) -> result_type { return task(std::move(input)); };
        const auto give = [&](result_type result) { sink(std::move(result)); };

        // Nobody asks for an order, and then the library need not number the tokens.
        const auto serial = tbb::filter_mode::serial_out_of_order;
        const auto filters = tbb::make_filter<void, input_type>(serial, take) &
                             tbb::make_filter<input_type, result_type>(tbb::filter_mode::parallel, compute) &
                             tbb::make_filter<result_type, void>(serial, give);
        // All callers share the arena: with an implicit one for each, all would compute, beyond the number of threads.
        arena.execute([&] { tbb::parallel_pipeline(std::max<std::size_t>(in_flight, 1), filters); });
    }

private:
    tbb::global_control limit;  // or an arena larger than the machine gets no more threads than there are cores
    tbb::task_arena arena;      // one of its threads is the caller
};

const bool added = add_contender<parallel_pipeline>("parallel_pipeline");

}  // namespace
}  // namespace benchmarks
