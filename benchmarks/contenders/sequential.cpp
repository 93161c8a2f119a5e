// SPDX-License-Identifier: MIT
/// A plain loop on one thread.
#include "../contender.hpp"

namespace benchmarks {
namespace {

class sequential {
public:
    explicit sequential(std::size_t) {}

    template <class Inputs, class Task, class Sink>
    void run(std::size_t, Inputs inputs, Task task, Sink& sink) {
        for (const auto input : inputs) sink(task(input));
    }
};

const bool added = add_contender<sequential>("sequential loop");

}  // namespace
}  // namespace benchmarks
