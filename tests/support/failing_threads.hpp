// SPDX-License-Identifier: MIT
/// Replaces pthread_create by one that fails when told to. For one source of a program.
#pragma once

#include <atomic>
#include <cerrno>
#include <climits>
#include <functional>
#include <string_view>

#include <dlfcn.h>
#include <pthread.h>

namespace support::threads {

inline std::atomic<long> asked{0};          ///< how many std::threads were to be made since fail()
inline std::atomic<long> first_failing{0};  ///< from this one on they can not; 0: all can
inline std::atomic<long> last_failing{0};   ///< up to this one
inline std::function<void()> meanwhile;     ///< what happens while the attempt is under way that fails

/// Of the std::threads that are made from now on, the `first`-th to the `last`-th can not be.
inline void fail(long first, long last) {
    asked = 0;
    last_failing = last;
    first_failing = first;
}
inline void fail_no_more() { first_failing = 0; }

/// While it lives, no std::thread can be made.
class famine {
public:
    famine() { fail(1, LONG_MAX); }
    famine(const famine&) = delete;
    famine& operator=(const famine&) = delete;
    ~famine() { fail_no_more(); }
};

}  // namespace support::threads

extern "C" int pthread_create(pthread_t* made, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) {
    using namespace support::threads;
    using function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const function original = reinterpret_cast<function>(dlsym(RTLD_NEXT, "pthread_create"));
    if (first_failing > 0) {
        // oneTBB's own threads are no business of ours, and it does not expect this.
        Dl_info where{};
        const bool known = dladdr(reinterpret_cast<void*>(start), &where) != 0 && where.dli_fname;
        if (known && std::string_view(where.dli_fname).find("libstdc++") != std::string_view::npos) {
            const long now = ++asked;
            if (now >= first_failing && now <= last_failing) {
                if (meanwhile) meanwhile();
                return EAGAIN;
            }
        }
    }
    return original(made, attributes, start, argument);
}
