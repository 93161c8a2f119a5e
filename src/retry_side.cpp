// SPDX-License-Identifier: MIT
#include "retry_side.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <penstock/detail/saturating.hpp>

#include "timers.hpp"

namespace penstock::inline v0::detail {
namespace {

const retry_policy& checked(const retry_policy& policy) {
    const auto require = [](bool holds, const char* otherwise) {
        if (!holds) throw std::invalid_argument(otherwise);
    };
    require(policy.attempts > 0, "penstock: retry_policy::attempts must be at least 1: how often a job may run in all");
    require(policy.first_delay.count() >= 0, "penstock: retry_policy::first_delay must not be negative");
    require(policy.max_delay.count() >= 0, "penstock: retry_policy::max_delay must not be negative");
    require(policy.factor >= 1, "penstock: retry_policy::factor must be at least 1");
    require(policy.jitter >= 0 && policy.jitter <= 1, "penstock: retry_policy::jitter must be from 0 to 1");
    return policy;
}

}  // namespace

retry_side::retry_side(stream_engine& stream, timers& timing, const retry_policy& policy, std::size_t slots)
    : timing_(timing), policy_(checked(policy)), slots_(slots), random_(std::random_device()()),
      wake_(stream, alarm::purpose::retry) {
    waiting_.reserve(1);
}

bool retry_side::take_slot() noexcept {
    std::size_t taken = taken_slots_.load();
    do {
        if (taken >= slots_) return false;
    } while (!taken_slots_.compare_exchange_weak(taken, taken + 1));
    return true;
}

bool retry_side::reserve() noexcept {
    if (due_.load() || !take_slot()) return false;
    reserved_.store(true);
    if (!due_.load()) return true;
    give_up_reserved();  // what is due goes first
    return false;
}

bool retry_side::wants_again(const record& failed, unsigned failures, std::exception_ptr why) noexcept {
    const unsigned count = failures + 1;
    if (count >= policy_.attempts) return false;
    try {
        if (policy_.again && !policy_.again(std::move(why))) return false;
        const sync::lock_guard guard(mutex_);
        const std::size_t needed = waiting_.size() + promised_ + 2;
        if (waiting_.capacity() < needed) waiting_.reserve(std::max(needed, 2 * waiting_.capacity()));
        failures_.insert_or_assign(&failed, count);
        ++promised_;
    } catch (...) {
        return false;  // a predicate that throws, or no memory: it has had its last attempt
    }
    return true;
}

void retry_side::take_back(const record& failed) noexcept {
    const sync::lock_guard guard(mutex_);
    --promised_;
    --failures_.find(&failed)->second;
}

std::optional<retry_side::clock::time_point> retry_side::put(record& failed) noexcept {
    const sync::lock_guard guard(mutex_);
    --promised_;
    failed.retried = failed.again = true;
    const clock::time_point when = next_attempt(failures_.find(&failed)->second);
    push_locked({when, &failed});
    return_slot();  // when due_ is set: who takes it in order to pull sees that something is due
    if (due_.load() || arm_locked()) return std::nullopt;
    return when;
}

void retry_side::put_pulled(record& pulled) noexcept {
    const sync::lock_guard guard(mutex_);
    push_locked({clock::now(), &pulled});
}

void retry_side::push_locked(const entry& added) noexcept {
    waiting_.push_back(added);
    std::push_heap(waiting_.begin(), waiting_.end(), later);
    paused_.fetch_add(1);
    note_due_locked();
}

/// Under the mutex. Exponential, with a cap and jitter.
retry_side::clock::time_point retry_side::next_attempt(unsigned failures) noexcept {
    using namespace std::chrono;
    if (policy_.first_delay == nanoseconds::max()) return clock::time_point::max();
    if (policy_.first_delay == nanoseconds::zero()) return clock::now();
    const double most = static_cast<double>(policy_.max_delay.count());
    const double planned =
        std::min(most, static_cast<double>(policy_.first_delay.count()) * std::pow(policy_.factor, failures - 1));
    const double share = std::uniform_real_distribution(-policy_.jitter, policy_.jitter)(random_);
    const duration<double, std::nano> delay(std::min(most, planned * (1 + share)));
    return saturating_deadline(delay).value_or(clock::time_point::max());
}

void retry_side::look() noexcept {
    const sync::lock_guard guard(mutex_);
    note_due_locked();
}

record* retry_side::take_due() noexcept {
    if (!due_.load()) return nullptr;
    const sync::lock_guard guard(mutex_);
    if (!due_.load() || !(take_slot() || reserved_.exchange(false))) return nullptr;
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    record* taken = waiting_.back().task;
    waiting_.pop_back();
    note_resumed_locked(1);
    return taken;
}

void retry_side::note_resumed_locked(std::size_t count) noexcept {
    resumed_.fetch_add(count);
    note_due_locked();
    if (!due_.load()) static_cast<void>(arm_locked());  // if there is no thread for timers, each looks for its own
}

void retry_side::note_due_locked() noexcept { due_.store(!waiting_.empty() && waiting_.front().when <= clock::now()); }

/// Sees to it that the alarm goes off when the first is due, or earlier. False: it can not.
bool retry_side::arm_locked() noexcept {
    if (closed_ || waiting_.empty() || waiting_.front().when == clock::time_point::max()) return true;
    const clock::time_point when = waiting_.front().when;
    if (wake_is_set_ && wake_.until <= when) return true;
    if (wake_is_set_ && !timing_.cancel(wake_)) return true;  // it is going off, and will be set again by that thread
    wake_.until = when;
    return wake_is_set_ = timing_.set(wake_);
}

void retry_side::went_off() noexcept {
    const sync::lock_guard guard(mutex_);
    wake_is_set_ = false;
    note_due_locked();
    if (!due_.load()) static_cast<void>(arm_locked());  // there is a thread: this one
}

void retry_side::close() noexcept {
    const sync::lock_guard guard(mutex_);
    closed_ = true;
    if (wake_is_set_) timing_.cancel(wake_);
}

unsigned retry_side::failures(const record& task) const noexcept {
    const sync::lock_guard guard(mutex_);
    return failures_.find(&task)->second;
}

void retry_side::set_failures(const record& stand_in, unsigned failures) noexcept {
    const sync::lock_guard guard(mutex_);
    failures_.find(&stand_in)->second = failures;
}

void retry_side::expect(const record& stand_in) {
    const sync::lock_guard guard(mutex_);
    failures_.try_emplace(&stand_in);
}

void retry_side::discount(const record& task) noexcept {
    const sync::lock_guard guard(mutex_);
    --failures_.find(&task)->second;
}

}  // namespace penstock::inline v0::detail
