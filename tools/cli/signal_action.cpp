// SPDX-License-Identifier: MIT
#include "signal_action.hpp"

#include <csignal>

namespace penstock::cli {
namespace {

sigset_t blocked_at_start;

}  // namespace

void remember_signal_mask() { ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked_at_start); }

bool would_kill(int signal_number) {
    struct sigaction present;
    return ::sigaction(signal_number, nullptr, &present) == 0 && present.sa_handler == SIG_DFL &&
           ::sigismember(&blocked_at_start, signal_number) == 0;
}

void die_of(int signal_number) {
    if (!would_kill(signal_number)) {
        return;
    }
    sigset_t just_this;
    ::sigemptyset(&just_this);
    ::sigaddset(&just_this, signal_number);
    ::pthread_sigmask(SIG_UNBLOCK, &just_this, nullptr);
    static_cast<void>(::raise(signal_number));
}

}  // namespace penstock::cli
