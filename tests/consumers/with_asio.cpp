// SPDX-License-Identifier: MIT
// What consumers of the component asio build: tasks that wait for Asio's timers.
#include <chrono>
#include <ranges>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <penstock/asio.hpp>
#include <penstock/penstock.hpp>

int main() {
    asio::io_context io;
    std::jthread runner([&io, busy = asio::make_work_guard(io)] { io.run(); });
    auto wait = [&](int i) -> penstock::task<int> {
        asio::steady_timer timer(io, std::chrono::milliseconds(i));
        co_await timer.async_wait(penstock::use_task);
        co_return i;
    };
    penstock::executor ex;
    long sum = 0;
    for (auto& done : penstock::as_completed(ex, std::views::iota(0, 10), wait, 8)) sum += done.get();
    io.stop();
    return sum == 45 ? 0 : 1;
}
