// SPDX-License-Identifier: MIT
/// penstock::as_completed: as it comes, with a consumer that only takes, in submission order, and through a shared gate.
#include <penstock/penstock.hpp>

#include "../contender.hpp"

namespace benchmarks {
namespace {

template <bool Help, penstock::order Order, bool Gated>
class as_completed {
public:
    explicit as_completed(std::size_t threads) : executor_(threads) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t in_flight, Inputs inputs, Task task, Sink& sink) {
        for (auto& done : penstock::as_completed(executor_, inputs, task, options(in_flight))) sink(done.get());
    }

    template <class Inputs, class Sink>
    void run_sleeping(std::size_t in_flight, Inputs inputs, std::chrono::milliseconds length, Sink& sink) {
        const auto sleep = [length](std::uint64_t value) -> penstock::task<std::uint64_t> {
            co_await penstock::sleep_for(length);
            co_return value;
        };
        for (auto& done : penstock::as_completed(executor_, inputs, sleep, options(in_flight))) sink(done.get());
    }

    template <class Inputs, class Blocks, class Compute, class Block, class Sink>
    void run_mixed(std::size_t in_flight, Inputs inputs, Blocks blocks, Compute compute, Block block, Sink& sink) {
        auto jobs = std::move(inputs) | std::views::transform([&](std::uint64_t value) {
                        return blocks(value) ? penstock::any_job<std::uint64_t>(
                                                   penstock::blocking([&block, value] { return block(value); }))
                                             : penstock::any_job<std::uint64_t>([&compute, value] { return compute(value); });
                    });
        for (auto& done : penstock::as_completed(executor_, jobs, options(in_flight))) sink(done.get());
    }

private:
    penstock::options options(std::size_t in_flight) {
        return {.limit = in_flight, .order = Order, .shared = Gated ? &gate_ : nullptr, .help = Help};
    }
    penstock::executor executor_;
    penstock::gate gate_{100'000};
};

constexpr auto completion = penstock::order::completion;
const bool added[] = {
    add_contender<as_completed<true, completion, false>>("penstock"),
    add_contender<as_completed<false, completion, false>>("penstock help=false"),
    add_contender<as_completed<true, penstock::order::submission, false>>("penstock in order"),
    add_contender<as_completed<true, completion, true>>("penstock shared gate"),
};

}  // namespace
}  // namespace benchmarks
