// SPDX-License-Identifier: MIT
/// Who is compared; one file each, to be read side by side. Each makes its threads anew, untimed, so that nobody runs beside
/// another's idle workers.
#pragma once

#include "workload.hpp"

namespace benchmarks {

/// penstock::as_completed, with a consumer that helps and with one that only takes.
outcome run_penstock_helping(const workload& load);
outcome run_penstock_waiting(const workload& load);
/// As the first, and through a shared gate that has room.
outcome run_penstock_gated(const workload& load);

/// tbb::parallel_pipeline with as many tokens as there may be tasks in flight.
outcome run_parallel_pipeline(const workload& load);

}  // namespace benchmarks
