// SPDX-License-Identifier: MIT
/// S33: the k-th allocation fails, for every k until a run needs no more. Whichever it is, the run ends: with an error
/// outcome, or with an exception, and the same executor runs the next stream as if nothing had been.
///
/// An executable of its own, because it replaces operator new, and malloc where no sanitizer owns it.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>
#include <system_error>
#include <vector>

#include "stress/support.hpp"

namespace {

/// The next so many allocations succeed, and `failing` after them fail.
std::atomic<long> succeeding{LONG_MAX};
std::atomic<long> failing{0};

bool fails() noexcept {
    // Off: no write that every allocation of every thread would share.
    if (succeeding.load(std::memory_order_relaxed) == LONG_MAX) return false;
    const long left = succeeding.fetch_sub(1);
    return left <= 0 && left > -failing.load();
}

}  // namespace

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
// glibc lets a program replace malloc; oneTBB and moodycamel take their memory from there.
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) { return fails() ? nullptr : __libc_malloc(size); }
#define PENSTOCK_TEST_RAW(size) __libc_malloc(size)
#else
#define PENSTOCK_TEST_RAW(size) std::malloc(size)
#endif

namespace {

void* allocate(std::size_t size) {
    void* memory = fails() ? nullptr : PENSTOCK_TEST_RAW(size);
    if (!memory) throw std::bad_alloc();
    return memory;
}
void* allocate(std::size_t size, std::align_val_t alignment) {
    const auto step = static_cast<std::size_t>(alignment);
    void* memory = fails() ? nullptr : std::aligned_alloc(step, (size + step - 1) / step * step);
    if (!memory) throw std::bad_alloc();
    return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : PENSTOCK_TEST_RAW(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : PENSTOCK_TEST_RAW(size);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    const auto step = static_cast<std::size_t>(alignment);
    return fails() ? nullptr : std::aligned_alloc(step, (size + step - 1) / step * step);
}

// A compiler that inlines one of these and not the other takes them for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace stress {
namespace {

class AllocationFailure : public Scenario {};

/// What came of one run. Nothing of the test's allocates while it is on.
struct tally {
    std::size_t values = 0;
    std::size_t errors = 0;
    bool threw = false;
    bool quiet = false;
};

/// While it lives, the k-th allocation of any thread fails, and `more` after it.
class failure {
public:
    explicit failure(long k, long more) {
        failing = more + 1;
        succeeding = k;
    }
    failure(const failure&) = delete;
    failure& operator=(const failure&) = delete;
    ~failure() { succeeding = LONG_MAX; }
    bool has_happened() const { return succeeding < 0; }
};

template <class Task>
tally run(penstock::executor& ex, std::size_t n, Task task, const penstock::options& settings) {
    tally result;
    try {
        auto stream = penstock::as_completed(ex, numbers(n), task, settings);
        while (auto done = stream.next()) {
            (done->has_value() ? result.values : result.errors) += 1;
            watchdog::progress();
        }
        result.quiet = true;
    } catch (const std::bad_alloc&) {
        result.threw = true;
    }
    return result;
}

/// Returns how many allocations one run needs.
template <class Task>
long sweep(std::size_t workers, std::size_t n, Task task, const penstock::options& settings) {
    penstock::executor ex(workers);
    run(ex, n, task, settings);  // what threads set up once for themselves is not ours
    for (long k = 0;; ++k) {
        for (const long more : {0L, 3L}) {
            bool hit = false;
            tally result;
            {
                const failure armed(k, more);
                result = run(ex, n, task, settings);
                hit = armed.has_happened();
            }
            EXPECT_TRUE(result.quiet || result.threw);
            if (result.quiet) {
                EXPECT_EQ(result.values + result.errors, n) << "k " << k;
            }
            if (!hit) {
                EXPECT_EQ(result.values, n) << "nothing failed, k " << k;
                return k;
            }
            if (testing::Test::HasFailure()) return k;
        }
        const tally after = run(ex, n, task, settings);
        EXPECT_EQ(after.values, n) << "the executor has not recovered, k " << k;
    }
}

TEST_F(AllocationFailure, AStreamEndsWhicheverAllocationFails) {
    const auto task = [](std::size_t i) { return i; };
    for (const std::size_t workers : {1U, 3U}) {
        for (const std::size_t limit : {1U, 7U, 100U}) {
            for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
                for (const bool help : {true, false}) {
                    SCOPED_TRACE(testing::Message()
                                 << "workers " << workers << ", limit " << limit << ", help " << help);
                    const long needed = sweep(workers, 300, task, {.limit = limit, .order = order, .help = help});
                    EXPECT_GT(needed, 0);
                }
            }
        }
    }
}

TEST_F(AllocationFailure, AStreamOfBlockingJobsEndsWhicheverAllocationFails) {
    const auto task = [](std::size_t i) { return penstock::blocking([i] { return i; }); };
    for (const std::size_t workers : {1U, 3U}) {
        for (const std::size_t limit : {1U, 7U, 40U}) {
            for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
                SCOPED_TRACE(testing::Message() << "workers " << workers << ", limit " << limit);
                const long needed = sweep(workers, 100, task, {.limit = limit, .order = order});
                EXPECT_GT(needed, 0);
            }
        }
    }
}

/// Each time the threads that blocking jobs run on have to be made again, and may be what there is no memory for.
TEST_F(AllocationFailure, AStreamWhoseThreadsHaveToBeMadeEndsWhicheverAllocationFails) {
    constexpr std::size_t n = 30;
    const auto task = [](std::size_t i) { return penstock::blocking([i] { return i; }); };
    for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
        bool hit = true;
        for (long k = 0; hit; ++k) {
            penstock::executor ex(2);
            run(ex, n, [](std::size_t i) { return i; }, {.limit = 4});  // as in sweep()
            tally result;
            {
                const failure armed(k, k % 3);
                result = run(ex, n, task, {.limit = 4, .order = order});
                hit = armed.has_happened();
            }
            EXPECT_TRUE(result.threw || result.values + result.errors == n) << "k " << k;
            if (testing::Test::HasFailure()) return;
        }
    }
}

/// Tasks are run again, have stop sources of their own, and share their inputs.
TEST_F(AllocationFailure, AStreamOfTimedAttemptsEndsWhicheverAllocationFails) {
    constexpr std::size_t n = 20;
    std::vector<std::atomic<unsigned>> runs(n);
    const auto every_other_fails = [&](std::size_t i) {
        if (i % 3 == 0 && runs[i]++ % 2 == 0) throw i;
        return i;
    };
    for (const std::size_t limit : {1U, 7U}) {
        for (const penstock::order order : {penstock::order::completion, penstock::order::submission}) {
            const long needed = sweep(2, n, every_other_fails,
                                      {.limit = limit,
                                       .order = order,
                                       .task_timeout = std::chrono::hours(1),
                                       .retry = penstock::retry_policy{.first_delay = std::chrono::microseconds(1)}});
            EXPECT_GT(needed, 0);
        }
    }
}

TEST_F(AllocationFailure, ANestedStreamEndsWhicheverAllocationFails) {
    for (const std::size_t workers : {1U, 2U}) {
        penstock::executor* inside = nullptr;
        const auto inner = [](std::size_t i) { return i; };
        const auto outer = [&](std::size_t) {
            std::size_t sum = 0;
            for (auto& done : penstock::as_completed(*inside, numbers(5), inner,
                                                     {.limit = 2, .on_error = penstock::on_error::stop})) {
                sum += done.get();
            }
            return sum;
        };
        penstock::executor nested(workers);
        inside = &nested;
        sweep(workers, 6, outer, {.limit = 3});
    }
}

// oneTBB 2021.8 does not survive running out of memory while it sets itself up: a lock of its own stays taken, or it
// terminates. So this is promised, and tested, for what is ours.
#if defined(PENSTOCK_REFERENCE)
TEST_F(AllocationFailure, AnExecutorIsThereOrItsConstructorThrows) {
    for (long k = 0; k < 200; ++k) {
        watchdog::progress();
        std::optional<penstock::executor> ex;
        bool hit = false;
        {
            const failure armed(k, 0);
            try {
                ex.emplace(3);
            } catch (const std::bad_alloc&) {
            } catch (const std::system_error&) {
            }
            hit = armed.has_happened();
        }
        if (ex) {
            EXPECT_EQ(ex->submit([] { return 7; }).get(), 7);
        }
        if (!hit) return;
    }
    ADD_FAILURE() << "an executor needs no 200 allocations";
}
#endif

}  // namespace
}  // namespace stress
