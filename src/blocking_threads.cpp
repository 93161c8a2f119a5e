// SPDX-License-Identifier: MIT
/// The life of the blocking lane's threads: made, serving, idle, joined.
#include <chrono>
#include <exception>
#include <memory>
#include <utility>

#include <pthread.h>

#include "blocking_lane.hpp"
#include "blocking_thread.hpp"

namespace penstock::inline v0::detail {

constinit thread_local blocking_thread this_thread_state;

bool blocking_lane::make_thread() noexcept {
    std::exception_ptr why;
    try {
        auto made = std::make_unique<worker>();
        const sync::lock_guard guard(handles_);
        made->handle = sync::thread([this, self = made.get()] { run(*self); });
        static_cast<void>(made.release());  // its own from here on, see end()
        return true;
    } catch (...) {
        why = std::current_exception();
    }
    // Not in the handler: it would let go of the exception when somebody else reads it.
    refuse_all(std::move(why));
    return false;
}

/// A thread could not be made. If there are others, they will serve what waits, and those who wait for it inside a task
/// may; if there are none, nobody will. What any thread may serve is refused at once: then a worker does it.
void blocking_lane::refuse_all(std::exception_ptr why) noexcept {
    ready_list refused;
    {
        const sync::lock_guard guard(mutex_);
        --threads_;
        --making_;
        --alive_;
        --coming_;
        for (ticket* next = ready_.first(); next;) {
            ticket& at = *std::exchange(next, next->behind);
            if (threads_ > 0 && !for_any_thread(at)) continue;
            remove_locked(at);
            refused.push(at);
        }
        // What had been left to the thread that is not coming.
        while (ready_.size() > coming_ && wake_idle_locked()) {
        }
        note_load_locked();
        if (ready_.size() > coming_) rouse_nested_locked();
    }
    while (ticket* next = refused.first()) {
        refused.remove(*next);
        std::exception_ptr reason = refused.empty() ? std::exchange(why, nullptr) : why;
        next->refuse(std::move(reason));
    }
}

void blocking_lane::run(worker& self) noexcept {
    pthread_setname_np(pthread_self(), thread_name_.c_str());
    this_thread_state.lane = this;
    sync::unique_lock lock(mutex_);
    --making_;
    --coming_;
    note_load_locked();
    for (;;) {
        while (ticket* next = next_locked()) serve(lock, *next);
        if (surplus_locked()) {
            --threads_;
            // What it has left behind, it was taken for granted to serve, or nobody has seen while it kept it.
            if (ready_.size() > coming_ && !wake_idle_locked()) rouse_nested_locked();
            break;
        }
        if (!wait_for_ticket(lock, self)) break;
    }
    lock.unlock();
    end(self);
}

/// What the calling thread is to serve. One of more than may be, for another was made in its place, or it was made for
/// an alarm: nothing that takes long.
ticket* blocking_lane::next_locked() const noexcept {
    ticket* next = ready_.first();
    if (!next || !surplus_locked() || next->what() == ticket::kind::alarm || given_up(*next)) return next;
    return nullptr;
}

void blocking_lane::serve(sync::unique_lock& lock, ticket& next) noexcept {
    remove_locked(next);
    // A pump may be long in the producer: it takes no thread from the jobs (C12).
    this_thread_state.guest = next.what() != ticket::kind::record && next.what() != ticket::kind::frame;
    if (this_thread_state.guest) {
        ++guests_;
        static_cast<void>(provide_thread(lock));
    }
    if (lock.owns_lock()) lock.unlock();
    next.serve();
    lock.lock();
    if (std::exchange(this_thread_state.guest, false)) --guests_;
    if (std::exchange(this_thread_state.announced, false)) --coming_;
    if (ticket* kept = std::exchange(this_thread_state.kept, nullptr)) put_back_locked(*kept);
    note_load_locked();
}

/// Behind those that wait: it has saved a wake-up, and must not jump the queue. One that its stream gives up comes
/// first, and so to this very thread: who would withdraw it has not seen it while it was kept, and will not look again.
void blocking_lane::put_back_locked(ticket& kept) noexcept {
    push_locked(kept, given_up(kept));
    // This thread takes one. Who waits for this one inside a task has not seen it either.
    if (ticket_owner* of = kept.owner(); of && ready_.size() > coming_ + 1) of->rouse_nested();
}

/// Idle, until a ticket comes. False if none came for too long, or the lane ends: this thread is to end, too.
bool blocking_lane::wait_for_ticket(sync::unique_lock& lock, worker& self) noexcept {
    if (ending_) {
        --threads_;
        return false;
    }
    self.idle = true;
    self.below = std::exchange(idle_, &self);
    note_load_locked();
    const auto until = std::chrono::steady_clock::now() + patience_;
    bool patient = true;
    while (self.idle && patient) {  // who woke it the last time may have come when it had just stopped waiting
        lock.unlock();
        self.woken.park(until);
        patient = std::chrono::steady_clock::now() < until;
        lock.lock();
    }
    if (self.idle) {  // nobody has taken it off the list
        worker** at = &idle_;
        while (*at != &self) at = &(*at)->below;
        *at = self.below;
        self.idle = false;
        --threads_;  // at once: what comes from now on must not wait for this thread
        return false;
    }
    --coming_;
    return true;
}

/// The last that a thread does: puts itself where the next one that ends, or the destructor, finds it to be joined, and
/// joins the one it finds there.
void blocking_lane::end(worker& self) noexcept {
    std::unique_ptr<worker> before;
    {
        const sync::lock_guard guard(handles_);
        before = std::exchange(ended_, std::unique_ptr<worker>(&self));
    }
    join(std::move(before));
    const sync::lock_guard guard(mutex_);
    if (--alive_ == 0 && ending_) all_ended_.unpark();
}

void blocking_lane::join(std::unique_ptr<worker> ended) noexcept {
    if (ended) ended->handle.join();
}

void blocking_lane::shut_down() noexcept {
    bool any = false;
    {
        const sync::lock_guard guard(mutex_);
        ending_ = true;
        any = alive_ > 0;
        for (; idle_; idle_ = idle_->below) {
            idle_->idle = false;
            ++coming_;
            idle_->woken.unpark();
        }
    }
    if (any) all_ended_.park();
    // Who woke us did so under the lock: when we have had it, that thread needs nothing but to be joined.
    sync::unique_lock(mutex_).unlock();
    const sync::lock_guard guard(handles_);
    join(std::move(ended_));
}

}  // namespace penstock::inline v0::detail
