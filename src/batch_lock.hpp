// SPDX-License-Identifier: MIT
/// A lock with an owner, for whom it can be made nearly free.
#pragma once

#include <chrono>
#include <mutex>
#include <thread>

#include <penstock/detail/sync.hpp>

#include "fences.hpp"
#include "spin_lock.hpp"

namespace penstock::inline v0::sync {

/// A spin lock for one owner and any number of visitors. Biased, it costs the owner two stores and a look, and every visitor a
/// heavy_fence(): for an owner who passes all the time where nobody comes.
///
/// O7. The owner says that he is inside, then looks whether somebody visits; a visitor says so, then looks whether the owner is
/// inside, until he is not. Between the two steps one has a light fence and the other the heavy one, so one sees the other. The
/// owner who sees a visitor steps back, and queues behind him.
class batch_lock {
public:
    class owner_section {
    public:
        explicit owner_section(batch_lock& lock) noexcept : lock_(lock), biased_(lock.enter()) {}
        owner_section(const owner_section&) = delete;
        owner_section& operator=(const owner_section&) = delete;
        ~owner_section() { biased_ ? lock_.leave_biased() : lock_.spin_.unlock(); }

    private:
        batch_lock& lock_;
        const bool biased_;
    };
    class visitor_section {
    public:
        explicit visitor_section(batch_lock& lock) noexcept : lock_(lock) {
            lock.spin_.lock();
            if (lock.biased_) lock.keep_owner_out();
        }
        visitor_section(const visitor_section&) = delete;
        visitor_section& operator=(const visitor_section&) = delete;
        ~visitor_section() {
            if (lock_.biased_) lock_.visited_.store(false, std::memory_order_release);  // O7
            lock_.spin_.unlock();
        }

    private:
        batch_lock& lock_;
    };

    /// The owner, as below.
    bool is_biased() const noexcept { return owner_is_biased_; }
    /// The owner, while it is biased, in place of an owner_section. False: somebody visits, and this is no section.
    bool try_enter_biased() noexcept {
        owner_inside_.store(true, std::memory_order_relaxed);
        light_fence();                                                       // O7
        if (!visited_.load(std::memory_order_acquire)) [[likely]] return true;  // O7
        leave_biased();
        return false;
    }
    void leave_biased() noexcept { owner_inside_.store(false, std::memory_order_release); }  // O7
    /// The owner, outside of a section. Only where there_are_heavy_fences().
    void set_biased(bool biased) noexcept {
        if (owner_is_biased_ == biased) return;
        const std::lock_guard guard(spin_);
        biased_ = biased;
        owner_is_biased_ = biased;
    }

private:
    /// Returns whether the owner is inside by his own word; else he holds the spin lock.
    bool enter() noexcept {
        if (owner_is_biased_ && try_enter_biased()) return true;
        spin_.lock();
        return false;
    }
    [[gnu::noinline]] void keep_owner_out() noexcept {
        visited_.store(true, std::memory_order_relaxed);
        heavy_fence();  // O7
        for (unsigned looks = 1; owner_inside_.load(std::memory_order_acquire); ++looks) {  // O7
            pause();
            if (looks % 64 == 0) std::this_thread::yield();
            if (looks > 4096) std::this_thread::sleep_for(std::chrono::microseconds(50));  // as in spin_lock
        }
    }

    spin_lock spin_;
    bool biased_ = false;           ///< guarded by spin_
    bool owner_is_biased_ = false;  ///< the same, for the owner
    atomic<bool> owner_inside_{false};
    atomic<bool> visited_{false};
};

}  // namespace penstock::inline v0::sync
