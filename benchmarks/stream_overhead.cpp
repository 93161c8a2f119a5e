// SPDX-License-Identifier: MIT
/// What a task costs beyond its own work: as_completed beside tbb::parallel_pipeline, interleaved in one process.
///
///     stream_overhead [ROUNDS]      9 by default; prints a Markdown table of medians, with the spread
///
/// "of ideal" is the time of the bare tasks, split in advance among the threads, as a share of the contender's time.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <penstock/executor.hpp>

#include "contenders.hpp"

namespace {

using namespace benchmarks;
using namespace std::chrono_literals;

struct contender {
    std::string name;
    std::function<outcome(const workload&)> run;
    std::vector<double> nanoseconds_per_task{};
    std::vector<double> shares{};

    double median() const {
        auto sorted = nanoseconds_per_task;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
};

void run_once(contender& who, const workload& load) {
    const outcome got = who.run(load);
    if (got.sum != std::uint64_t{load.tasks} * (load.tasks - 1) / 2) {
        std::fprintf(stderr, "%s lost or doubled a task\n", who.name.c_str());
        std::exit(1);
    }
    who.nanoseconds_per_task.push_back(got.wall.count() / static_cast<double>(load.tasks));
    who.shares = got.shares;
}

void print(const contender& who, const contender& bare, const contender& pipeline, const std::string& title) {
    const auto [least, most] = std::minmax_element(who.nanoseconds_per_task.begin(), who.nanoseconds_per_task.end());
    std::string shares;
    for (const double share : who.shares) shares += (shares.empty() ? "" : " / ") + std::to_string(std::lround(100 * share));
    std::printf("| %s | %s | %.1f | %.1f - %.1f | %.2f | %.0f %% | %s |\n", title.c_str(), who.name.c_str(), who.median(),
                *least, *most, pipeline.median() / who.median(), 100 * bare.median() / who.median(), shares.c_str());
}

void compare(std::size_t workers, const std::string& title, const workload& load, int rounds) {
    std::vector<contender> all{
        {"bare loop", [&](const workload& l) { return run_bare(l, workers); }},
        {"parallel_pipeline", run_parallel_pipeline},
        {"penstock", run_penstock_helping},
        {"penstock, help = false", run_penstock_waiting},
        {"penstock, shared gate", run_penstock_gated},
    };
    for (contender& who : all) who.run(load);  // warm-up, not counted
    for (int round = 0; round < rounds; ++round) {
        for (contender& who : all) run_once(who, load);
    }
    for (const contender& who : all) print(who, all[0], all[1], title);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 9;
    const std::size_t workers = penstock::executor().workers();
    std::printf("%zu workers; shares: the thread that calls, then the others\n\n", workers);
    std::puts("| task, in flight | contender | ns per task | min - max | pipeline / this | of ideal | shares in % |");
    std::puts("|---|---|---|---|---|---|---|");
    for (const std::size_t in_flight : {4U, 16U, 64U, 256U}) {
        compare(workers, "empty, " + std::to_string(in_flight), {.tasks = 1'000'000, .in_flight = in_flight, .turns = 0}, rounds);
    }
    for (const auto length : {300ns, 1000ns, 10000ns, 100000ns}) {
        const std::size_t tasks = static_cast<std::size_t>(400ms / length);
        compare(workers, std::to_string(length.count()) + " ns, 64", {.tasks = tasks, .in_flight = 64, .turns = turns_for(length)},
                rounds);
    }
}
