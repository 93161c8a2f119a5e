// SPDX-License-Identifier: MIT
/// The public door to gate_core.
#include <penstock/gate.hpp>

#include "gate_core.hpp"

namespace penstock {
inline namespace v0 {

gate::gate(std::size_t in_flight) : gate(gate_limits{.in_flight = in_flight}) {}
gate::gate(gate_limits limits) : core_(std::make_unique<detail::gate_core>(limits, nullptr)) {}
gate::gate(gate_limits limits, gate& parent) : core_(std::make_unique<detail::gate_core>(limits, parent.core_.get())) {}
gate::~gate() = default;

void gate::set_limits(gate_limits limits) { core_->set_limits(limits); }
gate_limits gate::limits() const { return core_->limits(); }
std::size_t gate::in_flight() const noexcept { return core_->in_flight(); }
std::size_t gate::weight_in_flight() const noexcept { return core_->weight_in_flight(); }

}  // namespace v0
}  // namespace penstock
