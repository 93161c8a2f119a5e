// SPDX-License-Identifier: MIT
#include <penstock/errors.hpp>

namespace penstock {
inline namespace v0 {

const char* stopped::what() const noexcept { return "penstock: stopped"; }
const char* broken_task::what() const noexcept { return "penstock: a completion_source was destroyed before it was set"; }
const char* timed_out::what() const noexcept { return "penstock: the deadline has passed"; }

}  // namespace v0
}  // namespace penstock
