// SPDX-License-Identifier: MIT
/// The public door to stream_engine.
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <penstock/detail/stream_core.hpp>
#include <penstock/executor.hpp>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

void refuse_retry() {
    throw std::invalid_argument(
        "penstock: options::retry needs jobs that can run twice; a task<T>, or a function that takes only rvalues, can "
        "not: give a function that makes the task, or takes an lvalue");
}

void refuse_negative(std::size_t weight) {
    throw std::invalid_argument("penstock: the weight of a job must not be negative, and not " +
                                std::to_string(static_cast<std::ptrdiff_t>(weight)));
}

stream_source::~stream_source() = default;
launched stream_source::launch(record&, const std::stop_token*) noexcept { return launched::ended; }
bool stream_source::starts_elsewhere(const record&) const noexcept { return false; }
void stream_source::run_blocking(record&, const std::stop_token*) noexcept {}
void stream_source::time_out(const record&, record&, std::exception_ptr, std::chrono::nanoseconds) noexcept {}
void stream_source::fail(record&, std::exception_ptr, std::chrono::nanoseconds) noexcept {}
task_root* stream_source::root_of(record&) noexcept { return nullptr; }
std::coroutine_handle<> stream_source::frame_of(record&) noexcept { return nullptr; }
record& stream_source::record_of(task_root&) noexcept { std::terminate(); }
void stream_source::settle(record&) noexcept {}
bool stream_source::runs_again(const record&) const noexcept { return true; }
void stream_source::release(record&) noexcept {}
std::size_t stream_source::weight_of(const record&) const noexcept { return 1; }
blocking_ticket* stream_source::ticket_of(record&) noexcept { return nullptr; }

stream_core::stream_core(executor& ex, const options& settings, stream_source& source)
    : engine_(std::make_unique<stream_engine>(ex.lane_, settings, source)) {}
stream_core::~stream_core() = default;

record* stream_core::next(const wait_until& wait) { return engine_->next(wait); }
void stream_core::taken(record& done) noexcept { engine_->taken(done); }
unsigned stream_core::attempts(const record& done) const noexcept { return engine_->attempts(done); }
bool stream_core::fail_in_transit(const record& done, std::exception_ptr error) noexcept {
    return engine_->fail_in_transit(done, std::move(error));
}
bool stream_core::wait_async(suspended_frame& consumer, const std::stop_token& until) {
    return engine_->wait_async(consumer, until);
}
void stream_core::woken() noexcept { engine_->woken(); }
bool stream_core::may_leave() noexcept { return engine_->may_leave(); }
void stream_core::interrupt() noexcept { engine_->interrupt(); }
void stream_core::request_stop() noexcept { engine_->request_stop(); }
bool stream_core::done() const noexcept { return engine_->done(); }
stream_stats stream_core::stats() const noexcept { return engine_->stats(); }
void stream_core::close() noexcept { engine_->close(); }
void stream_core::close_elsewhere() noexcept { engine_->close(false); }

}  // namespace penstock::inline v0::detail
