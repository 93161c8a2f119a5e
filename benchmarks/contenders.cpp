// SPDX-License-Identifier: MIT
/// Runs one workload with one contender, and prints what it took as a line of JSON. tools/compare.sh runs many.
///
///     contenders list                                 the contenders, and the workloads of each
///     contenders turn                                 nanoseconds of a turn of work()
///     contenders best KEY=VALUE…                      the best makespan of heavy_tailed, in turns
///     contenders run CONTENDER WORKLOAD KEY=VALUE…    a warm-up with a tenth of the tasks, then the run
///     contenders nothing                              the program alone
///
/// Keys: threads, tasks, in_flight, turns, heavy_every, heavy_times, sink_turns, source_turns, bytes, streams, milliseconds,
/// blocking_every. Exit status: 1 if a task was lost or doubled, 2 if it was called wrongly.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

#include "contender.hpp"

namespace {

using namespace benchmarks;

settings read_settings(int count, char** words) {
    settings with;
    const std::map<std::string_view, std::size_t settings::*> keys{
        {"threads", &settings::threads},           {"tasks", &settings::tasks},
        {"in_flight", &settings::in_flight},       {"turns", &settings::turns},
        {"heavy_every", &settings::heavy_every},   {"heavy_times", &settings::heavy_times},
        {"sink_turns", &settings::sink_turns},     {"source_turns", &settings::source_turns},
        {"bytes", &settings::bytes},               {"streams", &settings::streams},
        {"milliseconds", &settings::milliseconds}, {"blocking_every", &settings::blocking_every},
    };
    for (int at = 0; at < count; ++at) {
        const std::string_view word = words[at];
        const std::size_t equals = word.find('=');
        const auto key = keys.find(word.substr(0, equals));
        if (equals == word.npos || key == keys.end()) throw std::invalid_argument("no such setting: " + std::string(word));
        with.*key->second = std::stoull(std::string(word.substr(equals + 1)));
    }
    return with;
}

struct usage {
    clock::time_point wall = clock::now();
    double cpu_seconds = 0;
    long voluntary = 0;
    long involuntary = 0;

    usage() {
        rusage now{};
        getrusage(RUSAGE_SELF, &now);
        const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
        cpu_seconds = seconds(now.ru_utime) + seconds(now.ru_stime);
        voluntary = now.ru_nvcsw;
        involuntary = now.ru_nivcsw;
    }
};

/// Kibibytes; of this process alone, where getrusage() may show what it was forked from.
long peak_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) return std::strtol(line.c_str() + 6, nullptr, 10);
    }
    return 0;
}

void print_latencies(std::vector<std::uint32_t> found) {
    if (found.empty()) return;
    std::sort(found.begin(), found.end());
    const auto at = [&](double share) {
        return found[static_cast<std::size_t>(share * static_cast<double>(found.size() - 1))];
    };
    std::printf(", \"latency_ns\": {\"p50\": %u, \"p99\": %u, \"p99.9\": %u}", at(0.5), at(0.99), at(0.999));
}

bool run(const std::string& who, const std::string& workload, const settings& with) {
    const auto found = contenders().find(who);
    if (found == contenders().end()) throw std::invalid_argument("no such contender: " + who);
    const workload_runs runs = found->second.make(with.threads);
    const auto chosen = runs.find(workload);
    if (chosen == runs.end()) throw std::invalid_argument(who + " has no workload " + workload);

    settings warm_up = with;
    warm_up.tasks = std::max<std::size_t>(with.tasks / 10, 1);
    chosen->second(warm_up);
    tasks_by_thread::reset();
    const usage before;
    const outcome got = chosen->second(with);
    const usage after;

    const bool right = got.results == with.tasks && got.sum == std::uint64_t{with.tasks} * (with.tasks - 1) / 2;
    std::printf("{\"seconds\": %.9f, \"cpu_seconds\": %.6f, \"peak_kib\": %ld, \"voluntary_switches\": %ld, "
                "\"involuntary_switches\": %ld, \"right\": %s, \"tasks_by_thread\": [",
                std::chrono::duration<double>(after.wall - before.wall).count(), after.cpu_seconds - before.cpu_seconds,
                peak_memory(), after.voluntary - before.voluntary, after.involuntary - before.involuntary,
                right ? "true" : "false");
    const auto counts = tasks_by_thread::counts();
    for (std::size_t at = 0; at < counts.size(); ++at) std::printf("%s%zu", at > 0 ? ", " : "", counts[at]);
    std::printf("]");
    print_latencies(got.latencies);
    std::printf("}\n");
    return right;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    try {
        if (what == "list") {
            for (const auto& [name, each] : contenders()) {
                std::cout << name << ':';
                for (const auto& [workload, run] : each.make(1)) std::cout << ' ' << workload;
                std::cout << '\n';
            }
            return 0;
        }
        if (what == "turn") return std::printf("%.4f\n", length_of_a_turn().count()) < 0;
        if (what == "best") return std::printf("%.0f\n", best_makespan(read_settings(argc - 2, argv + 2))) < 0;
        if (what == "nothing") return std::printf("{\"peak_kib\": %ld}\n", peak_memory()) < 0;
        if (what == "run" && argc >= 4) return run(argv[2], argv[3], read_settings(argc - 4, argv + 4)) ? 0 : 1;
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "contenders: %s\n", wrong.what());
        return 2;
    }
    std::fprintf(stderr, "usage: contenders list | turn | nothing | best KEY=VALUE... | run CONTENDER WORKLOAD KEY=VALUE...\n");
    return 2;
}
