// SPDX-License-Identifier: MIT
#include "cpu_lane.hpp"

#include <string>

#include <pthread.h>

#include "stream_engine.hpp"
#include "task_frame.hpp"
#include "usable_cpus.hpp"

namespace penstock::inline v0::detail {
namespace {

/// Linux keeps 15 bytes of a name: the number matters more than the end of the word.
void name_thread(const std::string& name, std::size_t index) {
    std::string number = "/";
    number += std::to_string(index);
    const std::size_t room = number.size() < 15 ? 15 - number.size() : 0;
    pthread_setname_np(pthread_self(), (name.substr(0, room) + number).c_str());
}

}  // namespace

cpu_lane::cpu_lane(const executor_options& settings)
    : workers_(settings.workers != 0 ? settings.workers : usable_cpus()) {
    const auto started = [&](std::size_t index) {
        name_this_worker(*this, index);
        name_thread(settings.thread_name, index);
        if (settings.on_thread_start) settings.on_thread_start(index);
    };
    threads_ = std::make_unique<worker_threads>(workers_, started, [this] { serve(); });
}

cpu_lane::~cpu_lane() = default;

void cpu_lane::shut_down() noexcept {
    wait_until_idle([this] { return serving_ == 0; });
    threads_.reset();
}

void cpu_lane::posted() noexcept {
    const sync::lock_guard guard(mutex_);
    ++posted_;
}

void cpu_lane::posted_has_run() noexcept {
    const sync::lock_guard guard(mutex_);
    --posted_;
    if (ending_) idle_.unpark();
}

void cpu_lane::wait_for_posted() noexcept {
    wait_until_idle([this] { return posted_ == 0; });
}

/// For the thread that destroys the executor. Woken under the lock: when it has had the lock, who woke it is out.
template <class Idle>
void cpu_lane::wait_until_idle(Idle idle) noexcept {
    sync::unique_lock lock(mutex_);
    ending_ = true;
    while (!idle()) {
        lock.unlock();
        idle_.park();
        lock.lock();
    }
}

void cpu_lane::add(ticket& ready) noexcept {
    bool wake = false;
    {
        const sync::lock_guard guard(mutex_);
        wake = add_locked(ready);
    }
    if (wake) ring();
}

bool cpu_lane::add_locked(ticket& ready) noexcept {
    ready_.push(ready);
    const bool ring = serving_ < workers_;
    if (ring) {
        ++serving_;
        ++coming_;
    }
    count_waiting_locked();
    if (!ring && napping_.load() > 0) wake_nappers();
    return ring;
}

void cpu_lane::withdraw_locked(ticket& ready) noexcept {
    ready_.remove(ready);
    count_waiting_locked();
}

/// napping_ is raised before crowded() is asked, and asked after a ticket was counted as waiting: a ticket that is added
/// finds a napper, or is found by him.
void cpu_lane::nap(std::uint32_t word, sync::time_point until) noexcept {
    napping_.fetch_add(1);
    if (!crowded()) sync::futex_wait(nap_word_, word, until);
    napping_.fetch_sub(1);
}

void cpu_lane::wake_nappers() noexcept {
    nap_word_.fetch_add(1);
    sync::futex_wake(nap_word_);
}

void cpu_lane::enlist_locked(stream_engine& live) noexcept {
    live.next_live = streams_;
    if (streams_) streams_->previous_live = &live;
    streams_ = &live;
}

void cpu_lane::forget_locked(stream_engine& ended) noexcept {
    (ended.previous_live ? ended.previous_live->next_live : streams_) = ended.next_live;
    if (ended.next_live) ended.next_live->previous_live = ended.previous_live;
}

void cpu_lane::serve() noexcept {
    sync::unique_lock lock(mutex_);
    --coming_;
    while (ticket* next = ready_.first()) {
        withdraw_locked(*next);
        lock.unlock();
        next->serve();
        lock.lock();
    }
    --serving_;
    count_waiting_locked();
    if (ending_) idle_.unpark();
}

}  // namespace penstock::inline v0::detail
