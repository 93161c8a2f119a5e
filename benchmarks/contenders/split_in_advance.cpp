// SPDX-License-Identifier: MIT
/// Not a contender but an ideal, the bound that nobody beats for tasks that are alike: the inputs split in advance, a
/// part for each thread, without a queue or a cap.
///
/// It does what a contender must not: it needs all inputs at hand in a random-access range, ignores in_flight, and has
/// each thread consume its own results, in a copy of the sink. Where tasks differ (heavy_tailed, mixed) it is no bound,
/// since a thread that is done takes nothing from the others. Where the inputs or the consumer are slow it does on all
/// threads what a contender's caller does alone.
#include <iterator>
#include <ranges>
#include <thread>
#include <utility>
#include <vector>

#include "../contender.hpp"

namespace benchmarks {
namespace {

class split_in_advance {
public:
    explicit split_in_advance(std::size_t threads) : threads_(threads) {}

    template <std::ranges::random_access_range Inputs, class Task, class Sink>
        requires std::ranges::sized_range<Inputs>
    void run(std::size_t, Inputs inputs, Task task, Sink& sink) {
        const auto count = static_cast<std::size_t>(std::ranges::size(inputs));
        const auto begin = std::ranges::begin(inputs);
        const auto boundary = [&](std::size_t part) {
            return begin + static_cast<std::ranges::range_difference_t<Inputs>>(count * part / threads_);
        };
        Sink empty = sink;  // its settings, without what it may have counted already
        static_cast<tally&>(empty) = tally{};
        std::vector<Sink> sinks(threads_, empty);
        const auto run_part = [&](std::size_t part) {
            // On this thread's own stack: the sinks share cache lines, and the counts may stay in registers.
            Sink here = sinks[part];
            here.latencies.reserve(sink.latencies.capacity() / threads_ + 1);
            Task own_task = task;
            const auto last = boundary(part + 1);
            for (auto at = boundary(part); at != last; ++at) here(own_task(*at));
            sinks[part] = std::move(here);
        };
        {
            std::vector<std::jthread> others;
            others.reserve(threads_ - 1);
            for (std::size_t part = 1; part < threads_; ++part) others.emplace_back(run_part, part);
            run_part(0);
        }
        for (const Sink& each : sinks) sink.add(each);
    }

private:
    std::size_t threads_;
};

const bool added = add_contender<split_in_advance>("split in advance (ideal)");

}  // namespace
}  // namespace benchmarks
