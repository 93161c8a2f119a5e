// SPDX-License-Identifier: MIT
/// Making a fixed number of threads, all or an error.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <vector>

#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// Appends `count` threads to `threads`; each calls hook(i) and then body(i). Returns when every hook has: null, or the
/// first exception of a hook or of making a thread. The threads that were made run their body in either case, and are the
/// caller's to join.
std::exception_ptr start_threads(std::vector<sync::thread>& threads, std::size_t count,
                                 const std::function<void(std::size_t)>& hook, const std::function<void(std::size_t)>& body);

}  // namespace penstock::inline v0::detail
