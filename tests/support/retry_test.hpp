// SPDX-License-Identifier: MIT
/// Streams of jobs that fail and are run again.
#pragma once

#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"

namespace support {

inline meter unwatched;

/// What a task does: body(input), inside `running` from its start to its end.
struct work {
    std::function<int(int)> body;
    meter* running = &unwatched;
    tracked witness{};

    int operator()(int i) const {
        const meter::visit here(*running);
        return body(i);
    }
};
inline penstock::task<int> pause_and_call(work of, int i) {
    const meter::visit here(*of.running);
    const tracked frame;
    if (i % 3 == 0) co_await penstock::sleep_for(std::chrono::microseconds(20));
    if (i % 3 == 1) co_await penstock::yield();
    co_return of.body(i);
}

/// The kinds of job: as what a source gives, and as what a function does with an input.
struct computed {
    static auto job(const work& of, int i) {
        return [of, i] { return of(i); };
    }
    static auto call(const work& of, int i) { return of(i); }
};
struct blocking {
    static auto job(const work& of, int i) { return penstock::blocking(computed::job(of, i)); }
    static auto call(const work& of, int i) { return job(of, i); }
};
struct suspended {
    static auto job(const work& of, int i) {
        return [of, i] { return pause_and_call(of, i); };
    }
    static auto call(const work& of, int i) { return pause_and_call(of, i); }
};
template <class Kind>
struct any {
    static penstock::any_job<int> job(const work& of, int i) { return Kind::job(of, i); }
};
/// Weighs from 1 to 7.
template <class Kind>
struct heavy {
    static auto job(const work& of, int i) { return penstock::weighted(i % 7 + 1, Kind::job(of, i)); }
};

using source = std::function<std::optional<int>()>;
inline source up_to(int count) {
    return [count, next = 0]() mutable { return next < count ? std::optional(next++) : std::nullopt; };
}
inline source endless() { return up_to(INT_MAX); }

/// Starts a stream of the work on what the inputs give.
template <class Kind>
struct from_elements {
    auto operator()(penstock::executor& ex, source from, const work& of, const penstock::options& settings) const {
        using job = decltype(Kind::job(of, 0));
        return penstock::as_completed(
            ex,
            [from, of]() -> std::optional<job> {
                const auto i = from();
                if (!i) return std::nullopt;
                return Kind::job(of, *i);
            },
            settings);
    }
};
template <class Kind>
struct from_function {
    template <class Inputs>
    auto operator()(penstock::executor& ex, Inputs&& from, const work& of, const penstock::options& settings) const {
        return penstock::as_completed(
            ex, std::forward<Inputs>(from), [of](int i) { return Kind::call(of, i); }, settings);
    }
};

/// What the n-th run of task i throws, n from 1.
inline long code(int i, int n) { return 100L * i + n; }
inline long code_of(std::exception_ptr why) {
    if (!why) return 0;
    try {
        std::rethrow_exception(why);
    } catch (const test_error& error) {
        return error.code;
    } catch (...) {
        return -1;
    }
}

inline constexpr int always = INT_MAX;

/// Counts how often each task is run.
class trials {
public:
    explicit trials(int tasks) : ran_(static_cast<std::size_t>(tasks)) {}
    /// A run of task i, whose first runs are failures.
    int run(int i, int failures) {
        const int n = ++ran_.at(static_cast<std::size_t>(i));
        ++runs_;
        if (n <= failures) throw test_error(code(i, n));
        return i;
    }
    int ran(int i) const { return ran_.at(static_cast<std::size_t>(i)); }
    int runs() const { return runs_; }

private:
    std::vector<std::atomic<int>> ran_;
    std::atomic<int> runs_{0};
};
/// Work whose first runs fail: as many as that, or as failures(i) says.
template <class Failures>
work failing(trials& tried, Failures failures, meter& running = unwatched) {
    return {[&tried, failures](int i) {
                if constexpr (std::is_invocable_v<Failures, int>) {
                    return tried.run(i, failures(i));
                } else {
                    return tried.run(i, failures);
                }
            },
            &running};
}
inline constexpr auto up_to_two = [](int i) { return i % 3; };
inline constexpr auto up_to_three = [](int i) { return i % 4; };
inline constexpr auto all_of_the_first = [](int i) { return i == 0 ? always : 0; };

template <class Done>
int number(const Done& done) {
    return static_cast<int>(done.index());
}
inline constexpr auto without_a_look = [](const auto&) {};

class retry_test : public contract_test {
protected:
    /// Calls test(start) with what starts streams, for each kind of job.
    template <class Test>
    static void in_every_function(Test test) {
        trace("a function that computes", test, from_function<computed>());
        trace("a function that returns a blocking job", test, from_function<blocking>());
        trace("a function that returns a task", test, from_function<suspended>());
    }
    template <class Test>
    static void in_every_blocking_kind(Test test) {
        trace("blocking jobs", test, from_elements<blocking>());
        trace("any_jobs that block", test, from_elements<any<blocking>>());
        trace("a function that returns a blocking job", test, from_function<blocking>());
    }
    template <class Test>
    static void in_every_kind(Test test) {
        trace("jobs that compute", test, from_elements<computed>());
        trace("any_jobs that compute", test, from_elements<any<computed>>());
        trace("jobs that return a task", test, from_elements<suspended>());
        trace("a function that computes", test, from_function<computed>());
        trace("a function that returns a task", test, from_function<suspended>());
        in_every_blocking_kind(test);
    }
    template <class Test>
    static void in_every_weighted_kind(Test test) {
        trace("jobs that compute", test, from_elements<heavy<computed>>());
        trace("blocking jobs", test, from_elements<heavy<blocking>>());
        trace("jobs that return a task", test, from_elements<heavy<suspended>>());
        trace("any_jobs that compute", test, from_elements<heavy<any<computed>>>());
        trace("any_jobs that block", test, from_elements<heavy<any<blocking>>>());
    }

    /// Jobs are run up to `attempts` times, exactly `delay` after they failed.
    penstock::options retrying(std::size_t limit, unsigned attempts,
                               std::chrono::nanoseconds delay = std::chrono::nanoseconds(0),
                               std::size_t buffer = penstock::auto_buffer) const {
        auto settings = with(limit, buffer);
        settings.retry = penstock::retry_policy{
            .attempts = attempts, .first_delay = delay, .max_delay = std::chrono::hours(24), .factor = 1, .jitter = 0};
        return settings;
    }

    /// Takes everything with next(), each once and in the order that was asked for.
    template <class Stream, class Look = decltype(without_a_look)>
    void expect_all(Stream& stream, std::size_t count, Look look = without_a_look) const {
        std::set<std::size_t> seen;
        while (auto done = stream.next()) look_at(seen, *done, look);
        EXPECT_EQ(seen.size(), count);
    }

    /// The same for a stream that may be stopped, and that must not wait for what takes an hour.
    struct course {
        std::size_t delivered = 0;
        int stopped = 0;
    };
    template <class Stream, class Look>
    course run_out(Stream& stream, Look look) const {
        std::set<std::size_t> seen;
        int stops = 0;
        while (stops < 2) {
            try {
                auto done = stream.next_for(patience);
                if (!done) break;
                look_at(seen, *done, look);
            } catch (const penstock::stopped&) {
                ++stops;
            }
        }
        EXPECT_TRUE(stream.done()) << "nothing has come for long";
        EXPECT_TRUE(eventually_all_accounted(stream));
        return {seen.size(), stops};
    }
    template <class Look>
    static long error_that_ends(auto& stream, Look look) {
        try {
            while (auto done = stream.next_for(patience)) look(*done);
        } catch (const test_error& error) {
            return error.code;
        }
        return 0;
    }

    /// Whether it comes to so many runs, and then nothing is in flight or ready.
    template <class Stream>
    static bool eventually_all_wait(const Stream& stream, const trials& tried, int runs) {
        return eventually([&] {
            const auto now = stream.stats();
            return tried.runs() == runs && now.running == 0 && now.ready == 0;
        });
    }
    template <class Stream>
    static bool comes_to(const Stream& stream, penstock::bound_by expected) {
        return eventually([&] { return stream.stats().bound == expected; });
    }

private:
    template <class Test, class Start>
    static void trace(const char* name, Test& test, Start start) {
        SCOPED_TRACE(name);
        test(start);
    }
    template <class Done, class Look>
    void look_at(std::set<std::size_t>& seen, Done& done, Look& look) const {
        note(seen, done.index());
        look(done);
    }
};

}  // namespace support
