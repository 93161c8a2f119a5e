// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <utility>

#include <penstock/completion_source.hpp>

namespace penstock::inline v0::detail {

void completion::begin_wait() {
    const sync::lock_guard guard(mutex_);
    if (std::exchange(awaited_, true)) throw std::logic_error("penstock: a completion_source was awaited twice");
}

bool completion::claim() noexcept {
    const sync::lock_guard guard(mutex_);
    return !std::exchange(claimed_, true);
}

void completion::publish() noexcept {
    suspended_frame* waiting = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        ready_ = true;
        waiting = std::exchange(waiting_, nullptr);
    }
    if (waiting) make_ready(*waiting);
}

bool completion::wait(suspended_frame& by) noexcept {
    const sync::lock_guard guard(mutex_);
    if (ready_ || stopped_) return false;
    waiting_ = &by;
    return true;
}

void completion::stop() noexcept {
    suspended_frame* waiting = nullptr;
    {
        const sync::lock_guard guard(mutex_);
        if (ready_) return;
        stopped_ = true;
        waiting = std::exchange(waiting_, nullptr);
    }
    if (waiting) make_ready(*waiting);
}

bool completion::stopped() noexcept {
    const sync::lock_guard guard(mutex_);
    return stopped_ && !ready_;
}

}  // namespace penstock::inline v0::detail
