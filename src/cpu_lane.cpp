// SPDX-License-Identifier: MIT
#include "cpu_lane.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

#include <pthread.h>

#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

/// How long a blocking thread stays idle: making one costs 30 us, keeping one some pages of its stack.
constexpr auto blocking_patience = std::chrono::seconds(5);

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
    if (settings.max_blocking_threads == 0) {
        throw std::invalid_argument("penstock: executor_options::max_blocking_threads must be at least 1");
    }
    timing_.emplace(*this);
    blocking_.emplace(settings.max_blocking_threads, settings.thread_name, blocking_patience);
    const auto started = [&](std::size_t index) {
        name_this_worker(*this, index);
        name_thread(settings.thread_name, index);
        if (settings.on_thread_start) settings.on_thread_start(index);
    };
    threads_ = std::make_unique<worker_threads>(workers_, started, [this] { serve(); });
}

cpu_lane::~cpu_lane() = default;

void cpu_lane::shut_down() noexcept {
    // A stream that is over may have tasks that still run, or wait, past its deadline, or a pump on its way from one
    // lane to the other. Streams that are over may outlive the executor, and look at what is here.
    const auto idle = [this] {
        if (serving_ > 0 || ringing_ > 0) return false;
        for (const stream_engine* live = streams_; live; live = live->next_live) {
            if (!live->at_rest_locked()) return false;
        }
        return true;
    };
    wait_until_idle(idle);
    timing_->shut_down();
    wait_until_idle(idle);  // an alarm may have gone off
    blocking_->shut_down();
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
    ready_list one;
    one.push(ready);
    add_all(one);
}

void cpu_lane::add_all(ready_list& ready) noexcept {
    std::size_t rings = 0;
    {
        const sync::lock_guard guard(mutex_);
        // To look at a ticket is to wait for its memory, while others wait for the lock: only if somebody may want to
        // know.
        if (waits_inside_.load() > 0) {
            for (ticket* each = ready.first(); each; each = each->behind) {
                if (ticket_owner* of = each->owner()) of->rouse_nested_locked();
            }
        }
        rings = std::min(ready.size(), workers_ - serving_);
        const bool left_over = ready.size() > rings;
        serving_ += rings;
        coming_ += rings;
        ready_.append(ready);
        count_waiting_locked();
        if (left_over && napping_.load() > 0) wake_nappers();
        if (rings == 0) return;
        ++ringing_;
    }
    for (; rings > 0; --rings) ring();
    const sync::lock_guard guard(mutex_);
    --ringing_;
    if (ending_) idle_.unpark();
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

void cpu_lane::offer_to_workers() noexcept {
    {
        const sync::lock_guard guard(mutex_);
        if (serving_ == workers_ || !blocking_->approx_wants_worker()) return;
        ++serving_;
        ++coming_;
        count_waiting_locked();
    }
    ring();
}

void cpu_lane::withdraw_locked(ticket& ready) noexcept {
    ready_.remove(ready);
    count_waiting_locked();
}

/// napping_ is raised before crowded() is asked, and asked after a ticket was counted as waiting: a ticket that is
/// added finds a napper, or is found by him.
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
    for (;;) {
        ticket* next = ready_.first();
        if (next) withdraw_locked(*next);
        lock.unlock();
        if (!next) next = blocking_->take_for_worker();
        if (next) next->serve();
        lock.lock();
        // Under the lock, with offer_to_workers(): who adds to the other lane afterwards finds this thread gone.
        if (!next && ready_.empty() && !blocking_->approx_wants_worker()) break;
    }
    --serving_;
    count_waiting_locked();
    if (ending_) idle_.unpark();
}

}  // namespace penstock::inline v0::detail
