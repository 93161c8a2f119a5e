// SPDX-License-Identifier: MIT
/// A producer that is pulled on blocking threads: who pulls, and what no pump has taken yet.
#pragma once

#include <cstddef>
#include <exception>
#include <mutex>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/detail/ticket.hpp>

#include "spin_lock.hpp"

namespace penstock::inline v0::detail {

/// Carries the producer's turn to the blocking lane, for one stream.
struct puller final : ticket {
    explicit puller(stream_engine& of) noexcept : engine(of) {}
    void serve() noexcept override;
    void refuse(std::exception_ptr why) noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::puller; }

    stream_engine& engine;
};

/// First in, first out, through the records' own links. In submission order a record's link leads to the one pulled
/// next anyway (O5), and that is the next one here: nobody goes on from a record that waits here, so both uses agree.
///
/// Threads: any. Its sections are a few instructions for each record, and call nothing of the user's (I1).
class intake {
public:
    /// Returns whether it was empty.
    bool append(record& pulled) noexcept {
        const section guard(lock_);
        const std::size_t before = size_.load(std::memory_order_relaxed);
        if (before == 0) {
            first_ = &pulled;
        } else {
            last_->link.store(&pulled, std::memory_order_release);  // O5: in submission order the same once more
        }
        last_ = &pulled;
        size_.store(before + 1, std::memory_order_release);
        unsettled_.store(unsettled_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        return before == 0;
    }

    /// Calls put(record&) for the `most` oldest, or for all if there are fewer. Returns how many it were. settle() them,
    /// or put_back() what is not taken after all.
    template <class Put>
    std::size_t take(std::size_t most, Put put) noexcept {
        if (size_.load(std::memory_order_relaxed) == 0) return 0;
        const section guard(lock_);
        const std::size_t before = size_.load(std::memory_order_relaxed);
        const std::size_t count = before < most ? before : most;
        for (std::size_t i = 0; i < count; ++i) {
            record& taken = *first_;
            if (i + 1 < before) first_ = taken.link.load(std::memory_order_relaxed);
            put(taken);
        }
        size_.store(before - count);  // O2, with retire_puller(), which asks size() as well
        return count;
    }

    /// Comes first again, having been the first that was taken.
    void put_back(record& taken) noexcept {
        const section guard(lock_);
        const std::size_t before = size_.load(std::memory_order_relaxed);
        if (before == 0) {
            last_ = &taken;
        } else {
            taken.link.store(first_, std::memory_order_release);  // O5: in submission order what is there already
        }
        first_ = &taken;
        size_.store(before + 1, std::memory_order_release);
    }

    void settle(std::size_t taken) noexcept {
        const section guard(lock_);
        unsettled_.store(unsettled_.load(std::memory_order_relaxed) - taken);  // O2, with retire()
    }
    /// What was appended and not settled: it waits here, or is in the hands of who may put it back. Not too small for
    /// who knows of all that was appended.
    std::size_t unsettled() const noexcept { return unsettled_.load(); }

    /// Exact, and more: who appends or takes afterwards does so knowing what the caller knew (O2).
    bool any() noexcept {
        const section guard(lock_);
        return size_.load(std::memory_order_relaxed) > 0;
    }
    /// May be stale, but not to who has been in any() since.
    std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }

private:
    using section = std::lock_guard<sync::spin_lock>;

    sync::spin_lock lock_;
    sync::atomic<std::size_t> size_{0};
    sync::atomic<std::size_t> unsettled_{0};
    record* first_ = nullptr;
    record* last_ = nullptr;
};

}  // namespace penstock::inline v0::detail
