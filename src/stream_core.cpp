// SPDX-License-Identifier: MIT
/// The public door to stream_engine.
#include <utility>

#include <penstock/detail/stream_core.hpp>
#include <penstock/executor.hpp>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

stream_source::~stream_source() = default;

stream_core::stream_core(executor& ex, const options& settings, stream_source& source)
    : engine_(std::make_unique<stream_engine>(ex.lane_, settings, source)) {}
stream_core::~stream_core() = default;

record* stream_core::next(const wait_until& wait) { return engine_->next(wait); }
void stream_core::taken(record& done) noexcept { engine_->taken(done); }
bool stream_core::fail_in_transit(const record& done, std::exception_ptr error) noexcept {
    return engine_->fail_in_transit(done, std::move(error));
}
void stream_core::request_stop() noexcept { engine_->request_stop(); }
bool stream_core::done() const noexcept { return engine_->done(); }
stream_stats stream_core::stats() const noexcept { return engine_->stats(); }
void stream_core::close() noexcept { engine_->close(); }

}  // namespace penstock::inline v0::detail
