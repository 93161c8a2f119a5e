// SPDX-License-Identifier: MIT
/// What people compose by hand: an arena of oneTBB as the thread pool, a count of free slots for the cap, and the blocking
/// concurrent queue of moodycamel for the results. Tasks that block have a pool of plain threads.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <iterator>
#include <mutex>
#include <ranges>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include "../contender.hpp"

namespace benchmarks {
namespace {

/// As many threads as there are jobs at a time, up to a limit; each made when it is first needed.
class blocking_pool {
public:
    ~blocking_pool() {
        {
            const std::lock_guard guard(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& each : threads_) each.join();
    }

    template <class Job>
    void enqueue(Job job) {
        const std::lock_guard guard(mutex_);
        jobs_.emplace_back(std::move(job));
        if (jobs_.size() > idle_ && threads_.size() < most_threads) threads_.emplace_back([this] { work_off(); });
        changed_.notify_one();
    }

private:
    static constexpr std::size_t most_threads = 512;

    void work_off() {
        std::unique_lock guard(mutex_);
        while (true) {
            ++idle_;
            changed_.wait(guard, [this] { return stopping_ || !jobs_.empty(); });
            --idle_;
            if (jobs_.empty()) return;
            std::packaged_task<void()> job = std::move(jobs_.front());
            jobs_.pop_front();
            guard.unlock();
            job();
            job = {};
            guard.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::packaged_task<void()>> jobs_;  // not std::function: an input may be move-only
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool stopping_ = false;
};

struct no_spinning : moodycamel::ConcurrentQueueDefaultTraits {
    static const int MAX_SEMA_SPINS = 0;  // where every core computes, spinning only holds up what is waited for
};

template <class Result>
using result_queue = moodycamel::BlockingConcurrentQueue<Result, no_spinning>;

/// The task and the queue outlive it: who made them waits for the result.
template <class Input, class Task, class Result>
struct job {
    Task& task;
    result_queue<Result>& results;
    mutable Input input;  // an arena calls what it was given as a constant

    void operator()() const { results.enqueue(task(std::move(input))); }
};

/// Waits for results, which it appends to `ready`. One for each consumer.
class waiter {
public:
    template <class Result>
    std::size_t wait(result_queue<Result>& results, moodycamel::ConsumerToken& token, std::vector<Result>& ready,
                     std::size_t most) {
        const auto to = std::back_inserter(ready);
        // To wake a thread takes as long as many short tasks, so it yields at first. But where the tasks are long and every
        // core has some, a core once yielded comes back late, while results wait: then it sleeps, as who wakes goes first.
        for (int turn = 0; sleeps_ == 0 && turn < most_yields; ++turn) {
            const auto before = clock::now();
            std::this_thread::yield();
            if (clock::now() - before > long_yield) sleeps_ = sleeps_after_a_long_yield;
            if (const std::size_t got = results.try_dequeue_bulk(token, to, most); got > 0) return got;
        }
        if (sleeps_ > 0) --sleeps_;
        return results.wait_dequeue_bulk(token, to, most);
    }

private:
    static constexpr int most_yields = 50;
    static constexpr auto long_yield = std::chrono::microseconds(100);
    static constexpr std::size_t sleeps_after_a_long_yield = 256;

    std::size_t sleeps_ = 0;
};

class hand_written {
public:
    explicit hand_written(std::size_t threads)
        : with_main_thread_(tbb::global_control::max_allowed_parallelism, threads + 1),
          arena_(static_cast<int>(threads), 0) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        using input = std::ranges::range_value_t<Inputs>;
        using result = std::decay_t<std::invoke_result_t<Task&, input>>;
        stream<input, result>(in_flight, inputs, sink, [&](input value, result_queue<result>& results) {
            arena_.enqueue(job<input, Task, result>{task, results, std::move(value)});
        });
    }

    template <class Inputs, class Blocks, class Compute, class Block, class Sink>
    void run_mixed(std::size_t in_flight, Inputs inputs, Blocks blocks, Compute compute, Block block, Sink& sink) {
        using input = std::ranges::range_value_t<Inputs>;
        using result = std::decay_t<std::invoke_result_t<Compute&, input>>;
        stream<input, result>(in_flight, inputs, sink, [&](input value, result_queue<result>& results) {
            if (blocks(value)) {
                blocking_.enqueue(job<input, Block, result>{block, results, std::move(value)});
            } else {
                arena_.enqueue(job<input, Compute, result>{compute, results, std::move(value)});
            }
        });
    }

private:
    /// One thread feeds and consumes, so that the count needs no semaphore: a slot is free once its result was taken.
    template <class Input, class Result, class Inputs, class Sink, class Enqueue>
    void stream(std::size_t in_flight, Inputs& inputs, Sink& sink, Enqueue enqueue) {
        const std::size_t most = std::min<std::size_t>(in_flight, 32);  // results that are taken at a time
        result_queue<Result> results;
        moodycamel::ConsumerToken token(results);
        waiter waits;
        std::vector<Result> ready;
        ready.reserve(most);
        std::size_t given = 0;  // of those that are ready
        std::size_t begun = 0;

        auto next = std::ranges::begin(inputs);
        const auto end = std::ranges::end(inputs);
        while (true) {
            // By turns one input and one result, so that neither a slow producer nor a slow consumer holds up the other.
            const bool feeds = begun < in_flight && next != end;
            if (feeds) {
                enqueue(*next, results);
                ++next;
                ++begun;
            }
            if (given == ready.size()) {
                if (begun == 0) return;
                ready.clear();
                given = 0;
                std::size_t got = results.try_dequeue_bulk(token, std::back_inserter(ready), most);
                if (got == 0 && !feeds) got = waits.wait(results, token, ready, most);
                begun -= got;
            }
            if (given < ready.size()) sink(std::move(ready[given++]));
        }
    }

    tbb::global_control with_main_thread_;  // which is counted, but does not compute
    tbb::task_arena arena_;
    blocking_pool blocking_;
};

const bool added = add_contender<hand_written>("hand-written (arena, semaphore, queue)");

}  // namespace
}  // namespace benchmarks
