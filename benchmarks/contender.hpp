// SPDX-License-Identifier: MIT
/// The list of contenders, to which each file in contenders/ adds its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "workloads.hpp"

namespace benchmarks {

/// One contender, with its threads: runs a workload by its name. Empty functions are not in the map.
using workload_runs = std::map<std::string, std::function<outcome(const settings&)>>;

struct contender {
    std::string name;
    /// Makes its threads, which live as long as the functions do.
    std::function<workload_runs(std::size_t threads)> make;
};

inline std::map<std::string, contender>& contenders() {
    static std::map<std::string, contender> all;
    return all;
}

/// Adds a contender: `const bool added = add_contender<its_class>("its name");`
template <class Contender>
bool add_contender(const std::string& name) {
    const auto make = [](std::size_t threads) {
        const auto who = std::make_shared<Contender>(threads);
        workload_runs runs;
        const auto add = [&](const char* workload, outcome (*run)(Contender&, const settings&)) {
            runs[workload] = [who, run](const settings& with) { return run(*who, with); };
        };
        add("short_tasks", short_tasks<Contender>);
        add("heavy_tailed", heavy_tailed<Contender>);
        if constexpr (sleeps<Contender>) add("sleeping", sleeping<Contender>);
        add("mixed", mixed<Contender>);
        add("slow_consumer", slow_consumer<Contender>);
        add("slow_producer", slow_producer<Contender>);
        add("many_streams", many_streams<Contender>);
        add("large_results", large_results<Contender>);
        add("latency", latency<Contender>);
        return runs;
    };
    return contenders().emplace(name, contender{name, make}).second;
}

}  // namespace benchmarks
