// SPDX-License-Identifier: MIT
/// Random numbers that are the same on every machine, for what must be repeatable from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace stress {

/// SplitMix64's finaliser: also serves as a hash, so that what a task does depends on its index alone and not on when
/// it runs.
constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
}
constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept { return mixed(mixed(a) ^ b); }

class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) noexcept : state_(mixed(seed)) {}

    std::uint64_t next() noexcept { return mixed(state_ += 0x632be59bd9b4e019U); }
    std::size_t below(std::size_t end) noexcept { return static_cast<std::size_t>(next() % end); }
    bool one_in(std::size_t n) noexcept { return below(n) == 0; }
    bool percent(std::size_t chance) noexcept { return below(100) < chance; }
    template <class T>
    T one_of(std::initializer_list<T> choices) noexcept {
        return *(choices.begin() + below(choices.size()));
    }

private:
    std::uint64_t state_;
};

}  // namespace stress
