// SPDX-License-Identifier: MIT
/// Replaces operator new by one that counts, and that fails when told to. For one source of a program.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace support::heap {

inline std::atomic<std::size_t> allocations{0};  ///< ever made
inline std::atomic<std::size_t> bytes{0};        ///< ever asked for
inline std::atomic<std::ptrdiff_t> live{0};      ///< bytes in use
inline std::atomic<std::ptrdiff_t> most{0};      ///< the most that `live` has been
inline std::atomic<long> fuse{0};                ///< if positive: so many allocations from now, one fails

inline void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (fuse.load(std::memory_order_relaxed) > 0 && fuse.fetch_sub(1) == 1) return nullptr;
    allocations.fetch_add(1, std::memory_order_relaxed);
    bytes.fetch_add(size, std::memory_order_relaxed);
    const std::size_t room = (size + alignment - 1) / alignment * alignment;
    void* made =
        alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, room) : std::malloc(size ? size : 1);
    if (!made) return nullptr;
    const auto added = static_cast<std::ptrdiff_t>(malloc_usable_size(made));
    const std::ptrdiff_t now = live.fetch_add(added) + added;
    std::ptrdiff_t before = most.load();
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    return made;
}
inline void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    if (void* made = allocate(size, alignment)) return made;
    throw std::bad_alloc();
}
inline void release(void* at) noexcept {
    if (!at) return;
    live.fetch_sub(static_cast<std::ptrdiff_t>(malloc_usable_size(at)));
    std::free(at);
}

}  // namespace support::heap

void* operator new(std::size_t size) { return support::heap::allocate_or_throw(size, 1); }
void* operator new[](std::size_t size) { return support::heap::allocate_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t a) {
    return support::heap::allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size, std::align_val_t a) {
    return support::heap::allocate_or_throw(size, static_cast<std::size_t>(a));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return support::heap::allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return support::heap::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
    return support::heap::allocate(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
    return support::heap::allocate(size, static_cast<std::size_t>(a));
}
void operator delete(void* at) noexcept { support::heap::release(at); }
void operator delete[](void* at) noexcept { support::heap::release(at); }
void operator delete(void* at, std::size_t) noexcept { support::heap::release(at); }
void operator delete[](void* at, std::size_t) noexcept { support::heap::release(at); }
void operator delete(void* at, std::align_val_t) noexcept { support::heap::release(at); }
void operator delete[](void* at, std::align_val_t) noexcept { support::heap::release(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { support::heap::release(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { support::heap::release(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept { support::heap::release(at); }
void operator delete[](void* at, const std::nothrow_t&) noexcept { support::heap::release(at); }
void operator delete(void* at, std::align_val_t, const std::nothrow_t&) noexcept { support::heap::release(at); }
void operator delete[](void* at, std::align_val_t, const std::nothrow_t&) noexcept { support::heap::release(at); }
