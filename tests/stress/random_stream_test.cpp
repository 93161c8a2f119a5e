// SPDX-License-Identifier: MIT
/// Random streams over the whole parameter cube, each watched by an observer: always the same ones, or others with
/// PENSTOCK_SEED=<number>. What fails prints its seed; run PENSTOCK_SEED=<seed> PENSTOCK_ROUNDS=1 to see the same
/// streams again (the threads' interleaving is new each time).
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "stress/environment.hpp"
#include "stress/observed_stream.hpp"
#include "stress/watchdog.hpp"

namespace stress {
namespace {

std::uint64_t base_seed() {
    static const std::uint64_t seed = number_from_environment("PENSTOCK_SEED", 1);
    return seed;
}

/// One executor's life: `streams` of them at once, `rows` one after the other.
std::string run_round(std::uint64_t seed, std::size_t streams, std::size_t rows) {
    random_numbers random(seed);
    const std::size_t workers = random.one_of<std::size_t>({1, 2, 3, 8});
    const std::size_t most_blocking = random.one_of<std::size_t>({1, 2, 5, 64, 512});
    const long living = tracked::living();
    {
        std::vector<std::unique_ptr<observer>> observers;
        std::vector<std::unique_ptr<stream_run>> runs;
        {
            penstock::executor ex({.workers = workers, .max_blocking_threads = most_blocking});
            const auto one = [&] {
                const auto plan = random_plan(random.next(), workers, most_blocking, streams == 1,
                                              static_cast<unsigned>(random.below(4)), false);
                observers.push_back(std::make_unique<observer>(plan, nullptr));
                runs.push_back(std::make_unique<stream_run>(*observers.back(), ex));
                return [run = runs.back().get(), seen = observers.back().get()] {
                    seen->consumer_thread = std::this_thread::get_id();
                    run->run();
                };
            };
            for (std::size_t row = 0; row < rows; ++row) {
                std::vector<std::function<void()>> consumers;
                for (std::size_t i = 0; i < streams; ++i) consumers.push_back(one());
                std::vector<std::thread> threads;
                for (std::size_t i = 1; i < streams; ++i) threads.emplace_back(consumers[i]);
                consumers[0]();
                for (std::thread& thread : threads) thread.join();
            }
            runs.clear();
        }
        for (const auto& seen : observers) seen->final_check();
    }
    if (tracked::living() != living)
        violations::add("I7: " + std::to_string(tracked::living() - living) + " objects are left");
    return violations::take();
}

void run_rounds(std::uint64_t salt, std::size_t rounds, std::size_t streams, std::size_t rows) {
    rounds = number_from_environment("PENSTOCK_ROUNDS", scaled(rounds));
    std::printf("base seed %llu, %zu rounds\n", static_cast<unsigned long long>(base_seed()), rounds);
    std::fflush(stdout);
    std::uint64_t seed = 0;
    const watchdog dog([&] { return "PENSTOCK_SEED=" + std::to_string(seed) + "\n" + observer::describe_live(); });
    for (std::size_t round = 0; round < rounds; ++round) {
        seed = base_seed() + round;
        const std::string found = run_round(mixed(seed, salt), streams, rows);
        ASSERT_TRUE(found.empty()) << found << "PENSTOCK_SEED=" << seed << " PENSTOCK_ROUNDS=1";
    }
}

TEST(RandomStreams, AnyStreamKeepsItsPromises) { run_rounds(1, 400, 1, 4); }
TEST(RandomStreams, StreamsThatShareAnExecutorKeepTheirPromises) { run_rounds(2, 120, 3, 2); }

}  // namespace
}  // namespace stress
