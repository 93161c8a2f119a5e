// SPDX-License-Identifier: MIT
#pragma once

namespace penstock::cli {

/// To be called before any signal is blocked.
void remember_signal_mask();

/// Whether the signal would end the process: nobody has asked for it to be ignored, handled or blocked before the start.
bool would_kill(int signal_number);

/// Ends the process by a signal, also if this thread blocks it. Returns if it would not kill. Threads: any.
void die_of(int signal_number);

}  // namespace penstock::cli
