// SPDX-License-Identifier: MIT
/// What a completion_stream holds.
#pragma once

#include <atomic>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include <penstock/completed.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/stream_core.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// What completion_stream<T, In> holds: everything but the types of the producer and of the function.
template <class T, class In>
class stream_state : public stream_source {
public:
    std::optional<completed<T, In>> current;   ///< what an iterator shows
    bool begun = false;                        ///< begin() has pulled the first element
    sync::atomic<bool> async_consumer{false};  ///< a coroutine is in async_next()
    std::optional<stream_core> core;

    /// Of a record whose input lies outside.
    virtual std::add_pointer_t<In> shared_input_of(const record&) noexcept { return nullptr; }

    /// The same by a consumer that is no coroutine.
    void take_here(const wait_until& wait, std::optional<completed<T, In>>& into) {
        if (async_consumer.load(std::memory_order_relaxed)) {
            throw std::logic_error(
                "penstock: a stream has two consumers: next() was called while async_next() was awaited");
        }
        take(wait, into);
    }
    /// Moves the next result out of its record, which then makes room for another task.
    void take(const wait_until& wait, std::optional<completed<T, In>>& into) {
        into.reset();
        while (record* done = core->next(wait)) {
            auto& typed = static_cast<result_record<T, In>&>(*done);
            unsigned attempts = 1;
            if (typed.retried) [[unlikely]]
                attempts = core->attempts(typed);
            into.emplace(typed, attempts, input_of(typed));
            const bool lost = !typed.failed() && !into->has_value() && core->fail_in_transit(*done, into->error());
            discard(*done);
            core->taken(*done);
            if (!lost) return;
            into.reset();
        }
    }

private:
    std::add_pointer_t<In> input_of(result_record<T, In>& done) noexcept {
        if constexpr (std::is_void_v<In>) {
            return nullptr;
        } else {
            if (done.shares_input) [[unlikely]]
                return shared_input_of(done);
            return done.holds_element ? &done.input.get() : nullptr;
        }
    }
};

}  // namespace penstock::inline v0::detail
