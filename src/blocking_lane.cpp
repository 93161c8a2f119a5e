// SPDX-License-Identifier: MIT
#include "blocking_lane.hpp"

#include <utility>

#include "blocking_thread.hpp"

namespace penstock::inline v0::detail {

blocking_lane::detour::detour() noexcept { ++this_thread_state.detours; }
blocking_lane::detour::~detour() { --this_thread_state.detours; }

blocking_lane::blocking_lane(std::size_t most_threads, std::string thread_name, duration patience)
    : most_threads_(most_threads), thread_name_(std::move(thread_name).substr(0, 13) + "/b"), patience_(patience) {}

blocking_lane::~blocking_lane() { shut_down(); }

std::size_t blocking_lane::approx_threads() const noexcept {
    const sync::lock_guard guard(mutex_);
    return threads_;
}

void blocking_lane::add(ticket& ready) noexcept {
    sync::unique_lock lock(mutex_);
    const bool urgent = ready.what() == ticket::kind::alarm;
    push_locked(ready, urgent);
    if (provide_thread(lock, urgent) != search::futile) return;
    // It waits. Under the lock, for otherwise it might be gone: one of those who wait inside a task may have to run it.
    if (ticket_owner* of = ready.owner()) of->rouse_nested();
}

void blocking_lane::add_for_this_thread(ticket& ready) noexcept {
    if (this_thread_state.lane != this || this_thread_state.kept || this_thread_state.detours > 0) return add(ready);
    this_thread_state.kept = &ready;
}

void blocking_lane::push_locked(ticket& ready, bool first) noexcept {
    first ? ready_.push_front(ready) : ready_.push(ready);
    for_workers_ += for_any_thread(ready);
    note_load_locked();
}

void blocking_lane::remove_locked(ticket& ready) noexcept {
    ready_.remove(ready);
    for_workers_ -= for_any_thread(ready);
    note_load_locked();
}

/// B1, when a ticket has come or a thread is not coming after all. Futile: there is none for it. Otherwise the lock may
/// be free afterwards; it is if making a thread has failed. `urgent`: one more than may be, for an alarm.
blocking_lane::search blocking_lane::provide_thread(sync::unique_lock& lock, bool urgent) noexcept {
    if (ready_.size() <= coming_) return search::found;
    if (wake_idle_locked()) return search::found;
    if (!urgent && threads_ - guests_ >= most_threads_) return search::futile;
    ++threads_;
    ++making_;
    ++alive_;
    ++coming_;
    note_load_locked();
    lock.unlock();
    return make_thread() ? search::found : search::failed;
}

bool blocking_lane::wake_idle_locked() noexcept {
    worker* idle = idle_;
    if (!idle) return false;
    idle_ = idle->below;
    idle->idle = false;
    ++coming_;
    note_load_locked();
    idle->woken.unpark();  // under the lock: afterwards the thread may end
    return true;
}

/// What waits may have to be run by those who wait for it.
void blocking_lane::rouse_nested_locked() noexcept {
    for (ticket* at = ready_.first(); at; at = at->behind) {
        if (ticket_owner* of = at->owner()) of->rouse_nested();
    }
}

void blocking_lane::note_load_locked() noexcept {
    const bool crowded = ready_.size() > coming_;
    crowded_.store(crowded);
    wants_worker_.store(crowded && for_workers_ > 0);
}

void blocking_lane::announce_return() noexcept {
    if (this_thread_state.lane != this || this_thread_state.detours > 0 ||
        std::exchange(this_thread_state.announced, true))
        return;
    const sync::lock_guard guard(mutex_);
    ++coming_;
    note_load_locked();
}

bool blocking_lane::revoke_return() noexcept {
    if (this_thread_state.lane != this || this_thread_state.detours > 0) return false;
    sync::unique_lock lock(mutex_);
    const blocking_thread before = this_thread_state;
    if (before.announced) {
        if (ready_.size() >= coming_ && !idle_ && threads_ - guests_ >= most_threads_) return false;
        this_thread_state.announced = false;
        --coming_;
    }
    if (!std::exchange(this_thread_state.guest, true)) ++guests_;
    note_load_locked();
    if (provide_thread(lock) != search::failed) return true;
    lock.lock();
    if (!before.announced || ready_.size() <= coming_) return true;
    ++coming_;
    if (!before.guest) --guests_;
    this_thread_state = before;
    note_load_locked();
    return false;
}

ticket* blocking_lane::withdraw(const ticket_owner& owner) noexcept {
    const sync::lock_guard guard(mutex_);
    for (ticket* at = ready_.first(); at; at = at->behind) {
        if (at->owner() != &owner || !owner.gives_up(*at)) continue;
        remove_locked(*at);
        return at;
    }
    return nullptr;
}

ticket* blocking_lane::take_for(const ticket_owner& waiting, bool look, bool pumps_only) noexcept {
    const sync::lock_guard guard(mutex_);
    if (ready_.size() <= coming_) return nullptr;  // there is a thread for each
    for (ticket* at = ready_.first(); at; at = at->behind) {
        if (!at->owner() || !waiting.may_run(*at)) continue;
        if (at->what() == ticket::kind::puller && this_thread_state.lane != this) continue;  // never on a worker
        if (pumps_only && at->what() != ticket::kind::pump) continue;
        if (!look) remove_locked(*at);
        return at;
    }
    return nullptr;
}

ticket* blocking_lane::take_for_worker() noexcept {
    if (!approx_wants_worker()) return nullptr;
    const sync::lock_guard guard(mutex_);
    for (ticket* at = ready_.first(); at; at = at->behind) {
        if (!for_any_thread(*at)) continue;
        remove_locked(*at);
        return at;
    }
    return nullptr;
}

}  // namespace penstock::inline v0::detail
