// SPDX-License-Identifier: MIT
/// Objects that notice when they are lost, destroyed twice or torn.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "stress/random_numbers.hpp"

namespace stress {

/// What went wrong, from any thread; the test asks for it at the end. (GoogleTest's own assertions are only for the
/// thread of the test.)
class violations {
public:
    static void add(const std::string& what, const std::string& where = {}) {
        const std::lock_guard guard(mutex);
        ++count;
        // One example of each will do, and the others must not drown it.
        if (found.size() < 20) found.emplace(what, where);
    }
    /// What was found since the last call; empty if all is well.
    static std::string take() {
        const std::lock_guard guard(mutex);
        std::string text;
        for (const auto& [what, where] : found) text += what + "   [" + where + "]\n";
        if (count > found.size()) text += "and " + std::to_string(count - found.size()) + " more\n";
        found.clear();
        count = 0;
        return text;
    }

private:
    static inline std::mutex mutex;
    static inline std::map<std::string, std::string> found;
    static inline std::size_t count = 0;
};

/// I7: as many destroyed as made, each once.
class tracked {
public:
    tracked() noexcept { live.fetch_add(1, std::memory_order_relaxed); }
    tracked(const tracked& other) noexcept : tracked() { other.must_live("copied"); }
    tracked& operator=(const tracked& other) noexcept {
        must_live("assigned to");
        other.must_live("assigned");
        return *this;
    }
    ~tracked() {
        must_live("destroyed");
        canary_ = dead;
        live.fetch_sub(1, std::memory_order_relaxed);
    }
    void must_live(const char* what) const noexcept {
        if (canary_ != alive) violations::add(std::string("an object that is not alive was ") + what);
    }
    static long living() noexcept { return live.load(); }

private:
    static constexpr std::uint32_t alive = 0xa11ce0b1U;
    static constexpr std::uint32_t dead = 0xdeadbeefU;
    static inline std::atomic<long> live{0};
    std::uint32_t canary_ = alive;
};

/// I13: 256 bytes without any atomic in them, written by one thread and read by another.
class payload {
public:
    explicit payload(std::uint64_t seed) noexcept {
        for (std::size_t i = 0; i + 1 < words_.size(); ++i) words_[i] = mixed(seed, i);
        words_.back() = sum();
    }
    bool intact(std::uint64_t seed) const noexcept { return words_[0] == mixed(seed, 0) && words_.back() == sum(); }

private:
    std::uint64_t sum() const noexcept {
        std::uint64_t all = 0;
        for (std::size_t i = 0; i + 1 < words_.size(); ++i) all = mixed(all, words_[i]);
        return all;
    }
    std::array<std::uint64_t, 32> words_{};
};

/// Throws at a given one of the moves that it is there for.
class fuse {
public:
    explicit fuse(unsigned moves = 0) noexcept : left_(moves) {}
    /// Whether this move is the one.
    bool burns() noexcept { return left_ > 0 && --left_ == 0; }

private:
    unsigned left_;
};

}  // namespace stress
