// SPDX-License-Identifier: MIT
/// What an executor costs by itself, without any stream.
///
///     post/threads:N       an empty task, from the call until all have run, by N callers at once
///     submit_and_get       there and back: a worker is woken, then the caller, who sleeps until the result is there
///     start_and_end        an executor with N workers is made and destroyed, and runs nothing in between
///
/// The callers come on top of the workers, of which there is one for each usable core.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <penstock/executor.hpp>

#include "per_item.hpp"

namespace {

using namespace micro;

/// How many tasks each worker has run: counted without a word that the workers would have to share.
class tasks_by_worker {
public:
    explicit tasks_by_worker(std::size_t workers) : cells_(workers) {}
    /// In a task.
    void count() noexcept {
        std::atomic<std::size_t>& mine = cells_[penstock::this_worker()].count;
        mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    std::size_t sum() const noexcept {
        std::size_t all = 0;
        for (const cell& each : cells_) all += each.count.load(std::memory_order_acquire);
        return all;
    }

private:
    struct alignas(64) cell {
        std::atomic<std::size_t> count{0};
    };
    std::vector<cell> cells_;
};

/// Made by the first caller before the others begin, and destroyed by it when all are through.
std::unique_ptr<penstock::executor> shared_by_callers;

/// Each caller waits for its own tasks, with naps: the workers need its core, and beside an iteration they are short.
void post(benchmark::State& state) {
    using namespace std::chrono_literals;
    constexpr std::size_t count = 50'000;
    if (state.thread_index() == 0) shared_by_callers = std::make_unique<penstock::executor>();
    for (auto _ : state) {
        tasks_by_worker ran(shared_by_callers->workers());
        for (std::size_t i = 0; i < count; ++i) shared_by_callers->post([&ran] { ran.count(); });
        while (ran.sum() < count) std::this_thread::sleep_for(20us);
        if (ran.sum() != count) {
            state.SkipWithError("a task was run twice");
            break;
        }
    }
    if (state.thread_index() == 0) shared_by_callers.reset();
    tell_per_item(state, count);
}
BENCHMARK(post)->ThreadRange(1, 2)->Apply(with_threads);

void submit_and_get(benchmark::State& state) {
    penstock::executor ex;
    std::uint64_t number = 0;
    for (auto _ : state) {
        ++number;
        if (ex.submit([number] { return give_back(number); }).get() != number) {
            state.SkipWithError("a wrong result");
            break;
        }
    }
    tell_per_item(state, 1);
}
BENCHMARK(submit_and_get)->Apply(with_threads);

void start_and_end(benchmark::State& state) {
    const auto workers = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        const penstock::executor ex(workers);
        if (ex.workers() != workers) {
            state.SkipWithError("another number of workers");
            break;
        }
    }
    tell_per_item(state, 1);
}
BENCHMARK(start_and_end)->ArgName("workers")->Arg(1)->Arg(2)->Arg(4)->Arg(16)->Apply(with_threads);

}  // namespace

BENCHMARK_MAIN();
