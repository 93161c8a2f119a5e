// SPDX-License-Identifier: MIT
/// The standard library alone: a sliding window of std::async futures, of which the oldest is taken first. A thread for
/// each task, and results in the order of the inputs.
#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <ranges>
#include <type_traits>
#include <utility>

#include "../contender.hpp"

namespace benchmarks {
namespace {

/// Each task is a thread of its own, so `threads` times this is the most threads that a run has. A wider window hardly
/// changes how many tasks are done in a second, but piles up threads, and with them the time until a result is taken; a
/// few streams of 4096 exceed what a process may have, upon which std::async throws. A narrower one, down to `threads`,
/// delivers sooner, but stands still while the oldest task is long or blocks, and waits for threads to exit: get()
/// joins, which is cheap only for a thread that has ended already.
constexpr std::size_t tasks_per_thread = 32;

/// Nothing in std::async limits how many of the window compute at a time: that is left to the cores. Where `threads` is
/// less than these, confine the process (taskset).
class std_async {
public:
    explicit std_async(std::size_t threads) : widest_(threads * tasks_per_thread) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        using result = std::invoke_result_t<Task&, std::ranges::range_value_t<Inputs>>;
        const std::size_t window = std::min(in_flight, widest_);
        std::deque<std::future<result>> futures;  // after the task: its destructor waits for those not yet taken
        const auto take_oldest = [&] {
            sink(futures.front().get());
            futures.pop_front();
        };
        for (auto&& input : inputs) {
            using reference = decltype(input);
            futures.push_back(std::async(std::launch::async, std::ref(task), std::forward<reference>(input)));
            // A result that is ready need not wait until the window is full. One for each task that begins: to take all
            // that are ready is to join threads that have not quite ended, and makes short tasks twice as long.
            if (futures.size() >= window || is_ready(futures.front())) take_oldest();
        }
        while (!futures.empty()) take_oldest();
    }

private:
    template <class Result>
    static bool is_ready(const std::future<Result>& future) {
        return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }

    std::size_t widest_;
};

const bool added = add_contender<std_async>("std::async window");

}  // namespace
}  // namespace benchmarks
