// SPDX-License-Identifier: MIT
#include "gate_core.hpp"

#include <stdexcept>
#include <utility>

#include <penstock/detail/saturating.hpp>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// Lighter tasks that may go before a heavy one that does not fit yet.
constexpr unsigned most_passes = 16;
/// Whoever was called, and has found no thread by then, holds up nobody any more.
constexpr auto patience = 2ms;

/// Until when a place that is expected holds up others.
gate_core::clock::time_point end_of_patience(gate_core::clock::time_point expected) noexcept {
    constexpr auto never = gate_core::clock::time_point::max();
    return expected < never - patience ? expected + patience : never;
}

std::uint64_t next_age() noexcept {
    static sync::atomic<std::uint64_t> last{0};
    return last.fetch_add(1) + 1;
}

const gate_limits& checked(const gate_limits& limits) {
    const auto refuse_unless = [](bool fine, const char* what) {
        if (!fine) throw std::invalid_argument(what);
    };
    refuse_unless(limits.in_flight > 0, "penstock: gate_limits::in_flight must be at least 1");
    refuse_unless(limits.weight > 0, "penstock: gate_limits::weight must be at least 1");
    if (const auto& starts = limits.starts) {
        refuse_unless(starts->count > 0, "penstock: rate::count must be at least 1");
        refuse_unless(starts->per > 0ns, "penstock: rate::per must be a positive time");
        refuse_unless(starts->burst > 0, "penstock: rate::burst must be at least 1");
    }
    return limits;
}

}  // namespace

void gate_calls::add(stream_engine& stream) noexcept {
    stream.hold();
    streams_[count_++] = &stream;
}

void gate_calls::make() noexcept {
    for (std::size_t i = 0; i < count_; ++i) streams_[i]->gate_opened_and_release();
    count_ = 0;
}

/// The mutex, with the short way closed: the count only falls, by releases that wait for the mutex afterwards.
class gate_core::section {
public:
    explicit section(gate_core& of) noexcept : gate_(of), lock_(of.mutex_) { gate_.word_.fetch_and(count_mask); }
    section(const section&) = delete;
    section& operator=(const section&) = delete;
    ~section() {
        const bool count_alone = !gate_.parent_ && gate_.children_ == 0 && !gate_.oldest_ && !gate_.starts_ &&
                                 gate_.limits_.weight == unlimited;
        if (count_alone) gate_.word_.fetch_or(word{gate_.cap()} << limit_shift);
    }

private:
    gate_core& gate_;
    const sync::unique_lock lock_;
};

/// One pass through a gate and those above it.
struct gate_core::attempt {
    const request& wanted;
    clock::time_point now = {};  ///< read in the last section, so that a start is not booked in the past
    answer result = {};
    gate_core* refused_at = nullptr;
    bool lent_there = false;
    std::uint64_t turn = 0;  ///< of the place, at the gate that looks at it
    gate_calls calls = {};
};

gate_core::gate_core(const gate_limits& limits, gate_core* parent)
    : parent_(parent), depth_(parent ? parent->gates() : 0), limits_(checked(limits)) {
    if (limits_.starts) starts_.emplace(*limits_.starts, clock::now());
    if (parent_) {
        const section there(*parent_);
        ++parent_->children_;
    }
    const section here(*this);
}

gate_core::~gate_core() {
    if (!parent_) return;
    const section there(*parent_);
    --parent_->children_;
}

gate_core::answer gate_core::ask(const request& wanted) noexcept {
    const bool plain = wanted.weight == 1 && !wanted.borrows && !(wanted.place && wanted.place->at);
    if (plain) {
        if (const std::size_t granted = take_quickly(wanted.most)) return {.granted = granted};
    }
    for (;;) {
        attempt by{wanted};
        const bool passed = pass(by);
        by.calls.make();
        if (passed) by.result.granted = 1;
        if (passed || by.result.cap) {
            if (wanted.place) leave(*wanted.place, passed ? leaving::granted : leaving::given_up);
            return by.result;
        }
        if (!wanted.place || wait_where_refused(by)) return by.result;
    }
}

std::size_t gate_core::take_quickly(std::size_t most) noexcept {
    word seen = word_.load();
    for (;;) {
        const std::size_t limit = seen >> limit_shift;
        const std::size_t count = seen & count_mask;
        if (count >= limit) return 0;
        const std::size_t taken = std::min(most, limit - count);
        if (word_.compare_exchange_weak(seen, seen + taken)) return taken;
    }
}

std::size_t gate_core::batch() const noexcept {
    const word seen = word_.load();
    const std::size_t limit = seen >> limit_shift;
    const std::size_t count = seen & count_mask;
    return count < limit ? limit - count : 1;
}

/// Locks come from here up to the outermost gate, and are held until all have agreed.
bool gate_core::pass(attempt& by) noexcept {
    const section here(*this);
    by.now = clock::now();
    const bool lent = by.lent_there = by.lent_there || this == by.wanted.lent_from;
    if (!allows(by, lent)) {
        by.refused_at = this;
        return false;
    }
    if (parent_ && !parent_->pass(by)) return false;
    grant(by, lent);
    return true;
}

bool gate_core::allows(attempt& by, bool lent) noexcept {
    const request& wanted = by.wanted;
    by.turn = wanted.place ? turn_of(*wanted.place, by.now) : UINT64_MAX;
    if (lent && limits_.weight != unlimited && wanted.weight > wanted.lent_weight) {
        by.result.cap = wanted.lent_weight;
        by.result.cap_is_loan = true;
        return false;
    }
    if (!(lent && wanted.borrows) && !has_room(by)) return false;
    return !starts_ || !wanted.place || keeps_rate(by);
}

/// Start-time fair queueing (Goyal, Vin, Cheng 1996): each start moves its stream's turn on by one, and the lowest
/// comes first. A stream that had nothing to start meanwhile has saved nothing up.
std::uint64_t gate_core::turn_of(const gate_place& place, clock::time_point now) const noexcept {
    if (place.at == this) return place.turn;
    const gate_place::standing& had = place.standings[depth_];
    // Who comes now comes behind whoever waits already; and what was not used for long is not to be had all at once.
    const std::uint64_t behind_all = latest_turn_ + 1;
    const std::uint64_t credit = now < had.granted + patience ? std::min<std::uint64_t>(behind_all, cap()) : 0;
    return std::max(had.next, behind_all - credit);
}

bool gate_core::is_ahead(const gate_place& other, const attempt& of) noexcept {
    if (&other == of.wanted.place) return false;
    if (other.turn != of.turn) return other.turn < of.turn;
    return !of.wanted.place || of.wanted.place->age == 0 || other.age < of.wanted.place->age;
}

/// Room for the task beside those who wait for longer, but for who is called and does not come, and for who is too
/// heavy for the moment.
bool gate_core::has_room(attempt& by) noexcept {
    const std::size_t weight = by.wanted.weight;
    if (weight > limits_.weight) {
        by.result.cap = limits_.weight;
        return false;
    }
    std::size_t tasks = 1;
    std::size_t weights = weight;
    clock::time_point give_up = clock::time_point::max();
    bool behind_a_heavy_one = false;
    for (gate_place* other = oldest_; other && is_ahead(*other, by); other = other->younger) {
        const bool overdue = other->expected && by.now >= end_of_patience(*other->expected);
        if (overdue || other->weight > limits_.weight) continue;
        if (fits(tasks, saturating_add(weights - weight, other->weight))) {
            // What comes behind it in its stream is ahead, too, up to its share.
            tasks +=
                std::clamp<std::uint64_t>(by.turn - other->turn, 1, std::max<std::size_t>(1, cap() / (waiting_ + 1)));
            weights = saturating_add(weights, other->weight);
            if (!other->expected && !by.calls.full()) {
                other->expected = by.now;
                by.calls.add(other->engine);
            }
            give_up = std::min(give_up, end_of_patience(other->expected.value_or(by.now)));
        } else if (count() < cap() && other->passed >= most_passes) {
            behind_a_heavy_one = true;
            break;
        }
    }
    if (!behind_a_heavy_one && fits(tasks, weights)) return true;
    by.result.why = count() >= cap() ? bound_by::gate : bound_by::weight;
    by.result.when = {};
    if (!behind_a_heavy_one && fits(1, weight)) {
        by.result.why = bound_by::gate;
        by.result.when = give_up;
    }
    return false;
}

bool gate_core::keeps_rate(attempt& by) const noexcept {
    std::size_t before = 0;
    for (const gate_place* other = oldest_; other && is_ahead(*other, by); other = other->younger) {
        if (!other->expected || by.now < end_of_patience(*other->expected)) ++before;
    }
    const clock::time_point when = starts_->when(before);
    if (when <= by.now) return true;
    by.result.why = bound_by::rate;
    by.result.when = when;
    return false;
}

void gate_core::grant(const attempt& by, bool lent) noexcept {
    const request& wanted = by.wanted;
    if (starts_ && wanted.place) starts_->start(by.now);
    if (lent && wanted.borrows) return;
    if (wanted.place) {
        const std::uint64_t turn = turn_of(*wanted.place, by.now);
        latest_turn_ = std::max(latest_turn_, turn);
        wanted.place->standings[depth_] = {turn + 1, by.now};
    }
    for (gate_place* other = oldest_; other && is_ahead(*other, by); other = other->younger) {
        if (!fits(1, other->weight)) ++other->passed;
    }
    word_.fetch_add(1);
    extra_weight_ += wanted.weight - 1;
}

/// Whether so many tasks more, of so much weight in all, have room.
bool gate_core::fits(std::size_t count, std::size_t weight) const noexcept {
    const std::size_t used = this->count();
    if (used > cap() || count > cap() - used) return false;
    if (limits_.weight == unlimited) return true;
    const std::size_t weights = used + extra_weight_;
    return weights <= limits_.weight && weight <= limits_.weight - weights;
}

/// Returns whether it waits; false: there may be room now.
bool gate_core::wait_where_refused(attempt& by) noexcept {
    gate_place& place = *by.wanted.place;
    gate_core& gate = *by.refused_at;
    if (place.at != &gate) leave(place, leaving::for_another);
    bool room = false;
    {
        const section here(gate);
        by.now = clock::now();
        place.weight = by.wanted.weight;
        if (place.at != &gate) gate.queue(place, by.now);
        place.expected = {};
        // Whoever released before it was in the queue has told nobody.
        by.result = {};
        room = gate.allows(by, by.lent_there) || by.result.cap;
        if (!room && by.result.why == bound_by::rate) place.expected = by.result.when;
        place.told = by.result.when.has_value();
    }
    by.calls.make();
    return !room;
}

void gate_core::queue(gate_place& place, clock::time_point now) noexcept {
    if (place.age == 0) place.age = next_age();
    place.turn = turn_of(place, now);
    gate_place* before = youngest_;
    while (before && std::pair(before->turn, before->age) > std::pair(place.turn, place.age)) before = before->older;
    place.older = before;
    place.younger = before ? before->younger : oldest_;
    (place.older ? place.older->younger : oldest_) = &place;
    (place.younger ? place.younger->older : youngest_) = &place;
    place.at = this;
    ++waiting_;
}

void gate_core::unqueue(gate_place& place) noexcept {
    (place.older ? place.older->younger : oldest_) = place.younger;
    (place.younger ? place.younger->older : youngest_) = place.older;
    place.older = place.younger = nullptr;
    place.at = nullptr;
    --waiting_;
}

void gate_core::leave(gate_place& place) noexcept { leave(place, leaving::given_up); }

void gate_core::leave(gate_place& place, leaving why) noexcept {
    while (gate_core* gate = place.at) {
        gate_calls calls;
        {
            const section here(*gate);
            if (why != leaving::granted && gate->starts_) {
                // It takes no start: those behind it may have theirs earlier.
                for (gate_place* each = place.younger; each; each = each->younger) each->expected = {};
            }
            gate->unqueue(place);
            gate->call_those_who_fit(clock::now(), calls);
        }
        calls.make();
    }
    if (why == leaving::for_another) return;
    place.age = 0;
    place.passed = 0;
    place.expected = {};
}

/// True: there may be more.
bool gate_core::call_those_who_fit(clock::time_point now, gate_calls& calls) noexcept {
    std::size_t tasks = 1;
    std::size_t weights = 0;
    for (gate_place* other = oldest_; other; other = other->younger) {
        if (other->expected && now >= end_of_patience(*other->expected)) continue;
        const bool too_heavy = other->weight > limits_.weight;  // for good: it is to be told
        if (too_heavy || fits(tasks, saturating_add(weights, other->weight))) {
            if (!other->expected) {
                if (calls.full()) return true;
                other->expected = now;
                calls.add(other->engine);
            }
            if (too_heavy) continue;
            ++tasks;
            weights = saturating_add(weights, other->weight);
        } else if (fits(1, other->weight)) {
            // Those ahead of it may not come, and nobody else would tell it then.
            if (other->expected || std::exchange(other->told, true)) continue;
            if (calls.full()) return true;
            calls.add(other->engine);
            break;  // it asks by a timer, and its asking calls the next
        } else if (count() >= cap() || other->passed >= most_passes) {
            break;
        }
    }
    return false;
}

/// What the short way has not done.
void gate_core::release_slowly(std::size_t weight, const gate_core* until) noexcept {
    if (weight == 1 && !parent_ && !until) return give_back(weight, true);
    for (gate_core* gate = this; gate != until; gate = gate->parent_) gate->give_back(weight, false);
}

/// `counted`: all but to tell those who wait.
void gate_core::give_back(std::size_t weight, bool counted) noexcept {
    for (bool more = true; more;) {
        gate_calls calls;
        {
            const section here(*this);
            if (!std::exchange(counted, true)) {
                word_.fetch_sub(1);
                extra_weight_ -= weight - 1;
            }
            more = oldest_ && call_those_who_fit(clock::now(), calls);
        }
        calls.make();
    }
}

void gate_core::set_limits(const gate_limits& limits) {
    checked(limits);
    const auto now = clock::now();
    for (bool first = true, more = true; more; first = false) {
        gate_calls calls;
        {
            const section here(*this);
            if (first) {
                limits_ = limits;
                if (!limits.starts) {
                    starts_.reset();
                } else if (starts_) {
                    starts_->change(*limits.starts, now);
                } else {
                    starts_.emplace(*limits.starts, now);
                }
                // Who waits for a time, or was too heavy for what there was, is to ask again.
                for (gate_place* each = oldest_; each; each = each->younger) each->expected = {};
            }
            more = call_those_who_fit(now, calls);
        }
        calls.make();
    }
}

gate_limits gate_core::limits() const {
    const sync::lock_guard guard(mutex_);
    return limits_;
}

std::size_t gate_core::weight_in_flight() const {
    const sync::lock_guard guard(mutex_);
    return count() + extra_weight_;
}

}  // namespace penstock::inline v0::detail
