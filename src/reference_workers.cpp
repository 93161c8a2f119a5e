// SPDX-License-Identifier: MIT
/// Workers with nothing behind them but a lock: what the reference backend puts in oneTBB's place.
#include <condition_variable>
#include <utility>
#include <vector>

#include "start_threads.hpp"
#include "worker_threads.hpp"

namespace penstock::inline v0::detail {

struct worker_threads::state {
    std::function<void()> serve;
    std::vector<sync::thread> threads;
    sync::mutex mutex;
    std::condition_variable rung;
    std::size_t rings = 0;
    bool ending = false;

    void answer_rings() {
        for (;;) {
            {
                sync::unique_lock lock(mutex);
                rung.wait(lock, [this] { return rings > 0 || ending; });
                if (rings == 0) return;
                --rings;
            }
            serve();
        }
    }

    void join() {
        {
            const sync::lock_guard guard(mutex);
            ending = true;
        }
        rung.notify_all();
        for (sync::thread& thread : threads) thread.join();
    }
};

worker_threads::worker_threads(std::size_t count, const std::function<void(std::size_t)>& started,
                               std::function<void()> serve)
    : state_(std::make_unique<state>()) {
    state_->serve = std::move(serve);
    const std::exception_ptr error =
        start_threads(state_->threads, count, started, [all = state_.get()](std::size_t) { all->answer_rings(); });
    if (!error) return;
    state_->join();
    std::rethrow_exception(error);
}

worker_threads::~worker_threads() { state_->join(); }

void worker_threads::ring() noexcept {
    const sync::lock_guard guard(state_->mutex);
    ++state_->rings;
    state_->rung.notify_one();
}

}  // namespace penstock::inline v0::detail
