// SPDX-License-Identifier: MIT
#include <penstock/detail/shared_inputs.hpp>

namespace penstock::inline v0::detail {

void shared_inputs::expect(const record& made) {
    const sync::lock_guard guard(mutex_);
    inputs_.try_emplace(&made);
}

void shared_inputs::put(const record& of, std::shared_ptr<void> input) noexcept {
    // What was there before is destroyed with the parameter, without the lock.
    const sync::lock_guard guard(mutex_);
    inputs_.find(&of)->second.swap(input);
}

std::shared_ptr<void> shared_inputs::of(const record& task) const noexcept {
    const sync::lock_guard guard(mutex_);
    return inputs_.find(&task)->second;
}

void* shared_inputs::get(const record& task) noexcept {
    const sync::lock_guard guard(mutex_);
    return inputs_.find(&task)->second.get();
}

}  // namespace penstock::inline v0::detail
