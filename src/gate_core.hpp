// SPDX-License-Identifier: MIT
/// What a gate counts, and who waits at it. gates.md.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <penstock/detail/sync.hpp>
#include <penstock/gate.hpp>

#include "start_rate.hpp"

namespace penstock::inline v0::detail {

class gate_core;
class stream_engine;

/// A stream's place in a gate's queue. Whoever holds the stream's gate turn asks with it, and it waits at one gate at a
/// time.
struct gate_place {
    /// `gates`: how many the stream's tasks pass.
    gate_place(stream_engine& stream, std::size_t gates) : engine(stream), standings(gates) {}

    /// What the stream has had of one gate: its next start comes before those of others that have had more.
    struct standing {
        std::uint64_t next = 0;
        std::chrono::steady_clock::time_point granted{};
    };

    stream_engine& engine;
    /// By gate, the outermost first; each is guarded by that gate's mutex.
    std::vector<standing> standings;
    gate_core* at = nullptr;  ///< where it waits; the gate turn's

    // --- guarded by the mutex of that gate
    gate_place* older = nullptr;  ///< whose turn is earlier
    gate_place* younger = nullptr;
    std::uint64_t turn = 0;  ///< the lower the earlier it comes, by what the stream has had
    std::uint64_t age = 0;   ///< the lower the older; 0: it does not wait. Kept when it moves on to another gate.
    std::size_t weight = 0;  ///< of the task that waits
    unsigned passed = 0;     ///< how often lighter ones went first
    /// When it was called, or when the rate allows its start; nothing: it is to be called when there is room.
    std::optional<std::chrono::steady_clock::time_point> expected = {};
    bool told = false;  ///< to ask, in case those ahead do not; or it will, by a timer
};

/// Streams that are to be told that there may be room for them, once no lock is held. They are held until they are.
class gate_calls {
public:
    bool full() const noexcept { return count_ == streams_.size(); }
    void add(stream_engine& stream) noexcept;
    /// Tells them.
    void make() noexcept;

private:
    std::array<stream_engine*, 8> streams_;
    std::size_t count_ = 0;
};

/// Threads: any. Locks: a gate's mutex comes before its parent's, and before every lane's.
class gate_core {
public:
    using clock = std::chrono::steady_clock;

    /// Throws std::invalid_argument.
    gate_core(const gate_limits& limits, gate_core* parent);
    gate_core(const gate_core&) = delete;
    gate_core& operator=(const gate_core&) = delete;
    ~gate_core();

    /// What is asked for: a permit in this gate, and in those above it.
    struct request {
        gate_place* place = nullptr;  ///< null: who asks does not wait, and its start is no news to the rate
        std::size_t weight = 1;
        std::size_t most = 1;  ///< so many, for tasks of weight 1; more than 1 only where batch() says so
        /// From this gate on up the stream may be lent permits by the task that waits for it, for so much weight. If
        /// it `borrows`, it has been, and there only the rate is asked.
        const gate_core* lent_from = nullptr;
        std::size_t lent_weight = 0;
        bool borrows = false;
    };
    struct answer {
        std::size_t granted = 0;
        bound_by why = bound_by::gate;               ///< of a refusal
        std::optional<std::size_t> cap = {};         ///< which the task is too heavy for: it will never be granted
        bool cap_is_loan = false;                    ///< that is what its stream is lent
        std::optional<clock::time_point> when = {};  ///< to ask again; otherwise the stream is called
    };
    /// All or nothing for one task, from this gate up to the outermost. If it is refused, the place waits where it was.
    answer ask(const request& wanted) noexcept;
    /// Gives back what was granted, up to and without `until`.
    void release(std::size_t weight, const gate_core* until = nullptr) noexcept {
        if (weight != 1 || parent_ || until || word_.fetch_sub(1) >> limit_shift == 0) [[unlikely]]
            release_slowly(weight, until);
    }
    /// The place waits no more.
    static void leave(gate_place& place) noexcept;

    /// How many tasks of weight 1 it is worth asking for at once: more than one only where nothing but the count is
    /// limited, and nobody waits. May be stale.
    std::size_t batch() const noexcept;

    void set_limits(const gate_limits& limits);
    gate_limits limits() const;
    std::size_t in_flight() const noexcept { return word_.load() & count_mask; }
    std::size_t weight_in_flight() const;
    gate_core* parent() const noexcept { return parent_; }
    /// With those above it.
    std::size_t gates() const noexcept { return depth_ + 1; }

private:
    /// Both in one word, so that a grant is exact whatever set_limits() does, and a release knows whether anybody must
    /// be told. The limit is 0 where a grant needs the mutex: if somebody waits, or more than the count is limited.
    using word = std::uint64_t;
    static constexpr unsigned limit_shift = 32;
    static constexpr word count_mask = (word{1} << limit_shift) - 1;
    static constexpr std::size_t most_in_flight = count_mask - 1;

    class section;
    struct attempt;
    std::size_t take_quickly(std::size_t most) noexcept;
    bool pass(attempt& by) noexcept;
    void release_slowly(std::size_t weight, const gate_core* until) noexcept;
    static bool wait_where_refused(attempt& by) noexcept;
    void give_back(std::size_t weight, bool counted) noexcept;
    enum class leaving : std::uint8_t { granted, given_up, for_another };
    static void leave(gate_place& place, leaving why) noexcept;

    // Within a section.
    bool allows(attempt& by, bool lent) noexcept;
    bool has_room(attempt& by) noexcept;
    bool keeps_rate(attempt& by) const noexcept;
    void grant(const attempt& by, bool lent) noexcept;
    bool fits(std::size_t count, std::size_t weight) const noexcept;
    std::uint64_t turn_of(const gate_place& place, clock::time_point now) const noexcept;
    static bool is_ahead(const gate_place& other, const attempt& of) noexcept;
    void queue(gate_place& place, clock::time_point now) noexcept;
    void unqueue(gate_place& place) noexcept;
    bool call_those_who_fit(clock::time_point now, gate_calls& calls) noexcept;

    std::size_t count() const noexcept { return word_.load() & count_mask; }
    std::size_t cap() const noexcept { return std::min<std::size_t>(limits_.in_flight, most_in_flight); }

    gate_core* const parent_;
    const std::size_t depth_;  ///< gates above it
    sync::atomic<word> word_{0};
    mutable sync::mutex mutex_;
    gate_limits limits_;                ///< guarded by mutex_, as all below
    std::optional<start_rate> starts_;  ///< limits_.starts
    std::size_t children_ = 0;
    std::uint64_t latest_turn_ = 0;
    std::size_t extra_weight_ = 0;  ///< what the weights in flight come to beyond 1 for each, modulo 2^64
    std::size_t waiting_ = 0;
    gate_place* oldest_ = nullptr;
    gate_place* youngest_ = nullptr;
};

}  // namespace penstock::inline v0::detail
