// SPDX-License-Identifier: MIT
/// The completion queue of the reference backend: a list under a lock.
#include <utility>

#include "completion_queue.hpp"

namespace penstock::inline v0::detail {

struct completion_queue::state {
    sync::mutex mutex;
    record* first = nullptr;
    record* last = nullptr;
};

completion_queue::completion_queue(std::size_t) : state_(std::make_unique<state>()) {}
completion_queue::~completion_queue() = default;

void completion_queue::push(std::size_t, record* const* finished, std::size_t count) noexcept {
    const sync::lock_guard guard(state_->mutex);
    for (std::size_t i = 0; i < count; ++i) {
        finished[i]->link.store(nullptr);
        if (!state_->first) state_->first = finished[i];
        if (state_->last) state_->last->link.store(finished[i]);
        state_->last = finished[i];
    }
}

std::size_t completion_queue::pop(record** into, std::size_t most) noexcept {
    const sync::lock_guard guard(state_->mutex);
    std::size_t count = 0;
    for (; state_->first && count < most; ++count) into[count] = std::exchange(state_->first, state_->first->link.load());
    if (!state_->first) state_->last = nullptr;
    return count;
}

}  // namespace penstock::inline v0::detail
