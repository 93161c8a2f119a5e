// SPDX-License-Identifier: MIT
/// Carries finished records from the pumps to the one consumer. Records, never values.
#pragma once

#include <cstddef>
#include <memory>

#include <penstock/detail/record.hpp>

namespace penstock::inline v0::detail {

/// Many producers, each with a number of its own, one consumer. First in, first out for each producer.
///
/// pop() may find nothing although a push has returned (the queue does not promise more): whoever must know counts what
/// was pushed and what was popped. The queue hands over pointers only; what they point to is ordered by O1.
class completion_queue {
public:
    explicit completion_queue(std::size_t producers);
    ~completion_queue();
    completion_queue(const completion_queue&) = delete;
    completion_queue& operator=(const completion_queue&) = delete;

    /// Producer `producer`, one thread at a time. Can not fail: without memory the records' own links carry them.
    void push(std::size_t producer, record* const* finished, std::size_t count) noexcept;
    /// The consumer. Returns how many of at most `most` records it stored at `into`.
    std::size_t pop(record** into, std::size_t most) noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace penstock::inline v0::detail
