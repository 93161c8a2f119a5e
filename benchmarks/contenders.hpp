// SPDX-License-Identifier: MIT
/// Who is compared; one file each, to be read side by side.
#pragma once

#include <penstock/executor.hpp>

#include "workload.hpp"

namespace benchmarks {

/// penstock::as_completed, with a consumer that helps and with one that only takes.
outcome run_penstock_helping(penstock::executor& ex, const workload& load);
outcome run_penstock_waiting(penstock::executor& ex, const workload& load);

/// tbb::parallel_pipeline with as many tokens as there may be tasks in flight.
outcome run_parallel_pipeline(const workload& load);

}  // namespace benchmarks
