// SPDX-License-Identifier: MIT
#include "stream_fields.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <penstock/detail/saturating.hpp>

#include "cpu_lane.hpp"
#include "stream_engine.hpp"
#include "task_frame.hpp"

namespace penstock::inline v0::detail {
namespace {

options checked(const options& settings) {
    if (settings.limit == 0) {
        throw std::invalid_argument("penstock: options::limit must be at least 1: how many tasks may be in flight");
    }
    if (settings.max_weight == 0) {
        throw std::invalid_argument("penstock: options::max_weight must be at least 1");
    }
    return settings;
}

/// How many blocking jobs may wait for a thread: beyond that an unlimited limit means none, or the source would be
/// drained.
constexpr std::size_t most_waiting_for_threads = 4096;

std::size_t useful_in_flight(cpu_lane& lane) {
    return saturating_add(lane.blocking().most_threads(), lane.workers() + most_waiting_for_threads);
}

std::shared_ptr<lineage> make_lineage(const cpu_lane& lane, stream_engine& engine) {
    const task_frame* frame = task_frame::innermost();
    while (frame && (!frame->engine() || &frame->lane() != &lane)) frame = frame->outer();
    return std::make_shared<lineage>(lineage{frame ? frame->engine()->line() : nullptr, &engine});
}

}  // namespace

stream_fields::stream_fields(stream_engine& engine, std::shared_ptr<cpu_lane> lane, const options& settings,
                             stream_source& source)
    : lane_(std::move(lane)), source_(source),
      admission_(checked(settings), source.blocks ? useful_in_flight(*lane_) : unlimited),
      max_pumps_(std::min(settings.limit, lane_->workers())), in_order_(settings.order == order::submission),
      fail_fast_(settings.on_error == on_error::stop), launches_(source.launches || source.retries || source.times_out),
      apart_(launches_ || settings.shared || settings.max_weight != unlimited || settings.observer),
      observer_(settings.observer), pulls_elsewhere_(source.pull_blocks),
      fed_(source.fed), help_(settings.help && !launches_),  // what there is to help with is soon done
      may_be_biased_(help_ && !pulls_elsewhere_ && sync::there_are_heavy_fences()),
      asks_(settings.help && launches_), deadline_(settings.deadline),
      fair_share_(std::max<std::size_t>(1, settings.limit / max_pumps_)), lineage_(make_lineage(*lane_, engine)),
      queue_(max_pumps_), pumps_(max_pumps_ + 1), order_last_(&order_stub_), puller_(engine),
      order_taken_(&order_stub_) {}

stream_fields::~stream_fields() = default;

}  // namespace penstock::inline v0::detail
