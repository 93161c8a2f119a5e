// SPDX-License-Identifier: MIT
/// Workers inside a oneTBB arena.
///
/// The threads are ours, so they can be named, counted and joined, and run however few threads the host program allows
/// oneTBB; each sits in the arena in a wait that ends only at shutdown, and there it runs what is enqueued and what
/// parallel algorithms inside the tasks leave to be stolen.
#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "start_threads.hpp"
#include "worker_threads.hpp"

namespace penstock::inline v0::detail {

struct worker_threads::state {
    // All slots are reserved for our threads, so oneTBB sends none of its own. In an arena of one slot it would, for
    // enqueued tasks; hence two.
    explicit state(std::size_t count, std::function<void()> function)
        : arena(slots(count), static_cast<unsigned>(slots(count))), serve(std::move(function)), waits(count) {
        arena.initialize();
    }
    static int slots(std::size_t count) { return static_cast<int>(std::max<std::size_t>(count, 2)); }

    struct open_wait {
        open_wait() : group(std::make_unique<tbb::task_group>()) {
            try {
                held_open = group->defer([] {});
            } catch (...) {
                // defer() counts a task before it allocates it: without memory the destructor would wait for that for ever.
                static_cast<void>(group.release());
                throw;
            }
        }
        std::unique_ptr<tbb::task_group> group;
        tbb::task_handle held_open;
    };

    tbb::task_arena arena;
    std::function<void()> serve;
    std::vector<open_wait> waits;
    std::vector<sync::thread> threads;

    void join() {
        for (open_wait& wait : waits) wait.held_open = {};
        for (sync::thread& thread : threads) thread.join();
    }
};

worker_threads::worker_threads(std::size_t count, const std::function<void(std::size_t)>& started,
                               std::function<void()> serve)
    : state_(std::make_unique<state>(count, std::move(serve))) {
    const std::exception_ptr error =
        start_threads(state_->threads, count, started, [all = state_.get()](std::size_t index) {
            all->arena.execute([&] { all->waits[index].group->wait(); });
        });
    if (!error) return;
    state_->join();
    std::rethrow_exception(error);
}

worker_threads::~worker_threads() { state_->join(); }

void worker_threads::ring() noexcept {
    for (;;) {
        try {
            state_->arena.enqueue([all = state_.get()] { all->serve(); });
            return;
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

}  // namespace penstock::inline v0::detail
