// SPDX-License-Identifier: MIT
/// Asio: chains of handlers on an asio::thread_pool, a count for the cap, and a queue of results to the thread that
/// calls run(); a second pool for tasks that block, and timers for tasks that sleep.
#define ASIO_STANDALONE
#define ASIO_NO_DEPRECATED

#include <asio.hpp>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "../contender.hpp"

namespace benchmarks {
namespace {

/// Who has nothing to do yields so often before it sleeps: to sleep and be woken takes as long as many short tasks.
constexpr int patience = 20;

/// So many tasks a handler runs, one after the other, before other streams have their turn: less, and with many streams
/// each result wakes another consumer.
constexpr int burst = 32;

template <class Inputs>
class source {
public:
    explicit source(Inputs inputs) : inputs_(std::move(inputs)), at_(std::ranges::begin(inputs_)) {}
    source(const source&) = delete;

    /// Steps on only when the next input is wanted: a step may take long, and what is in hand should not wait for it.
    std::optional<std::ranges::range_value_t<Inputs>> next() {
        if (begun_ && !ended_) ++at_;
        begun_ = true;
        ended_ = ended_ || at_ == std::ranges::end(inputs_);
        if (ended_) return std::nullopt;
        return *at_;
    }

private:
    Inputs inputs_;
    std::ranges::iterator_t<Inputs> at_;
    bool begun_ = false;
    bool ended_ = false;
};

/// One call of run(). A chain is a handler that takes inputs, runs their tasks, and defers itself, behind what other
/// streams have queued. That costs no allocation and no wake-up, where a post of each task from outside costs both. As
/// many chains as threads are enough: others could only wait. A chain that may not begin a task, for the cap, parks
/// until there is room.
template <class Inputs, class Blocks, class Compute, class Block, class Blocking>
class stream {
public:
    stream(asio::thread_pool& computing, std::size_t threads, Blocking& blocking, std::size_t in_flight, Inputs inputs,
           Blocks& blocks, Compute& compute, Block& block)
        : computing_(computing), blocking_(blocking), blocks_(blocks), compute_(compute), block_(block),
          in_flight_(in_flight), inputs_(std::move(inputs)), parked_(std::min(threads, in_flight)) {}

    template <class Sink>
    void run(Sink& sink) {
        std::vector<result> batch;
        std::unique_lock lock(mutex_);
        for (int impatient = 0;; impatient -= impatient > 0) {
            while (wake_parked()) asio::post(computing_, [this] { step(); });
            for (int tries = 0; tries < patience && impatient == 0 && results_.empty() && !is_over(); ++tries) {
                lock.unlock();
                const auto before = clock::now();
                std::this_thread::yield();
                // Tasks that long keep the core for a whole slice; a sleeper gets it at once when it is woken.
                if (clock::now() - before > std::chrono::microseconds(200)) impatient = 1'000;
                lock.lock();
            }
            waits_ = true;
            ready_.wait(lock, [&] { return !results_.empty() || is_over(); });
            waits_ = false;
            if (results_.empty()) return;
            batch.swap(results_);
            lock.unlock();
            for (result& each : batch) sink(std::move(each));
            lock.lock();
            undelivered_ -= batch.size();
            batch.clear();
        }
    }

private:
    using input = std::ranges::range_value_t<Inputs>;
    using result = std::invoke_result_t<Compute&, input>;

    // With mutex_ held, all but take(), step() and run_task().

    bool may_begin(std::size_t begun) const {
        return !ended_ && begun < in_flight_ && begun + undelivered_ < 2 * in_flight_;
    }
    bool is_over() const { return ended_ && begun_ + trying_ == 0; }
    bool wake_parked() {
        const bool woken = parked_ > 0 && may_begin(begun_ + trying_);
        if (woken) --parked_, ++begun_;
        return woken;
    }

    std::optional<input> take() {
        for (int tries = 0; !source_mutex_.try_lock(); ++tries) {
            std::this_thread::yield();
            if (tries < patience) continue;
            source_mutex_.lock();
            break;
        }
        const std::lock_guard lock(source_mutex_, std::adopt_lock);
        return inputs_.next();
    }

    /// A chain's handler; the right to begin a task is its own already.
    void step() {
        for (int left = burst; run_task();) {
            if (--left == 0) return asio::defer(computing_, [this] { step(); });
        }
    }

    /// Gives whether the chain goes on.
    bool run_task() {
        std::optional<input> taken = take();
        if (!taken) {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            leave(begun_);
            return false;
        }
        if (!blocks_(*taken)) {
            result finished = compute_(std::move(*taken));
            std::unique_lock lock(mutex_);
            push(std::move(finished), lock);
            --begun_, ++trying_;
            return go_on(0);
        }
        const bool goes_on = [this] {
            const std::lock_guard lock(mutex_);
            ++trying_;
            return go_on(0);
        }();
        // Last: when this task is over, the stream may be, unless the chain goes on.
        asio::post(blocking_(), [this, mine = std::move(*taken)]() mutable {
            result finished = block_(std::move(mine));
            std::unique_lock lock(mutex_);
            push(std::move(finished), lock);
            leave(begun_);
            if (wake_parked()) asio::post(computing_, [this] { step(); });
        });
        return goes_on;
    }

    /// Gives whether the chain may begin a task now. If not, it has parked, or tries again behind what others queued.
    bool go_on(int tries) {
        if (may_begin(begun_)) {
            --trying_, ++begun_;
            return true;
        }
        if (ended_ || tries == patience) {
            ++parked_;
            leave(trying_);
            return false;
        }
        asio::defer(computing_, [this, tries] {
            std::this_thread::yield();
            std::unique_lock lock(mutex_);
            if (!go_on(tries + 1)) return;
            lock.unlock();
            step();
        });
        return false;
    }

    /// Wakes the consumer without the lock, which it would only wait for.
    void push(result finished, std::unique_lock<std::mutex>& lock) {
        results_.push_back(std::move(finished));
        ++undelivered_;
        if (!std::exchange(waits_, false)) return;
        lock.unlock();
        ready_.notify_one();
        lock.lock();
    }
    void leave(std::size_t& count) {
        --count;
        if (is_over()) ready_.notify_one();
    }

    asio::thread_pool& computing_;
    Blocking& blocking_;
    Blocks& blocks_;
    Compute& compute_;
    Block& block_;
    const std::size_t in_flight_;

    std::mutex source_mutex_;
    source<Inputs> inputs_;

    std::mutex mutex_;
    std::condition_variable ready_;
    std::vector<result> results_;
    std::size_t begun_ = 0;        ///< tasks, with those whose input is being taken
    std::size_t undelivered_ = 0;  ///< results, with those that the consumer has taken but not yet come back from
    std::size_t parked_;           ///< chains that wait for wake_parked()
    std::size_t trying_ = 0;       ///< chains that may not begin a task, but have not parked
    bool ended_ = false;
    bool waits_ = false;
};

class asio_pool {
public:
    explicit asio_pool(std::size_t threads) : threads_(threads), computing_(threads) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        run_mixed(in_flight, std::move(inputs), [](const auto&) { return false; }, task, task, sink);
    }

    template <class Inputs, class Blocks, class Compute, class Block, class Sink>
    void run_mixed(std::size_t in_flight, Inputs inputs, Blocks blocks, Compute compute, Block block, Sink& sink) {
        const auto pool = [&]() -> asio::thread_pool& { return blocking(std::min<std::size_t>(in_flight, 512)); };
        stream(computing_, threads_, pool, in_flight, std::move(inputs), blocks, compute, block).run(sink);
    }

    /// On the calling thread alone, whose context then needs no locks; each timer is used again and again.
    template <class Inputs, class Duration, class Sink>
    void run_sleeping(std::size_t in_flight, Inputs inputs, Duration sleep, Sink& sink) {
        using timer = asio::steady_timer::rebind_executor<asio::io_context::executor_type>::other;
        struct sleeper {
            timer alarm;
            std::optional<std::ranges::range_value_t<Inputs>> mine{};
        };
        asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
        source<Inputs> from(std::move(inputs));
        std::deque<sleeper> sleepers;
        const auto begin_next = [&](const auto& again, sleeper& here) -> bool {
            here.mine = from.next();
            if (!here.mine) return false;
            here.alarm.expires_after(sleep);
            here.alarm.async_wait([&](const asio::error_code&) {
                sink(*std::move(here.mine));
                again(again, here);
            });
            return true;
        };
        while (sleepers.size() < in_flight && begin_next(begin_next, sleepers.emplace_back(timer(context)))) {
            context.poll();
        }
        context.run();
    }

private:
    asio::thread_pool& blocking(std::size_t threads) {
        const std::lock_guard lock(mutex_);
        return blocking_.try_emplace(threads, threads).first->second;
    }

    const std::size_t threads_;
    std::mutex mutex_;
    std::map<std::size_t, asio::thread_pool> blocking_;  ///< by their size
    asio::thread_pool computing_;  ///< last, to be joined first: its threads post to blocking_
};

const bool added = add_contender<asio_pool>("asio::thread_pool");

}  // namespace
}  // namespace benchmarks
