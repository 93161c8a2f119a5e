// SPDX-License-Identifier: MIT
/// The seam between penstock's protocol and the machine: every atomic, lock and thread of ours is named through here,
/// so that a build can put others in their place. (The spin lock and the futex waits are in src/: no public header
/// needs them.)
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace penstock::inline v0::sync {

template <class T>
using atomic = std::atomic<T>;
using mutex = std::mutex;
using lock_guard = std::lock_guard<std::mutex>;
using unique_lock = std::unique_lock<std::mutex>;
using thread = std::thread;

}  // namespace penstock::inline v0::sync
