// SPDX-License-Identifier: MIT
#include "blocking_lane.hpp"

#include <utility>

#include <pthread.h>

namespace penstock::inline v0::detail {

/// One thread, from before it is made until it has been joined.
struct blocking_lane::worker {
    sync::thread handle;  ///< guarded by handles_
    sync::parker woken;
    worker* below = nullptr;  ///< in idle_
    bool idle = false;        ///< in idle_
};

namespace {

/// The calling thread's own.
struct thread_state {
    blocking_lane* lane = nullptr;  ///< whose thread it is
    bool announced = false;         ///< it counts as coming
    bool guest = false;             ///< it counts among guests_
    unsigned detours = 0;
    ticket* kept = nullptr;
};
thread_local thread_state own;

/// Whether a worker that has nothing to do may serve it, too: what is not for a thread that may block, but for any.
bool for_any_thread(const ticket& ready) noexcept {
    return ready.what() == ticket::kind::pump || ready.what() == ticket::kind::alarm;
}

/// Whether it is only to be dropped.
bool given_up(const ticket& ready) noexcept {
    const ticket_owner* of = ready.owner();
    return of && of->gives_up(ready);
}

}  // namespace

blocking_lane::detour::detour() noexcept { ++own.detours; }
blocking_lane::detour::~detour() { --own.detours; }

blocking_lane::blocking_lane(std::size_t most_threads, std::string thread_name, duration patience)
    : most_threads_(most_threads), thread_name_(std::move(thread_name).substr(0, 13) + "/b"), patience_(patience) {}

blocking_lane::~blocking_lane() { shut_down(); }

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
    if (own.lane != this || own.kept || own.detours > 0) return add(ready);
    own.kept = &ready;
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
    if (own.lane != this || own.detours > 0 || std::exchange(own.announced, true)) return;
    const sync::lock_guard guard(mutex_);
    ++coming_;
    note_load_locked();
}

bool blocking_lane::revoke_return() noexcept {
    if (own.lane != this || own.detours > 0) return false;
    sync::unique_lock lock(mutex_);
    const thread_state before = own;
    if (before.announced) {
        if (ready_.size() >= coming_ && !idle_ && threads_ - guests_ >= most_threads_) return false;
        own.announced = false;
        --coming_;
    }
    if (!std::exchange(own.guest, true)) ++guests_;
    note_load_locked();
    if (provide_thread(lock) != search::failed) return true;
    lock.lock();
    if (!before.announced || ready_.size() <= coming_) return true;
    ++coming_;
    if (!before.guest) --guests_;
    own = before;
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
        if (at->what() == ticket::kind::puller && own.lane != this) continue;  // never on a worker
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
    own.lane = this;
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
    own.guest = next.what() != ticket::kind::record && next.what() != ticket::kind::frame;
    if (own.guest) {
        ++guests_;
        static_cast<void>(provide_thread(lock));
    }
    if (lock.owns_lock()) lock.unlock();
    next.serve();
    lock.lock();
    if (std::exchange(own.guest, false)) --guests_;
    if (std::exchange(own.announced, false)) --coming_;
    if (ticket* kept = std::exchange(own.kept, nullptr)) put_back_locked(*kept);
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

}  // namespace penstock::inline v0::detail
