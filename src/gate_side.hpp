// SPDX-License-Identifier: MIT
/// A stream's side of the gate that its tasks pass. gates.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>
#include <penstock/options.hpp>

#include "alarm.hpp"
#include "gate_core.hpp"
#include "spin_lock.hpp"

namespace penstock::inline v0::detail {

/// What a task holds at the gates and lends to the stream that it waits for.
///
///     withheld --lend()--> offered --borrow()--> borrowed --give_back()--> returned
///     offered, returned --reclaim()--> withheld;  borrowed --replace()--> withheld, and one more is owed to the gates
///     borrowed --put_back()--> offered, if it was of no use
///
/// What is given back is not for the next borrower, but for the lender to look at first: there may be a result now.
///
/// Threads: any; lend(), reclaim() and replace() are the lender's. Its sections are a few instructions long.
class loan {
public:
    /// Returns whether it was not lent before.
    bool lend() noexcept {
        const section guard(lock_);
        return std::exchange(state_, state_ == state::withheld ? state::offered : state_) == state::withheld;
    }
    bool borrow() noexcept {
        const section guard(lock_);
        if (state_ != state::offered) return false;
        state_ = state::borrowed;
        return true;
    }
    /// Returns whether it is the gates' now, and not the lender's.
    bool give_back() noexcept {
        const section guard(lock_);
        if (owed_ > 0) {
            --owed_;
            return true;
        }
        state_ = state::returned;
        return false;
    }
    enum class put_back_to : std::uint8_t { gates, loan, lender };
    /// `lender`: it waits for it.
    put_back_to put_back() noexcept {
        const section guard(lock_);
        if (owed_ > 0) {
            --owed_;
            return put_back_to::gates;
        }
        state_ = state::offered;
        came_back_ = std::exchange(wanted_, false);
        return came_back_ ? put_back_to::lender : put_back_to::loan;
    }
    /// Whether the lender has it, or has it again. `wanted`: if not, it is waiting for nothing else.
    bool reclaim(bool wanted) noexcept {
        const section guard(lock_);
        if (state_ != state::borrowed) state_ = state::withheld;
        wanted_ = wanted && state_ == state::borrowed;
        came_back_ = false;
        return state_ == state::withheld;
    }
    /// The lender is about to wait for it alone. False: it is not out.
    bool want() noexcept {
        const section guard(lock_);
        return wanted_ = state_ == state::borrowed;
    }
    /// The lender has got another permit. False: it had this one back by then.
    bool replace() noexcept {
        const section guard(lock_);
        const bool out = state_ == state::borrowed;
        if (out) ++owed_;
        state_ = state::withheld;
        return out;
    }
    bool is_out() noexcept { return is(state::borrowed); }
    /// Whether the lender is to look at it.
    bool is_returned() noexcept {
        const section guard(lock_);
        return state_ == state::returned || came_back_;
    }
    /// Nobody has it, or owes it: what is lent may be another task's.
    bool is_settled() noexcept {
        const section guard(lock_);
        return state_ == state::withheld && owed_ == 0;
    }

private:
    using section = std::lock_guard<sync::spin_lock>;
    enum class state : std::uint8_t { withheld, offered, borrowed, returned };

    bool is(state asked) noexcept {
        const section guard(lock_);
        return state_ == asked;
    }

    sync::spin_lock lock_;
    state state_ = state::withheld;
    bool wanted_ = false;
    bool came_back_ = false;  ///< when it was wanted
    std::size_t owed_ = 0;    ///< of those who borrowed and have not ended: what they hold is the gates'
};

/// There for a stream that shares a gate or caps weights. What has been pulled waits in arrived_; who takes it from
/// there, and asks the gate, has the `turn`.
struct gate_side {
    gate_side(stream_engine& stream, const options& settings, gate_core* shared);

    /// Whether the stream's tasks pass this gate.
    bool passes(const gate_core& asked) const noexcept;

    std::optional<gate_core> own;  ///< for options::max_weight
    gate_core* gate;
    gate_place place;
    sync::atomic<bool> turn{false};
    /// Due to be run again, and before all that has arrived. Of who has the turn.
    sync::atomic<record*> again{nullptr};
    sync::atomic<bool> waits{false};  ///< the first of what was pulled has been refused, and nothing has changed since
    sync::atomic<bound_by> why{bound_by::gate};
    alarm asks_again;
    sync::atomic<bool> asks_again_is_set{false};  ///< from being set until it has gone off, or was taken back

    // --- the task that takes the stream's results, if it has passed one of the same gates. Changed with the turn,
    // while the loan is settled.
    const record* lender = nullptr;
    std::size_t lender_index = 0;
    const stream_engine* lenders_engine = nullptr;
    gate_core* lent_from = nullptr;  ///< the first of this stream's gates that the lender has passed, too
    std::size_t lent_weight = 0;
    detail::loan loan;
};

}  // namespace penstock::inline v0::detail
