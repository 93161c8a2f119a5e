// SPDX-License-Identifier: MIT
/// Watches one stream from the user's side: from the producer, from inside the tasks and from the consumer's loop. It
/// shares no code with the library.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "stress/stream_plan.hpp"
#include "stress/tracked.hpp"
#include "stress/watchdog.hpp"

namespace stress {

class observer {
public:
    observer(const stream_plan& of, observer* started_by) : plan(of), parent(started_by) {
        const std::lock_guard guard(live_mutex);
        live.insert(this);
    }
    observer(const observer&) = delete;
    observer& operator=(const observer&) = delete;
    ~observer() {
        const std::lock_guard guard(live_mutex);
        live.erase(this);
    }

    const stream_plan plan;
    observer* const parent;
    std::atomic<std::thread::id> consumer_thread{std::this_thread::get_id()};
    std::function<void()> stop_in_task;  ///< what the task of index stop_at does; set before the stream is made
    std::stop_source stop;               ///< behind options::stop
    std::atomic<bool> stop_began{false};
    std::atomic<std::size_t> delivered{0};
    std::atomic<std::size_t> posted{0};
    std::atomic<std::size_t> posted_ran{0};
    std::atomic<bool> source_said_end{false};
    std::atomic<bool> source_threw{false};
    std::atomic<bool> leaving{false};   ///< the consumer takes nothing more
    std::atomic<std::size_t> pulls{0};  ///< items given

    /// `what` is the same for all of its kind; what differs is in `detail`.
    void violation(const std::string& what, const std::string& detail = {}) const {
        violations::add(what, detail + " " + plan.describe());
    }

    // --- the producer
    /// Around each call.
    class pulling {
    public:
        explicit pulling(observer& seen) : seen_(seen) {
            watchdog::progress();
            if (seen.in_source_.exchange(true)) seen.violation("C3: two threads in the producer");
            seen.must_be_live("the producer was called");
            if (seen.source_said_end || seen.source_threw) seen.violation("C3: the producer was called after its end");
            if (seen.stop_returned_ && seen.pulls_after_stop_.fetch_add(1) > 0) {
                // One call may have been on its way when the stop came.
                seen.violation("I11: the producer was called again after a stop");
            }
            if (waiting_for && !waiting_for->may_help_) seen.violation("a call that must not help ran the producer");
            const std::size_t after = seen.pulls + 1;
            // The consumer raises asked_ before it asks: never behind what the library counts as taken, and equal to it
            // while the consumer is in its loop's body.
            const std::size_t taken = seen.asked_;
            if (after > taken && after - taken > seen.plan.window()) {
                seen.violation("C1: pulled ahead of what was taken",
                               std::to_string(after) + ", " + std::to_string(taken));
            }
            const std::size_t ended = seen.ended_;
            if (after > ended && after - ended > seen.plan.limit) {
                seen.violation("C1: pulled ahead of what was ended",
                               std::to_string(after) + ", " + std::to_string(ended));
            }
        }
        pulling(const pulling&) = delete;
        pulling& operator=(const pulling&) = delete;
        ~pulling() { seen_.in_source_ = false; }

    private:
        observer& seen_;
    };

    // --- the tasks
    /// Around each call of a task.
    class running {
    public:
        running(observer& seen, std::size_t index) : seen_(seen), waits_for_(waiting_for) {
            watchdog::progress();
            seen.must_be_live("a task was started");
            const std::size_t now = seen.running_.fetch_add(1) + 1;
            if (now > seen.plan.limit) seen.violation("C1: too many tasks run at once", std::to_string(now));
            const std::size_t threads = seen.plan.blocking ? seen.plan.threads : seen.plan.workers;
            // Where no blocking thread can be had, who waits inside a task for a stream, or for one above it, runs its
            // jobs.
            const std::size_t waiting_inside = seen.plan.blocking && seen.plan.nested ? seen.plan.workers : 0;
            if (now > threads + waiting_inside + 1) seen.violation("more tasks run than there are threads");
            if (seen.stop_returned_ && seen.starts_after_stop_.fetch_add(1) > threads) {
                seen.violation("I11: tasks are started after a stop");
            }
            seen.must_happen_once(index);
            seen.check_thread(waits_for_);
            if (seen.plan.blocking && waits_for_ && !waits_for_->plan.nested) {
                seen.violation("a consumer that is in no task ran a blocking job");
            }
            // Who joins a stream inside a task helps, too.
            if (seen.plan.blocking && !seen.plan.nested && !waits_for_ && penstock::this_worker() != SIZE_MAX) {
                seen.violation("a worker ran a blocking job");
            }
            waiting_for = nullptr;
        }
        running(const running&) = delete;
        running& operator=(const running&) = delete;
        ~running() {
            waiting_for = waits_for_;
            seen_.must_be_live("a task was still running");
            seen_.running_.fetch_sub(1);
            seen_.ended_.fetch_add(1);
        }

    private:
        observer& seen_;
        observer* const waits_for_;
    };
    /// Around a coroutine, which may wait in the middle, and go on on another thread.
    class living {
    public:
        living(observer& seen, std::size_t index) : seen_(seen) {
            watchdog::progress();
            seen.must_be_live("a coroutine was started");
            const std::size_t now = seen.running_.fetch_add(1) + 1;
            if (now > seen.plan.limit) seen.violation("C1: too many coroutines live at once", std::to_string(now));
            if (seen.stop_returned_ && seen.starts_after_stop_.fetch_add(1) > seen.plan.workers + 1) {
                seen.violation("I11: coroutines are started after a stop");
            }
            seen.must_happen_once(index);
        }
        living(const living&) = delete;
        living& operator=(const living&) = delete;
        ~living() {
            seen_.must_be_live("a coroutine was still there");
            seen_.running_.fetch_sub(1);
            seen_.ended_.fetch_add(1);
        }

    private:
        observer& seen_;
    };
    /// Around what a coroutine does between two waits.
    class step {
    public:
        explicit step(observer& seen) : waits_for_(waiting_for) {
            watchdog::progress();
            seen.must_be_live("a coroutine was resumed");
            seen.check_thread(waits_for_);
            // Who joins a stream inside a job helps, too.
            if (penstock::this_worker() == SIZE_MAX && !seen.plan.nested) {
                seen.violation("a coroutine was resumed off the workers");
            }
            waiting_for = nullptr;
        }
        step(const step&) = delete;
        step& operator=(const step&) = delete;
        ~step() { waiting_for = waits_for_; }

    private:
        observer* const waits_for_;
    };
    /// Around each call of a function that returns a blocking job.
    class launching {
    public:
        explicit launching(observer& seen) : seen_(seen), waits_for_(waiting_for) {
            watchdog::progress();
            seen.must_be_live("a function was called");
            const std::size_t now = seen.launching_.fetch_add(1) + 1;
            if (now > seen.plan.workers + 1) seen.violation("more functions run than there are workers");
            seen.check_thread(waits_for_);
            waiting_for = nullptr;
        }
        launching(const launching&) = delete;
        launching& operator=(const launching&) = delete;
        ~launching() {
            waiting_for = waits_for_;
            seen_.launching_.fetch_sub(1);
        }

    private:
        observer& seen_;
        observer* const waits_for_;
    };
    /// A task that will never be called: moving it into the stream threw, or the function that was to return it.
    void ended_uncalled() noexcept { ended_.fetch_add(1); }

    // --- the consumer
    /// `may_help`: with a call that may run tasks and the producer on this thread.
    void about_to_ask(bool may_help) noexcept {
        asked_ = delivered + 1;
        may_help_ = may_help;
        waiting_for = this;
    }
    void answered(bool with_result) noexcept {
        waiting_for = nullptr;
        if (with_result) {
            delivered.fetch_add(1);
            watchdog::progress();
        }
        asked_ = delivered.load();
    }
    /// The stream's destructor has returned.
    void stream_is_gone() noexcept { gone_ = true; }
    void must_be_live(const char* what) const {
        if (gone_) violation(std::string("C6: ") + what + " after the stream's destructor had returned");
    }

    // --- who stops
    void stop_requested() noexcept { stop_began = true; }
    void stop_has_returned() noexcept { stop_returned_ = true; }

    std::size_t steps() const noexcept { return pulls + ended_ + delivered; }
    std::size_t ended() const noexcept { return ended_; }
    /// Whether its tasks may be asked to stop: by a deadline, a failure, or because a stream is left.
    bool may_be_cut_short() const noexcept {
        return plan.cut_short() || plan.fails_fast() || plan.leave != leave_kind::stays || parent ||
               plan.consumer == consumer_kind::destroy_at_once;
    }
    bool left() const noexcept { return gone_; }

    /// Kept until the executor is gone: tasks that run too late still find them.
    observer& child(const stream_plan& of) {
        auto made = std::make_unique<observer>(of, this);
        const std::lock_guard guard(mutex_);
        children_.push_back(std::move(made));
        return *children_.back();
    }
    /// A result that outlives stream and executor, and is looked at then.
    void keep(std::function<void()> look_again) {
        const std::lock_guard guard(mutex_);
        kept_.push_back(std::move(look_again));
    }
    /// When the executor is gone.
    void final_check() {
        for (const auto& look_again : kept_) look_again();
        if (posted != posted_ran) violation("the executor's destructor did not run what was posted");
        if (running_ != 0) violation("a task has not ended");
        for (const auto& made : children_) made->final_check();
    }

    static std::string describe_live() {
        const std::lock_guard guard(live_mutex);
        std::string text;
        for (const observer* each : live) {
            if (each->gone_) continue;
            text += each->plan.describe() + "\n    pulls " + std::to_string(each->pulls) + " ended " +
                    std::to_string(each->ended_) + " running " + std::to_string(each->running_) + " delivered " +
                    std::to_string(each->delivered) + (each->in_source_ ? " in the producer" : "") +
                    (each->source_said_end ? " source ended" : "") + (each->stop_began ? " stopped" : "") + "\n";
        }
        return text;
    }

private:
    /// `waits_for`: what the calling thread waits for, if it does.
    void check_thread(const observer* waits_for) const {
        // C7: a thread that waits runs tasks of that stream and of those that its tasks started, and no others.
        if (waits_for) {
            const observer* above = this;
            while (above && above != waits_for) above = above->parent;
            if (!above) violation("C7: a waiting thread runs a task of another stream");
            if (!waits_for->may_help_) violation("a call that must not help ran a task");
        }
        const std::size_t worker = penstock::this_worker();
        if (worker != SIZE_MAX && worker >= plan.workers) violation("this_worker() is out of range");
    }
    void must_happen_once(std::size_t index) {
        if (index >= ran_.size()) return;  // of an endless stream the beginning is looked at
        if (ran_[index].fetch_add(1) > 0) violation("I2: a task ran twice", std::to_string(index));
    }

    std::atomic<bool> in_source_{false};
    std::atomic<bool> gone_{false};
    bool may_help_ = false;  ///< of the consumer's thread
    std::atomic<bool> stop_returned_{false};
    std::atomic<std::size_t> pulls_after_stop_{0};
    std::atomic<std::size_t> starts_after_stop_{0};
    std::atomic<std::size_t> asked_{0};
    std::atomic<std::size_t> running_{0};
    std::atomic<std::size_t> launching_{0};
    std::atomic<std::size_t> ended_{0};
    std::vector<std::atomic<unsigned char>> ran_ = std::vector<std::atomic<unsigned char>>(plan.nested ? 64 : 5000);
    std::mutex mutex_;
    std::vector<std::unique_ptr<observer>> children_;
    std::vector<std::function<void()>> kept_;

    static inline thread_local observer* waiting_for = nullptr;
    static inline std::mutex live_mutex;
    static inline std::set<const observer*> live;
};

}  // namespace stress
