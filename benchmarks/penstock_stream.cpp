// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

#include <ranges>

#include "contenders.hpp"

namespace benchmarks {
namespace {

struct done {
    std::uint64_t value;
    std::uint32_t worker;
};

outcome run(const workload& load, bool help, penstock::gate* shared = nullptr) {
    penstock::executor ex;
    const std::size_t turns = load.turns;
    auto jobs = std::views::iota(std::uint64_t{0}, std::uint64_t{load.tasks}) |
                std::views::transform([turns](std::uint64_t value) {
                    return [value, turns] {
                        return done{work(value, turns), static_cast<std::uint32_t>(penstock::this_worker() + 1)};
                    };
                });
    std::vector<std::size_t> tasks_by(ex.workers() + 1);
    outcome result;
    const auto begin = clock::now();
    for (auto& finished : penstock::as_completed(ex, jobs, {.limit = load.in_flight, .shared = shared, .help = help})) {
        const done got = finished.get();
        result.sum += got.value;
        ++tasks_by[got.worker];
    }
    result.wall = clock::now() - begin;
    for (const std::size_t tasks : tasks_by) {
        result.shares.push_back(static_cast<double>(tasks) / static_cast<double>(load.tasks));
    }
    return result;
}

}  // namespace

outcome run_penstock_helping(const workload& load) { return run(load, true); }
outcome run_penstock_waiting(const workload& load) { return run(load, false); }
outcome run_penstock_gated(const workload& load) {
    penstock::gate gate(2 * load.in_flight);
    return run(load, true, &gate);
}

}  // namespace benchmarks
