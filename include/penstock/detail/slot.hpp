// SPDX-License-Identifier: MIT
/// Storage for one object whose life is governed by hand.
#pragma once

#include <memory>
#include <utility>

namespace penstock::inline v0::detail {

/// Uninitialised room for one T. Whoever constructs in it must destroy it; the slot itself does neither.
template <class T>
class slot {
public:
    slot() noexcept {}
    slot(const slot&) = delete;
    slot& operator=(const slot&) = delete;
    ~slot() {}

    template <class... Args>
    T& construct(Args&&... args) {
        return *std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
    }
    void destroy() noexcept { std::destroy_at(std::addressof(value_)); }
    T& get() noexcept { return value_; }
    const T& get() const noexcept { return value_; }

private:
    union {
        T value_;
    };
};

/// A task without a result, or a stream without inputs, takes no room.
template <>
class slot<void> {
public:
    void destroy() noexcept {}
};

}  // namespace penstock::inline v0::detail
