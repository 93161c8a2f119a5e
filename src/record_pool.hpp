// SPDX-License-Identifier: MIT
/// Records without a task, on their way from the consumer back to the producer's side.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// The consumer gives, the holder of the producer's turn takes. All but a few of what was given can be taken at once, so no
/// more records are ever made than are in use, and those few.
///
/// They travel in bundles of pointers: whoever takes one has all its cache lines fetched together, where a linked list would
/// wait for each line to learn of the next. Only what finds the ring of bundles full is linked.
class record_pool {
public:
    /// The consumer.
    void give(record& vacant) noexcept {
        given_[given_count_++] = &vacant;
        if (given_count_ == bundle) pass_on();
    }

    /// The holder of the turn. Null if there is none.
    record* take() noexcept {
        if (taken_count_ > 0) return taken_[--taken_count_];
        if (!chain_) refill();
        if (taken_count_ > 0) return taken_[--taken_count_];
        record* first = chain_;
        if (first) chain_ = first->link.load(std::memory_order_relaxed);
        return first;
    }
    /// The consumer, holding the turn: what it gave last, which is still near.
    record* take_back() noexcept { return given_count_ > 0 ? given_[--given_count_] : take(); }
    /// What take() gave, and was not used.
    void put_back(record& unused) noexcept {
        unused.link.store(chain_, std::memory_order_relaxed);
        chain_ = &unused;
    }

private:
    static constexpr std::size_t bundle = 16;
    static constexpr std::size_t bundles = 8;
    using array = std::array<record*, bundle>;

    // Apart, so that what is done for every record stays short.
    [[gnu::noinline]] void pass_on() noexcept {
        given_count_ = 0;
        const std::size_t at = filled_.load(std::memory_order_relaxed);
        if (at - emptied_.load(std::memory_order_acquire) == bundles) return link_given();  // O6
        ring_[at % bundles] = given_;
        filled_.store(at + 1, std::memory_order_release);  // O6
    }

    /// One thread pushes and the other takes all: there is no ABA.
    void link_given() noexcept {
        for (std::size_t i = 0; i + 1 < bundle; ++i) given_[i]->link.store(given_[i + 1], std::memory_order_relaxed);
        record* newest = linked_.load(std::memory_order_relaxed);
        do {
            given_[bundle - 1]->link.store(newest, std::memory_order_relaxed);
        } while (!linked_.compare_exchange_weak(newest, given_[0], std::memory_order_release));  // O6
    }

    [[gnu::noinline]] void refill() noexcept {
        const std::size_t at = emptied_.load(std::memory_order_relaxed);
        if (at != filled_.load(std::memory_order_acquire)) {  // O6
            taken_ = ring_[at % bundles];
            taken_count_ = bundle;
            emptied_.store(at + 1, std::memory_order_release);  // O6
            for (record* vacant : taken_) __builtin_prefetch(vacant, 1);
        } else if (linked_.load(std::memory_order_relaxed)) {
            chain_ = linked_.exchange(nullptr, std::memory_order_acquire);  // O6
        }
    }

    // The consumer's.
    array given_;
    std::size_t given_count_ = 0;
    sync::atomic<std::size_t> filled_{0};
    // Between the two.
    alignas(64) std::array<array, bundles> ring_;
    sync::atomic<record*> linked_{nullptr};
    // The turn's.
    alignas(64) array taken_;
    std::size_t taken_count_ = 0;
    record* chain_ = nullptr;
    sync::atomic<std::size_t> emptied_{0};
};

}  // namespace penstock::inline v0::detail
