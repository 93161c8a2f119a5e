// SPDX-License-Identifier: MIT
#include <penstock/executor.hpp>

#include "cpu_lane.hpp"
#include "misuse.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock {
inline namespace v0 {

namespace detail {

posted_task::~posted_task() = default;

namespace {

/// Carries a posted task through the ready list, and frees it.
struct posted_ticket final : ticket {
    posted_ticket(cpu_lane& served_by, std::unique_ptr<posted_task> posted)
        : lane(served_by), task(std::move(posted)) {}
    void serve() noexcept override {
        const task_frame frame(lane, nullptr);
        task->run();
        task.reset();
        cpu_lane& served = lane;
        delete this;
        served.posted_has_run();
    }
    cpu_lane& lane;
    std::unique_ptr<posted_task> task;
};

/// Finds out whether a stream is left that needs its executor. Streams inside tasks end with the tasks: only those that no
/// live stream's task started are asked.
void refuse_live_streams(cpu_lane& lane) {
    const sync::lock_guard guard(lane.mutex());
    for (const stream_engine* live = lane.first_live_locked(); live; live = live->next_live) {
        if (live->has_live_parent_locked() || live->closing_locked() || live->over()) continue;
        misuse("an executor was destroyed while a stream of its was still at work");
    }
}

}  // namespace
}  // namespace detail

executor::executor() : executor(executor_options{}) {}
executor::executor(std::size_t workers) : executor(executor_options{.workers = workers}) {}
executor::executor(executor_options settings) : lane_(std::make_shared<detail::cpu_lane>(settings)) {}

executor::~executor() {
    for (const detail::task_frame* frame = detail::task_frame::innermost(); frame; frame = frame->outer()) {
        if (&frame->lane() == lane_.get()) detail::misuse("an executor was destroyed inside one of its own tasks");
    }
    // A posted task may be in the middle of a stream of its own: that is no stream which is left over.
    lane_->wait_for_posted();
    detail::refuse_live_streams(*lane_);
    lane_->shut_down();
}

std::size_t executor::workers() const noexcept { return lane_->workers(); }

void executor::enqueue(std::unique_ptr<detail::posted_task> task) {
    auto ready = std::make_unique<detail::posted_ticket>(*lane_, std::move(task));
    lane_->posted();
    lane_->add(*ready.release());
}

}  // namespace v0
}  // namespace penstock
