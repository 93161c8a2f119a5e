// SPDX-License-Identifier: MIT
/// Tasks that are coroutines: how they are resumed, and how they end. README.md, "Tasks that end elsewhere".
#include <utility>

#include <penstock/detail/coroutine.hpp>
#include <penstock/detail/timer.hpp>

#include "cpu_lane.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {

void task_root::resume(std::coroutine_handle<> frame) noexcept {
    turn here{frame};
    now = &here;
    // Nothing of the task is touched between a frame's return and the next: unless one is named here, the task is in
    // other hands.
    do {
        std::exchange(here.next, nullptr).resume();
    } while (here.next);
    if (here.ended) engine->end_coroutine(*this);
}

std::stop_token task_root::token() noexcept { return engine->token_of(*this); }

ticket_owner* suspended_frame::owner() const noexcept { return root->engine; }

void suspended_frame::serve() noexcept {
    task_root& of = *root;
    const task_frame here(of.engine->lane(), of.engine, &of.engine->record_of(of));
    of.resume(frame());
}

void make_ready(suspended_frame& waiting) noexcept { waiting.root->engine->lane().add(waiting); }

ticket_owner* blocking_call::owner() const noexcept { return waiting->root->engine; }

void blocking_call::serve() noexcept {
    stream_engine& engine = *waiting->root->engine;
    {
        const task_frame here(engine.lane(), &engine, &engine.record_of(*waiting->root));
        run();
    }
    make_ready(*waiting);
}

void blocking_call::refuse(std::exception_ptr why) noexcept {
    fail(std::move(why));
    make_ready(*waiting);
}

void make_blocking(blocking_call& awaited) noexcept { awaited.waiting->root->engine->lane().blocking().add(awaited); }

bool start_timer(suspended_frame& waiting) { return waiting.root->engine->lane().timing().start(waiting); }

/// On a worker, or on the thread that has launched the task.
void stream_engine::end_coroutine(task_root& ended) noexcept {
    cpu_lane& lane = *lane_;
    record& task = source_.record_of(ended);
    source_.settle(task);
    land(task);
    offer_room();
    leave_launched(lane);
}

}  // namespace penstock::inline v0::detail
