// SPDX-License-Identifier: MIT
/// What a task costs where nothing but instructions is counted: streams of empty tasks, for callgrind. The script
/// a_task_costs_no_more_than_recorded.py runs it and counts.
///
///     task_costs                   says how it was compiled, and which streams there are
///     task_costs STREAM TASKS      runs one of them; says how many tasks are in the dumps that bear its name
///
/// The same instructions are to be executed in every run and on every machine. Two things stand against it. The library
/// judges tasks by the clock, which callgrind makes fifty times slower: here is one that it does not. And which thread
/// does what is a race: here only one of consumer and worker runs at a time, and they change places where they are told to.
///
/// What is counted is the steady state: dumps begin when a stream has run for a while, and end before it does.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <ranges>
#include <string_view>
#include <utility>

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <penstock/penstock.hpp>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define TASK_COSTS_CAN_BE_COUNTED 1
#else
#define TASK_COSTS_CAN_BE_COUNTED 0
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_ZERO_STATS static_cast<void>(0)
#define CALLGRIND_DUMP_STATS_AT(name) static_cast<void>(name)
#define CALLGRIND_TOGGLE_COLLECT static_cast<void>(0)
#endif

namespace {

/// About what it takes at full speed.
constexpr std::int64_t reading_takes = 20;
constexpr std::int64_t coarse_tick = 4'000'000;
constexpr std::int64_t second = 1'000'000'000;

/// Each thread has a time of its own, so what one judges does not depend on how often another has looked.
constinit thread_local std::int64_t nanoseconds = second;

}  // namespace

/// Stands before the C library's, for everything in this process. Time goes on by being read, so that tasks look as short
/// as they are at full speed.
extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const bool coarse = clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_REALTIME_COARSE;
    nanoseconds += reading_takes;
    const std::int64_t at = coarse ? nanoseconds - nanoseconds % coarse_tick : nanoseconds;
    *now = {.tv_sec = at / second, .tv_nsec = at % second};
    return 0;
}

/// Stands before the C library's, too. For the kernel every time of this clock is long past, so it ends each timed wait at
/// once; then time has passed. And where a container refuses membarrier(2), the library would take another way: Valgrind
/// runs one thread at a time, and needs none.
extern "C" long syscall(long number, ...) noexcept {
    if (number == SYS_membarrier && RUNNING_ON_VALGRIND) return 0;
    std::array<long, 6> given;
    va_list arguments;
    va_start(arguments, number);
    for (long& each : given) each = va_arg(arguments, long);
    va_end(arguments);
    using function = long(long, ...);
    static auto* const real = reinterpret_cast<function*>(dlsym(RTLD_NEXT, "syscall"));
    const long result = real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    if (number == SYS_futex && result == -1 && errno == ETIMEDOUT) {
        const auto& until = *reinterpret_cast<const timespec*>(given[3]);
        nanoseconds = std::max(nanoseconds, until.tv_sec * second + until.tv_nsec);
    }
    return result;
}

namespace {

/// Enough for batches to have grown, for tasks to be trusted to be short, and for records to be all recycled ones.
constexpr std::size_t warm_up = 10'240;
/// Enough for the consumer to be trusted with running tasks.
constexpr std::size_t until_consumer_helps = 1'000;

template <class Stream>
void take(Stream& stream, std::size_t tasks) {
    for (; tasks > 0; --tasks) {
        if (stream.next()) continue;
        std::fputs("a stream has ended too early\n", stderr);
        std::exit(1);
    }
}

/// Keeps an executor's only worker from a stream. The pump that it serves gives way to a posted task, but keeps its place:
/// the same as when it naps because the consumer helps.
class held_worker {
public:
    explicit held_worker(penstock::executor& ex)
        : end_(ex.submit([this] {
              state_.store(held);
              state_.wait(held);
          })) {}
    held_worker(const held_worker&) = delete;
    held_worker& operator=(const held_worker&) = delete;
    ~held_worker() {
        state_.store(released);
        state_.notify_one();
        end_.wait();
    }
    bool is_held() const { return state_.load() == held; }

private:
    enum state : int { coming, held, released };
    std::atomic<int> state_{coming};
    std::future<void> end_;
};

constexpr auto same = [](std::uint64_t value) { return value; };

/// Streams in which the consumer does everything: pulls, runs and takes.
std::size_t count_helping(const char* name, std::size_t tasks, const penstock::options& settings) {
    penstock::executor ex(1);
    auto stream = penstock::as_completed(ex, std::views::iota(std::uint64_t{0}), same, settings);
    take(stream, until_consumer_helps);
    held_worker worker(ex);
    while (!worker.is_held()) take(stream, 1);
    take(stream, warm_up);
    CALLGRIND_ZERO_STATS;
    take(stream, tasks);
    CALLGRIND_DUMP_STATS_AT(name);
    return tasks;
}

/// Takes the place of the race between a worker that runs everything and a consumer that takes it. The producer, called by
/// the worker, has it wait when a good number of tasks has ended; the consumer takes them, and then waits itself. What they
/// do to wait is not counted.
class taking_turns {
public:
    explicit taking_turns(const char* name) : name_(name) {}

    // --- the worker, inside the stream
    std::optional<std::uint64_t> produce() {
        // A batch is published when the producer is asked for the next.
        if (given_ == ended_ && given_ - taken_ >= turn) let_consumer_take();
        if (over_) return std::nullopt;
        return given_++;
    }
    void count_end() { ++ended_; }

    // --- the consumer
    template <class Stream>
    std::size_t take_what_ended(Stream& stream) {
        CALLGRIND_TOGGLE_COLLECT;
        whose_.wait(workers);
        CALLGRIND_TOGGLE_COLLECT;
        const std::size_t count = ended_ - taken_;
        take(stream, count);
        taken_ += count;
        return count;
    }
    enum class and_then { goes_on, counts_from_now, ends };
    void let_worker_run(and_then what) {
        what_next_ = what;
        CALLGRIND_TOGGLE_COLLECT;
        whose_.store(workers);
        whose_.notify_one();
        CALLGRIND_TOGGLE_COLLECT;
    }

private:
    /// No more than the limit, so that there is always room for a whole batch.
    static constexpr std::size_t turn = 64;

    void let_consumer_take() {
        CALLGRIND_TOGGLE_COLLECT;
        whose_.store(consumers);
        whose_.notify_one();
        whose_.wait(consumers);
        CALLGRIND_TOGGLE_COLLECT;
        if (what_next_ == and_then::counts_from_now) CALLGRIND_ZERO_STATS;
        if (what_next_ == and_then::ends) {
            CALLGRIND_DUMP_STATS_AT(name_);
            over_ = true;
        }
    }

    const char* const name_;
    enum owner : int { workers, consumers };
    std::atomic<int> whose_{workers};  ///< guards the rest
    std::size_t given_ = 0;
    std::size_t ended_ = 0;
    std::size_t taken_ = 0;
    and_then what_next_ = and_then::goes_on;
    bool over_ = false;
};

/// Streams in which the worker pulls and runs, and the consumer takes.
template <class MakeFunction>
std::size_t count_both(const char* name, std::size_t tasks, const penstock::options& settings, MakeFunction make_function) {
    using enum taking_turns::and_then;
    penstock::executor ex(1);
    taking_turns turns(name);
    auto function = make_function(turns);
    auto stream = penstock::as_completed(ex, [&turns] { return turns.produce(); }, std::ref(function), settings);
    for (std::size_t taken = 0; taken < warm_up;) {
        taken += turns.take_what_ended(stream);
        turns.let_worker_run(goes_on);
    }
    turns.take_what_ended(stream);
    turns.let_worker_run(counts_from_now);
    CALLGRIND_ZERO_STATS;
    std::size_t counted = turns.take_what_ended(stream);
    while (counted < tasks) {
        turns.let_worker_run(goes_on);
        counted += turns.take_what_ended(stream);
    }
    CALLGRIND_DUMP_STATS_AT(name);
    turns.let_worker_run(ends);
    if (stream.next()) std::abort();
    return counted;
}

auto plain(taking_turns& turns) {
    return [&turns](std::uint64_t value) {
        turns.count_end();
        return value;
    };
}

auto coroutine(taking_turns& turns) {
    return [&turns](std::uint64_t value) -> penstock::task<std::uint64_t> {
        turns.count_end();
        co_return value;
    };
}

struct counted_stream {
    const char* name;
    std::size_t (*count)(const char* name, std::size_t tasks);
};

constexpr counted_stream streams[] = {
    {"1_in_flight", [](const char* name, std::size_t tasks) { return count_helping(name, tasks, {.limit = 1}); }},
    {"16_in_flight", [](const char* name, std::size_t tasks) { return count_helping(name, tasks, {.limit = 16}); }},
    {"64_in_flight", [](const char* name, std::size_t tasks) { return count_helping(name, tasks, {.limit = 64}); }},
    {"256_in_flight", [](const char* name, std::size_t tasks) { return count_helping(name, tasks, {.limit = 256}); }},
    {"in_order",
     [](const char* name, std::size_t tasks) {
         return count_helping(name, tasks, {.limit = 64, .order = penstock::order::submission});
     }},
    {"through_a_gate",
     [](const char* name, std::size_t tasks) {
         penstock::gate shared(128);
         return count_helping(name, tasks, {.limit = 64, .shared = &shared});
     }},
    {"without_help",
     [](const char* name, std::size_t tasks) { return count_both(name, tasks, {.limit = 64, .help = false}, plain); }},
    {"coroutines",
     [](const char* name, std::size_t tasks) { return count_both(name, tasks, {.limit = 64}, coroutine); }},
};

/// What the figures depend on, besides the sources.
void print_build() {
#if defined(__clang__)
    std::printf("clang %d", __clang_major__);
#else
    std::printf("g++ %d", __GNUC__);
#endif
#if defined(_GLIBCXX_RELEASE)
    std::printf(", libstdc++ %d", _GLIBCXX_RELEASE);
#endif
#if defined(__x86_64__)
    std::printf(", x86-64");
#endif
    std::puts("");
}

}  // namespace

int main(int argc, char** argv) try {
    if (!TASK_COSTS_CAN_BE_COUNTED) {
        std::puts("compiled where valgrind/callgrind.h was missing");
        return 77;
    }
    if (argc == 1) {
        print_build();
        for (const counted_stream& each : streams) std::puts(each.name);
        return 0;
    }
    for (const counted_stream& each : streams) {
        if (argc != 3 || each.name != std::string_view(argv[1])) continue;
        std::printf("%zu\n", each.count(each.name, std::strtoull(argv[2], nullptr, 10)));
        return 0;
    }
    std::fputs("usage: task_costs [STREAM TASKS]\n", stderr);
    return 2;
} catch (const std::exception& error) {
    std::fprintf(stderr, "task_costs: %s\n", error.what());
    return 1;
}
