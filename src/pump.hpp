// SPDX-License-Identifier: MIT
/// A place in a stream from which tasks are pulled and run, by one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>

#include "batch_lock.hpp"
#include "ready_list.hpp"

namespace penstock::inline v0::detail {

class stream_engine;

/// Holds a batch: records pulled together, run one after the other by the pump's owner, and open to others all the
/// while: idle threads take records that have not started (C8), the consumer takes finished ones that the owner, busy
/// with the next task, has not published (C14).
///
///     0 .. published .. finished .. head ......... tail
///       taken over   outbox      running  unstarted
///
/// I3: published <= finished <= head <= tail <= capacity, and head - finished <= 1. I1: positions change only inside
/// `lock`; outside they are hints. The owner moves head and finished, thieves lower tail, owner or consumer raise
/// published.
struct alignas(64) pump final : ticket {
    static constexpr std::uint32_t capacity = 64;

    using owner_section = sync::batch_lock::owner_section;
    using visitor_section = sync::batch_lock::visitor_section;

    pump(stream_engine& stream, std::size_t position, bool fills_outbox) noexcept
        : engine(stream), number(position), has_outbox(fills_outbox) {}
    void serve() noexcept override;
    void refuse(std::exception_ptr) noexcept override;
    ticket_owner* owner() const noexcept override;

    stream_engine& engine;
    const std::size_t number;          ///< which producer of the completion queue it is
    const bool has_outbox;             ///< false: what is started here may end elsewhere, and is published there
    pump* next_idle = nullptr;         ///< guarded by the lane's mutex
    bool owes_loan = false;            ///< to be returned when the result has been published; the owner's
    bool launches_for_itself = false;  ///< what is launched here, the launching thread will run; the owner's
    bool off_workers = false;       ///< ready for, or on, a blocking thread; as above until it is served
    std::chrono::steady_clock::time_point yielded{};  ///< when it last made way for the consumer; the owner's
    unsigned launches = 0;                            ///< that were looked for; the owner's
    std::uint32_t batch = 1;        ///< how many to pull next time; the owner's
    std::chrono::steady_clock::duration each{};       ///< how long a task of the last batch took; the owner's
    std::chrono::steady_clock::duration attending{};  ///< spent on others in this batch; the owner's
    std::size_t outbox_seen_at = 0;  ///< what the consumer saw of `ended` when it last found an outbox filled

    // The owner's watch over another pump's unstarted tasks, see steal_stuck().
    std::size_t watched = 0;  ///< its number
    std::size_t watched_ended = 0;
    bool watching = false;
    std::chrono::steady_clock::time_point next_watch{};

    alignas(64) sync::batch_lock lock;
    sync::atomic<std::uint32_t> published{0};
    sync::atomic<std::uint32_t> finished{0};
    sync::atomic<std::uint32_t> head{0};
    sync::atomic<std::uint32_t> tail{0};
    sync::atomic<std::size_t> ended{0};  ///< tasks that ended here; written by the owner alone
    std::size_t claimed = 0;             ///< of all batches, by the owner, to be pushed into the queue; in sections
    sync::atomic<std::size_t> pushed{0};  ///< and those that have been; written by the owner alone
    std::array<record*, capacity> items;

    // --- owner
    /// Ends the record that was handed out last, if any, and hands out the next; null when the batch is used up.
    record* advance() noexcept {
        const owner_section guard(lock);
        const std::uint32_t at = hint(head);
        set(finished, at);
        if (!has_outbox) set(published, at);
        if (at == hint(tail)) return nullptr;
        set(head, at + 1);
        return items[at];
    }
    /// The same by the consumer, whose results need no outbox, while the lock is biased. Null also if somebody visits.
    record* advance_alone() noexcept {
        if (!lock.try_enter_biased()) return nullptr;
        const std::uint32_t at = hint(head);
        record* found = nullptr;
        if (at != hint(tail)) {
            set(head, at + 1);
            found = items[at];
        }
        lock.leave_biased();
        return found;
    }
    /// Begins a new batch. The last one must be used up and published.
    void clear() noexcept {
        const owner_section guard(lock);
        for (auto* position : {&published, &finished, &head, &tail}) set(*position, 0);
    }
    void append(record& pulled) noexcept {
        const owner_section guard(lock);
        const std::uint32_t at = hint(tail);
        assert(at < capacity);
        items[at] = &pulled;
        set(tail, at + 1);
    }
    /// Begins a new batch, of these.
    void begin(record* const* pulled, std::size_t count) noexcept {
        const owner_section guard(lock);
        for (auto* position : {&published, &finished, &head}) set(*position, 0);
        std::copy_n(pulled, count, items.begin());
        set(tail, static_cast<std::uint32_t>(count));
    }
    /// Claims the outbox for the owner: items [first, second).
    std::pair<std::uint32_t, std::uint32_t> claim_outbox() noexcept {
        const owner_section guard(lock);
        const std::uint32_t from = hint(published);
        set(published, hint(finished));
        claimed += hint(finished) - from;
        return {from, hint(finished)};
    }

    // --- anybody
    /// Exact, and more: whatever the owner does afterwards, it does knowing what the caller knew (O2; O7 if it is biased).
    bool has_unstarted() noexcept {
        const visitor_section guard(lock);
        return hint(head) < hint(tail);
    }
    /// May be stale.
    std::uint32_t approx_unstarted() const noexcept { return below(hint(head), hint(tail)); }
    std::uint32_t approx_outbox() const noexcept { return below(hint(published), hint(finished)); }

    /// A thief takes the younger half of what has not started. Returns how many it stored at `into`.
    std::uint32_t steal(record** into) noexcept {
        const visitor_section guard(lock);
        const std::uint32_t end = hint(tail);
        const std::uint32_t from = hint(head) + (end - hint(head)) / 2;
        for (std::uint32_t at = from; at < end; ++at) *into++ = items[at];
        set(tail, from);
        return end - from;
    }
    /// The consumer takes the outbox, having taken all of what it knew to be `pushed`. If more has been claimed since,
    /// that comes first, and it gets nothing.
    std::uint32_t empty_outbox(record** into, std::size_t known_pushed) noexcept {
        const visitor_section guard(lock);
        if (claimed != known_pushed) return 0;
        const std::uint32_t from = hint(published);
        const std::uint32_t end = hint(finished);
        for (std::uint32_t at = from; at < end; ++at) *into++ = items[at];
        set(published, end);
        return end - from;
    }

private:
    static std::uint32_t hint(const sync::atomic<std::uint32_t>& position) noexcept {
        return position.load(std::memory_order_relaxed);
    }
    static void set(sync::atomic<std::uint32_t>& position, std::uint32_t value) noexcept {
        position.store(value, std::memory_order_relaxed);
    }
    static std::uint32_t below(std::uint32_t from, std::uint32_t to) noexcept { return from < to ? to - from : 0; }
};

}  // namespace penstock::inline v0::detail
