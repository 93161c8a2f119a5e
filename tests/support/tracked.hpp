// SPDX-License-Identifier: MIT
/// Objects that are counted: whatever a test hands to the library, it must get destroyed, once.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace support {

/// Derive from it, or hold one. A canary word finds the use of an object that is not alive, double destruction
/// included.
class tracked {
public:
    tracked() noexcept { enter(); }
    tracked(const tracked& other) noexcept {
        other.check();
        enter();
    }
    tracked(tracked&& other) noexcept {
        other.check();
        enter();
    }
    tracked& operator=(const tracked& other) noexcept {
        check();
        other.check();
        return *this;
    }
    ~tracked() {
        check();
        canary_ = dead;
        live_.fetch_sub(1, std::memory_order_relaxed);
    }

    void check() const noexcept {
        if (canary_ != alive) faults_.fetch_add(1, std::memory_order_relaxed);
    }

    static long live() noexcept { return live_.load(std::memory_order_relaxed); }
    /// Uses of objects that were not alive.
    static long faults() noexcept { return faults_.load(std::memory_order_relaxed); }
    static void start_afresh() noexcept {
        live_.store(0);
        faults_.store(0);
    }

private:
    static constexpr std::uint64_t alive = 0x616c697665212121;
    static constexpr std::uint64_t dead = 0x6465616421212121;

    void enter() noexcept {
        canary_ = alive;
        live_.fetch_add(1, std::memory_order_relaxed);
    }

    volatile std::uint64_t canary_;  // volatile: the compiler may else drop the last write to a dying object
    static inline std::atomic<long> live_{0};
    static inline std::atomic<long> faults_{0};
};

/// A value with a life.
template <class T = int>
struct tracked_value : tracked {
    tracked_value() = default;
    explicit tracked_value(T v) : value(std::move(v)) {}
    T value{};
};

/// The same, to be moved only.
template <class T = int>
struct tracked_unique : tracked {
    explicit tracked_unique(T v) : value(std::move(v)) {}
    tracked_unique(tracked_unique&& other) noexcept
        : tracked(std::move(other)), value(std::exchange(other.value, T{})) {}
    tracked_unique& operator=(tracked_unique&&) = delete;
    T value;
};

/// What the tests' tasks and producers throw.
struct test_error : std::runtime_error, tracked {
    explicit test_error(long c) : std::runtime_error("test_error " + std::to_string(c)), code(c) {}
    long code;
};

}  // namespace support
