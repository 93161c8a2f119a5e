// SPDX-License-Identifier: MIT
/// Streams of tasks that run too long.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <set>
#include <stop_token>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"
#include "job_kinds.hpp"

namespace support {

/// A moment, from which any thread may measure.
class mark {
    using clock = std::chrono::steady_clock;

public:
    void set() { at_ = clock::now().time_since_epoch().count(); }
    clock::duration age() const { return clock::now().time_since_epoch() - clock::duration(at_.load()); }

private:
    std::atomic<clock::rep> at_{clock::now().time_since_epoch().count()};
};

inline bool hears(const std::stop_token& token) {
    return eventually([&] { return token.stop_requested(); });
}
inline value heed(std::size_t i, const std::stop_token& token) {
    EXPECT_TRUE(hears(token));
    return value(i);
}
/// The same. It starts after `before`, which the next one does in turn: to be told sooner is to be told too soon.
inline task_body heeding(mark& before, std::chrono::steady_clock::duration timeout) {
    return [&before, timeout](std::size_t i, const std::stop_token& token) {
        value result = heed(i, token);
        EXPECT_GE(before.age(), timeout);
        before.set();
        return result;
    };
}

/// Tasks that listen to nobody until they are released.
struct stubborn {
    std::atomic<bool> released{false}, throws{false};
    std::atomic<std::size_t> begun{0}, ended{0}, others{0};

    value run(std::size_t i) {
        ++begun;
        EXPECT_TRUE(eventually([&] { return released.load(); })) << "the result came only when the task had ended";
        ++ended;
        if (throws) throw test_error(static_cast<long>(i));
        return value(i);
    }
    task_body each() {
        return [this](std::size_t i, const std::stop_token&) { return run(i); };
    }
    /// The first one is, the others end at once.
    task_body first() {
        return [this](std::size_t i, const std::stop_token&) {
            if (i == 0) return run(i);
            ++others;
            return value(i);
        };
    }
};
/// To be declared after the stream, whose destructor waits for them.
class released_at_last {
public:
    explicit released_at_last(stubborn& tasks) : tasks_(tasks) {}
    released_at_last(const released_at_last&) = delete;
    released_at_last& operator=(const released_at_last&) = delete;
    ~released_at_last() { tasks_.released = true; }

private:
    stubborn& tasks_;
};

/// next(), with a bound; and without help.
template <class Stream>
auto soon(Stream& stream) {
    return stream.next_for(patience);
}
template <class Stream>
void expect_end(Stream& stream) {
    EXPECT_TRUE(eventually([&] {
        EXPECT_FALSE(stream.try_next()) << "more than there is";
        return stream.done();
    }));
}

inline bool is_timed_out(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const penstock::timed_out&) {
        return true;
    } catch (...) {
    }
    return false;
}
/// Whether it was timed out. If not, it has its own value.
template <class Done>
bool timed_out(Done& done) {
    if constexpr (requires { done.input(); }) {
        EXPECT_EQ(done.input(), done.index());
    }
    if (done.has_value()) {
        EXPECT_EQ(done.get().value, done.index());
        return false;
    }
    EXPECT_TRUE(is_timed_out(done.error()));
    EXPECT_THROW(done.get(), penstock::timed_out);
    return true;
}
template <class Done>
void expect_timed_out(std::optional<Done> done, std::size_t index) {
    ASSERT_TRUE(done);
    EXPECT_EQ(done->index(), index);
    EXPECT_TRUE(timed_out(*done));
}

class task_timeout_test : public contract_test {
protected:
    /// Calls test(kind) with each kind of job.
    template <class Kinds, class Test>
    static void in_each(const Kinds& kinds, Test test) {
        for (const auto& each : kinds) {
            SCOPED_TRACE(each.name);
            test(each);
            if (HasFailure()) return;
        }
    }
    template <class Test>
    static void in_every_kind(Test test) {
        in_each(element_kinds, test);
        in_each(function_kinds, test);
    }
    template <class Test>
    static void in_every_kind_that_hears(Test test) {
        in_every_kind([&](const auto& each) {
            if (each.hears) test(each);
        });
    }

    penstock::options timing_out(std::chrono::steady_clock::duration timeout, std::size_t limit) const {
        auto settings = with(limit);
        settings.task_timeout = timeout;
        return settings;
    }
    penstock::options retrying(unsigned attempts) const {
        auto settings = timing_out(std::chrono::milliseconds(1), 2);
        settings.retry.emplace();
        settings.retry->attempts = attempts;
        settings.retry->first_delay = std::chrono::microseconds(1);
        settings.retry->factor = 1;
        return settings;
    }
    /// Takes the timeout of a stubborn task, and calls then(stream, task) while that still runs.
    template <class Kind, class Then>
    void with_one_overdue(const Kind& kind, std::size_t count, const penstock::options& how, Then then) {
        stubborn first;
        auto stream = kind.start(ex, count, first.first(), how);
        const released_at_last guard(first);
        expect_timed_out(stream.next(), 0);
        EXPECT_EQ(first.ended, 0U);
        if (!HasFailure()) then(stream, first);
    }
    /// Takes `count` results, each of them once, in the order that was asked for; how many were timed out.
    template <class Stream, class Look>
    std::size_t take_all(Stream& stream, std::size_t count, Look look) const {
        std::set<std::size_t> seen;
        std::size_t late = 0;
        while (auto done = soon(stream)) {
            look(*done);
            note(seen, done->index());
            if (timed_out(*done)) ++late;
        }
        EXPECT_EQ(seen.size(), count);
        EXPECT_TRUE(stream.done());
        return late;
    }
    template <class Stream>
    std::size_t take_all(Stream& stream, std::size_t count) const {
        return take_all(stream, count, [](const auto&) {});
    }
    /// Whether others can run while one task of that kind is stubborn.
    template <class Kind>
    bool others_can_run(const Kind& kind) const {
        return kind.leaves_worker || workers() > 1;
    }
};

}  // namespace support
