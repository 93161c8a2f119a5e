// SPDX-License-Identifier: MIT
/// Short forms for those who want all results, or none.
#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include <penstock/as_completed.hpp>

namespace penstock {
inline namespace v0 {

/// All results of f, in the order of the inputs; the first error in that order is thrown, as a sequential loop would, after
/// the tasks that had started have ended. settings.order and settings.on_error are not asked.
/// Memory: the results, and limit + buffer tasks.
template <producer Inputs, class F>
auto collect(executor& ex, Inputs&& inputs, F f, options settings) {
    settings.order = order::submission;
    settings.on_error = on_error::stop;
    auto stream = penstock::as_completed(ex, std::forward<Inputs>(inputs), std::move(f), settings);
    using T = decltype(stream.next()->get());
    static_assert(!std::is_void_v<T>, "penstock: f gives nothing to collect; use for_each");
    std::vector<T> results;
    while (auto done = stream.next()) results.push_back(done->get());
    return results;
}

/// Runs f for every input; the first error is thrown, after the tasks that had started have ended. settings.on_error is not
/// asked.
template <producer Inputs, class F>
void for_each(executor& ex, Inputs&& inputs, F f, options settings) {
    settings.on_error = on_error::stop;
    auto stream = penstock::as_completed(ex, std::forward<Inputs>(inputs), std::move(f), settings);
    while (auto done = stream.next()) done->get();
}

}  // namespace v0
}  // namespace penstock
