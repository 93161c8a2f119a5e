// SPDX-License-Identifier: MIT
/// A lock that costs its owner next to nothing.
#pragma once

#include <chrono>
#include <thread>

#include <penstock/detail/sync.hpp>

#include "barrier.hpp"

namespace penstock::inline v0::sync {

/// One thread at a time, the owner, enters through `owner`; any others through `visitor`. Sections of both exclude each
/// other. Which thread is the owner may change only with a hand-over that orders the two (a lock, here the lane's).
///
/// Cost: owner two stores and a load; visitor a mutex and a heavy barrier, some microseconds. Sections must be short and
/// run no user code: a visitor spins while the owner is inside.
///
/// I1: never both inside. The owner stores inside_ and then loads revoked_, the visitor stores revoked_ and then loads
/// inside_, with the O2 barriers between: at least one sees the other. An owner that sees revoked_ steps back and queues
/// at the visitors' mutex; a visitor that sees inside_ waits for the owner to leave or to step back.
/// O3: inside_ = false is a release and the visitor's load an acquire; revoked_ = false is a release and the owner's load
/// an acquire: whoever enters sees what the last section wrote.
class biased_lock {
public:
    class owner {
    public:
        explicit owner(biased_lock& lock) noexcept : lock_(lock) {
            lock_.inside_.store(true, std::memory_order_relaxed);
            light_barrier();                                                             // O2, with visitor()
            if (lock_.revoked_.load(std::memory_order_acquire)) [[unlikely]] step_back();  // O3
        }
        owner(const owner&) = delete;
        owner& operator=(const owner&) = delete;
        ~owner() {
            if (stepped_back_) [[unlikely]] {
                lock_.visitors_.unlock();
            } else {
                lock_.inside_.store(false, std::memory_order_release);  // O3
            }
        }

    private:
        void step_back() noexcept {
            lock_.inside_.store(false, std::memory_order_release);
            lock_.visitors_.lock();
            stepped_back_ = true;
        }
        biased_lock& lock_;
        bool stepped_back_ = false;
    };

    class visitor {
    public:
        explicit visitor(biased_lock& lock) noexcept : lock_(lock), guard_(lock.visitors_) {
            lock_.revoked_.store(true, std::memory_order_relaxed);
            heavy_barrier();  // O2, with owner()
            for (unsigned spins = 0; lock_.inside_.load(std::memory_order_acquire); ++spins) {  // O3
                // The owner may have been preempted inside: let it run; by sleeping if this thread has the higher priority.
                if (spins % 64 == 63) std::this_thread::yield();
                if (spins > 4096) std::this_thread::sleep_for(std::chrono::microseconds(50));
                pause();
            }
        }
        visitor(const visitor&) = delete;
        visitor& operator=(const visitor&) = delete;
        ~visitor() { lock_.revoked_.store(false, std::memory_order_release); }  // O3

    private:
        biased_lock& lock_;
        lock_guard guard_;
    };

private:
    atomic<bool> inside_{false};
    atomic<bool> revoked_{false};
    mutex visitors_;
};

}  // namespace penstock::inline v0::sync
