// SPDX-License-Identifier: MIT
/// How tasks get from the producer into a batch. README.md has the protocol.
#include <algorithm>
#include <exception>
#include <utility>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

/// Where tasks leave more behind than a record: whether there is room for that, too.
bool stream_engine::may_keep_more() noexcept {
    if (timeouts_ && !keep_spares()) return false;
    return !retry_ || (!any_due() && retry_->reserve());
}

/// Holding the turn: there was no record, or no item for it.
std::nullptr_t stream_engine::give_up_reserved() noexcept {
    if (retry_) retry_->give_up_reserved();
    return nullptr;
}

void stream_engine::leave_unused(record& vacant) noexcept {
    records_.put_back(vacant);
    give_up_reserved();
}

void stream_engine::end_source(std::exception_ptr error) noexcept {
    producer_threw_.store(error != nullptr);
    producer_error_ = std::move(error);
    source_ended_.store(true);                                                   // O4
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();  // O2, with sleep() and doze()
}

record* stream_engine::new_record() noexcept {
    try {
        return source_.make_record();
    } catch (...) {
        if (all_accounted()) end_source(std::current_exception());
        return nullptr;
    }
}

/// Asks the producer. False if it has nothing more to give.
inline bool stream_engine::pull_into(record& vacant) noexcept {
    try {
        if (source_.pull(vacant)) [[likely]]
            return true;
        leave_unused(vacant);
        // One that was told to stop, and heeds that, has not come to its end: that it gives no more says nothing.
        if (!(source_.pull_heeds_stop && attention_.load() & (stopping | failing))) end_source(nullptr);
    } catch (...) {
        leave_unused(vacant);
        end_source(std::current_exception());
    }
    return false;
}

/// A stop came while the producer was being asked: what it gave is pulled and dropped, in one step.
void stream_engine::drop_pulled(record& pulled) noexcept {
    pulled_.store(pulled.index + 1);  // I5: before dropped_
    drop(pulled, !retry_ || retry_->keep_reserved());
}

/// Holding the turn. Reserve, then pull: the caller has asked room(), and whether the stream is open(). Null if that gave
/// nothing to be run.
template <bool Tiny>
[[gnu::always_inline]] inline record* stream_engine::pull_record(bool by_consumer) noexcept {
    if (!Tiny && launches_ && !may_keep_more()) return nullptr;
    record* const pulled = vacant_record(by_consumer);
    if (!pulled) [[unlikely]]
        return give_up_reserved();
    if (!pull_into(*pulled)) return nullptr;
    const std::size_t index = pulled_.load(std::memory_order_relaxed);
    pulled->index = index;
    pulled->late = pulled->told = pulled->permitted = pulled->borrowed = pulled->retried = pulled->again = false;
    pulled->link.store(nullptr, std::memory_order_relaxed);
    pulled->state.store(stage::admitted, std::memory_order_release);                                   // O1
    if (in_order_) std::exchange(order_last_, pulled)->link.store(pulled, std::memory_order_release);  // O5
    if (attention_.load() & (stopping | failing)) [[unlikely]] {
        drop_pulled(*pulled);
        return nullptr;
    }
    pulled_.store(index + 1, std::memory_order_release);  // I5: counted before anybody can run it
    if (!Tiny && retry_ && !keep_pulled(*pulled)) return nullptr;
    return pulled;
}

record* stream_engine::pull_one() noexcept { return pull_record<false>(false); }

/// Holding the turn.
std::size_t stream_engine::room(std::size_t wanted) noexcept {
    if (retry_) return approx_room();  // exact with the turn, but for the slot, which is to be taken
    const std::size_t pulled = pulled_.load(std::memory_order_relaxed);
    // Summing up what ended takes a cache line from every pump: only when what is known does not do.
    if (admission_.limit_room(pulled, ended_seen_) < wanted) ended_seen_ = ended_total();
    return admission_.room(pulled, ended_seen_, taken_.load(std::memory_order_acquire));
}

std::size_t stream_engine::approx_room() const noexcept {
    if (retry_) {
        const std::size_t pulled = pulled_.load(std::memory_order_relaxed);
        return std::min(retry_->free_slots(), admission_.window_room(pulled, taken_.load()));
    }
    return admission_.room(pulled_.load(std::memory_order_relaxed), ended_total(), taken_.load());
}

std::size_t stream_engine::ended_total() const noexcept {
    std::size_t total = ended_elsewhere_.load();
    for (const auto& slot : pumps_) {
        if (const pump* other = slot.load(std::memory_order_acquire))
            total += other->ended.load(std::memory_order_acquire);
    }
    return total;
}

/// How many tasks the pump should take at once.
std::size_t stream_engine::batch_of(const pump& at) const noexcept {
    // C12: what is launched is launched before the next is pulled.
    if (launches_) return 1;
    if (gate_ && source_.weighs) return 1;
    // The consumer that runs tiny tasks alone need not leave as much to others.
    const bool alone = is_own(at) && tiny_to_run_;
    return std::min<std::size_t>(at.batch, alone ? std::max<std::size_t>(1, admission_.limit() / 2) : fair_share_);
}

/// Takes the producer's turn if it is free, and pulls. Whoever has the turn pulls; nobody waits for it. Returns how many
/// it were. `Tiny`: into the consumer's own batch, of a stream whose tasks are tiny; it spares the questions that such a one
/// answers with no.
template <bool Tiny, class Put>
std::size_t stream_engine::pull_some(std::size_t wanted, bool by_consumer, Put put) noexcept {
    if (!Tiny && fed_ && fed_->size() == 0) return 0;
    if (!open() || turn_.load(std::memory_order_relaxed) || turn_.exchange(true)) return 0;
    if (deadline_ && clock::now() >= *deadline_) expire();
    std::size_t count = 0;
    if (open()) {
        if (fed_) wanted = std::min(wanted, fed_->size());
        if (gate_ && arrived_.unsettled() > 0) wanted = 0;  // nothing passes it, and one waits at most
        const std::size_t most = std::min(wanted, room(wanted));
        while (count < most) {
            record* pulled = pull_record<Tiny>(by_consumer);
            if (!pulled) break;
            put(*pulled);
            ++count;
            sync::light_fence();  // O7, with who visits the consumer's own batch
            // C12: the next pull may block. What has been pulled must not wait for it while somebody could run it.
            // O2, with retire() and sleep().
            if (attention_.load() & (places_idle | consumer_helps | stopping | failing)) break;
        }
    }
    turn_.store(false);
    const std::uint32_t bits = attention_.load();
    call_for_help(bits, 0);  // O2, with retire() and sleep(), who found the turn taken
    if (fed_) {
        end_drained_feed();
        if (bits & (consumer_waits | consumer_dozes) && at_end_visible()) wake_consumer();
    }
    return count;
}

bool stream_engine::fill(pump& at) noexcept {
    if (gate_) return fill_through_gate(at);
    if (retry_ && resume(at)) return true;
    if (pulls_elsewhere_) return fill_from_arrived(at);
    if (at.lock.is_biased() && !fed_) {
        at.clear();  // the consumer calls this only when it has nothing left
        return pull_some<true>(batch_of(at), true, [&at](record& pulled) { at.append(pulled); }) > 0;
    }
    bool begun = false;
    return pull_some<false>(batch_of(at), is_own(at), [&](record& pulled) {
               if (!std::exchange(begun, true)) at.clear();
               at.append(pulled);
           }) > 0;
}

/// What is pulled waits in arrived_ until the gate lets it in: one, where that is not known to have room for more.
bool stream_engine::fill_through_gate(pump& at) noexcept {
    if (!pulls_elsewhere_ && arrived_.unsettled() == 0) {
        const std::size_t wanted = std::min(batch_of(at), gate_->gate->batch());
        const std::size_t pulled = pull_some<false>(wanted, is_own(at), [&](record& each) { arrived_.append(each); });
        if (pulled > 0 && attention_.load() & (stopping | failing)) wake_consumer();  // I5: it must look here again
    }
    return admit(at);
}

}  // namespace penstock::inline v0::detail
