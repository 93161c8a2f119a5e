// SPDX-License-Identifier: MIT
/// The completion queue on moodycamel::ConcurrentQueue.
#include <optional>
#include <utility>
#include <vector>

#include <concurrentqueue.h>

#include "completion_queue.hpp"

namespace penstock::inline v0::detail {
namespace {

struct small_blocks : moodycamel::ConcurrentQueueDefaultTraits {
    static constexpr std::size_t BLOCK_SIZE = 64;
    static constexpr std::size_t EXPLICIT_INITIAL_INDEX_SIZE = 4;
};
using queue_type = moodycamel::ConcurrentQueue<record*, small_blocks>;

record* oldest_first(record* newest) noexcept {
    record* list = nullptr;
    while (newest) {
        record* older = newest->link.exchange(list);
        list = std::exchange(newest, older);
    }
    return list;
}

}  // namespace

/// Explicit producers only, as many as there are pumps: moodycamel 1.0.3 never recycles its implicit ones.
struct completion_queue::state {
    explicit state(std::size_t producers) : queue(small_blocks::BLOCK_SIZE), consumer(queue), tokens(producers) {}

    queue_type queue;
    moodycamel::ConsumerToken consumer;
    std::vector<std::optional<moodycamel::ProducerToken>> tokens;  ///< made on first use, by their own producer
    sync::atomic<record*> refused{nullptr};                       ///< what the queue had no memory for, newest first
    record* spilled = nullptr;                                    ///< the consumer's part of those, oldest first
};

completion_queue::completion_queue(std::size_t producers) : state_(std::make_unique<state>(producers)) {}
completion_queue::~completion_queue() = default;

void completion_queue::push(std::size_t producer, record* const* finished, std::size_t count) noexcept {
    auto& token = state_->tokens[producer];
    if (!token) token.emplace(state_->queue);
    if (token->valid() && state_->queue.enqueue_bulk(*token, finished, count)) return;
    for (std::size_t i = 0; i < count; ++i) {
        record* newest = state_->refused.load();
        do {
            finished[i]->link.store(newest);
        } while (!state_->refused.compare_exchange_weak(newest, finished[i]));
    }
}

std::size_t completion_queue::pop(record** into, std::size_t most) noexcept {
    std::size_t count = state_->queue.try_dequeue_bulk(state_->consumer, into, most);
    if (count > 0) return count;
    if (!state_->spilled) state_->spilled = oldest_first(state_->refused.exchange(nullptr));
    for (; state_->spilled && count < most; ++count) {
        into[count] = std::exchange(state_->spilled, state_->spilled->link.load());
    }
    return count;
}

}  // namespace penstock::inline v0::detail
