// SPDX-License-Identifier: MIT
/// The consumer runs tasks: its own, or what those wait for. README.md, "The consumer".
#include <algorithm>
#include <utility>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// Within which own_tasks_in_a_row must have been run and taken to be called tiny.
constexpr auto tiny_run = 32us;

}  // namespace

/// Runs one task of this stream, or inside a task a batch of a stream that its tasks started. Returns whether it did.
/// One, because the consumer starts no task while it holds a result (C14).
bool stream_engine::help(bool nested) noexcept {
    const bool left_over = own_ && own_->approx_unstarted() > 0;
    // Tasks that were tiny may have become long: then others' results go before them, those in outboxes too.
    if (left_over && (std::exchange(ticked_, false) || !short_tasks())) {
        refill(true);
        if (ready_first_ && !waits_for_loan()) return true;
    }
    // Its own it runs in any case; what others have pulled, if they are held up in the producer: there may be nobody
    // else to.
    const bool trusted = nested || left_over || short_tasks();
    if (!trusted && !(!pulls_elsewhere_ && turn_.load() && unstarted_anywhere())) {
        set_helping(false);
        return false;
    }
    if (!own_ && !(own_ = make_pump(max_pumps_))) return false;
    if (!left_over) own_->lock.set_biased(tiny_to_run_ && may_be_biased_);
    const task_frame frame(*lane_, this);
    // Where tiny tasks have been the rule one batch in a few will tell, or the coarse clock, that they no longer are.
    const bool timed = left_over || !own_->lock.is_biased() || ++untimed_batches_ % batches_for_a_look == 0;
    const auto begin = timed ? clock::now() : last_look_;
    const bool found = left_over || (trusted ? find_work(*own_, begin) : steal(*own_));
    if (!found) return nested && help_descendant();
    const std::uint32_t count = std::max(own_->approx_unstarted(), 1U);
    record* task = own_->advance();
    if (!task) return false;
    kick_if_idle();  // what it has just taken over, nobody may have seen while it was under way
    // In a run of tiny tasks one clock reading will do for all of them, if it tells that they were.
    const bool tiny = !timed || (left_over && begin - std::exchange(last_look_, begin) < tiny_run);
    const auto pulled = tiny || left_over ? begin : clock::now();
    start(*own_, *task);
    order_end_of_own();
    if (!tiny) {
        const auto each = (pulled - begin) / count + (clock::now() - pulled);
        adapt(*own_, each * own_->batch, own_->batch);
    }
    kick_if_idle();
    if (!in_order_ && !launches_) add_ready(*task);
    own_run_left_ = help_ && !deadline_ && short_tasks() ? own_tasks_in_a_row : 0;
    own_run_is_tiny_ = !in_order_ && !apart_ && own_->lock.is_biased();
    if (std::exchange(own_->owes_loan, false)) return_loan();
    return true;
}

void stream_engine::set_helping(bool helping) noexcept {
    if (consumer_helping_.load(std::memory_order_relaxed) == helping) return;
    consumer_helping_.store(helping, std::memory_order_relaxed);
    // The pump that napped in the consumer's stead takes its place back.
    if (!helping) lane_->wake_nappers();
}

/// Whether who waits for this stream inside a task may have to run it: a frame or job of this stream's tasks, or
/// anything of a stream that was started by one of them, or by a task of such a stream.
bool stream_engine::may_run(const ticket& ready) const noexcept {
    const auto* owner = static_cast<const stream_engine*>(ready.owner());
    if (owner == this) return ready.what() != ticket::kind::pump || static_cast<const pump&>(ready).off_workers;
    for (const lineage* above = owner->lineage_->parent.get(); above; above = above->parent.get()) {
        if (above == lineage_.get()) return true;
    }
    return false;
}

ticket* stream_engine::descendants_ticket_locked() const noexcept {
    for (ticket* at = lane_->ready_locked().first(); at; at = at->behind) {
        if (at->owner() && may_run(*at)) return at;
    }
    return nullptr;
}

/// The consumer of a stream that launches its tasks does not help, for its results are to be taken (C14). But where
/// every thread is busy with others, and nothing of its own is in flight, it serves the pump that waits for one of
/// them: it may be that all that is missing is the news that the source has ended.
bool stream_engine::ask_producer() noexcept {
    ticket* found = open() && all_accounted() ? lane_->blocking().take_for(*this, false, true) : nullptr;
    if (!found) return false;
    auto& ready = static_cast<pump&>(*found);
    ready.engine.serve_once(ready);
    return true;
}

/// What it runs, another thread of its lane would have run. Not `on_worker`: only what waits for a blocking thread.
bool stream_engine::help_descendant(bool on_worker) noexcept {
    ticket* found = nullptr;
    if (on_worker) {
        const sync::lock_guard guard(lane_->mutex());
        found = descendants_ticket_locked();
        if (found) lane_->withdraw_locked(*found);
    }
    if (!found) found = lane_->blocking().take_for(*this, false);
    if (!found) return false;
    const blocking_lane::detour here;
    if (found->what() == ticket::kind::pump) {
        auto& ready = static_cast<pump&>(*found);
        ready.engine.serve_once(ready);
    } else if (found->what() == ticket::kind::puller) {
        static_cast<puller&>(*found).engine.serve_puller(1);
    } else {
        found->serve();
    }
    return true;
}

}  // namespace penstock::inline v0::detail
