// SPDX-License-Identifier: MIT
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include "contenders.hpp"

namespace benchmarks {

outcome run_parallel_pipeline(const workload& load) {
    namespace flow = tbb;
    struct done {
        std::uint64_t value;
        std::uint32_t worker;
    };
    const std::size_t turns = load.turns;
    std::vector<std::size_t> tasks_by(static_cast<std::size_t>(tbb::this_task_arena::max_concurrency()));
    outcome result;
    std::uint64_t next = 0;
    const auto begin = clock::now();
    tbb::parallel_pipeline(
        load.in_flight,
        flow::make_filter<void, std::uint64_t>(flow::filter_mode::serial_in_order,
                                               [&](tbb::flow_control& control) -> std::uint64_t {
                                                   if (next == load.tasks) {
                                                       control.stop();
                                                       return 0;
                                                   }
                                                   return next++;
                                               }) &
            flow::make_filter<std::uint64_t, done>(
                flow::filter_mode::parallel,
                [turns](std::uint64_t value) {
                    return done{work(value, turns),
                                static_cast<std::uint32_t>(tbb::this_task_arena::current_thread_index())};
                }) &
            flow::make_filter<done, void>(flow::filter_mode::serial_out_of_order, [&](const done& got) {
                result.sum += got.value;
                ++tasks_by[got.worker];
            }));
    result.wall = clock::now() - begin;
    for (const std::size_t tasks : tasks_by) {
        result.shares.push_back(static_cast<double>(tasks) / static_cast<double>(load.tasks));
    }
    return result;
}

}  // namespace benchmarks
