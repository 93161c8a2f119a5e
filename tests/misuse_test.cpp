// SPDX-License-Identifier: MIT
/// C11: bad arguments are told so. C13: what can not be joined is diagnosed, never undefined.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <ratio>
#include <stdexcept>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using support::test_error;
using support::tracked_value;

class Misuse : public support::contract_test {
protected:
    int calls = 0;
    /// Counts its calls, to show that none is made.
    auto source() {
        return [this]() -> std::optional<int (*)()> {
            ++calls;
            return std::nullopt;
        };
    }
};
INSTANTIATE_TEST_SUITE_P(, Misuse, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(Misuse, ALimitOfZeroIsAnInvalidArgument) {
    EXPECT_THROW(penstock::as_completed(ex, source(), 0), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, source(), 0U), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, source(), penstock::options{}), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, std::vector<int (*)()>{}, 0), std::invalid_argument)
        << "of an empty source too";
    EXPECT_THROW(penstock::as_completed(
                     ex, std::views::iota(0, 3), [](int i) { return i; }, 0),
                 std::invalid_argument);
    EXPECT_THROW(penstock::collect(ex, std::views::iota(0, 3), [](int i) { return i; }, {}), std::invalid_argument);
    EXPECT_THROW(penstock::for_each(ex, std::views::iota(0, 3), [](int) {}, {}), std::invalid_argument);
    EXPECT_EQ(calls, 0);
}

TEST_P(Misuse, ANegativeLimitIsAnInvalidArgumentInEveryWidth) {
    EXPECT_THROW(penstock::as_completed(ex, source(), -1), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, source(), std::int8_t{-1}), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, source(), std::int16_t{-300}), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(ex, source(), std::numeric_limits<long long>::min()), std::invalid_argument);
    EXPECT_THROW(penstock::as_completed(
                     ex, std::views::iota(0, 3), [](int i) { return i; }, -1L),
                 std::invalid_argument);
    EXPECT_EQ(calls, 0);
}

TEST_P(Misuse, AnyPositiveLimitIsGood) {
    const auto results = [&](std::integral auto limit) {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 20), [](int i) { return i; }, limit);
        return support::drain(stream);
    };
    EXPECT_EQ(results(std::uint8_t{3}), 20U);
    EXPECT_EQ(results(std::int8_t{127}), 20U);
    EXPECT_EQ(results(std::int16_t{1}), 20U);
    EXPECT_EQ(results(std::numeric_limits<int>::max()), 20U);
    EXPECT_EQ(results(std::numeric_limits<long long>::max()), 20U);
    EXPECT_EQ(results(std::numeric_limits<std::uint64_t>::max()), 20U);
    EXPECT_EQ(results(penstock::auto_buffer), 20U);
}

TEST_P(Misuse, NoDurationIsTooShortForNextFor) {
    support::latch hold;
    auto stream = penstock::as_completed(
        ex, std::views::iota(0, 1), [&](int) { EXPECT_TRUE(hold.wait()); }, 1);
    using namespace std::chrono;
    EXPECT_FALSE(stream.next_for(nanoseconds(0)));
    EXPECT_FALSE(stream.next_for(nanoseconds(1)));
    EXPECT_FALSE(stream.next_for(-1s));
    EXPECT_FALSE(stream.next_for(nanoseconds::min()));
    EXPECT_FALSE(stream.next_for(hours::min()));
    EXPECT_FALSE(stream.next_for(duration<double>(-std::numeric_limits<double>::infinity())));
    EXPECT_FALSE(stream.next_for(duration<double>(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_FALSE(stream.next_for(duration<double, std::nano>(0.5)));
    EXPECT_FALSE(stream.next_for(duration<double, std::exa>(1e-27)));
    EXPECT_FALSE(stream.done());
    hold.open();
    EXPECT_TRUE(stream.next());
}

TEST_P(Misuse, NoDurationIsTooLongForNextFor) {
    auto stream = penstock::as_completed(
        ex, std::views::iota(0), [](int i) { return i; }, 1);
    using namespace std::chrono;
    EXPECT_TRUE(stream.next_for(nanoseconds::max()));
    EXPECT_TRUE(stream.next_for(microseconds::max()));
    EXPECT_TRUE(stream.next_for(milliseconds::max()));
    EXPECT_TRUE(stream.next_for(seconds::max()));
    EXPECT_TRUE(stream.next_for(hours::max()));
    EXPECT_TRUE(stream.next_for(years::max()));
    EXPECT_TRUE(stream.next_for(duration<double>(std::numeric_limits<double>::infinity())));
    EXPECT_TRUE(stream.next_for(duration<double>(1e300)));
    EXPECT_TRUE(stream.next_for(duration<float>(std::numeric_limits<float>::max())));
    EXPECT_TRUE(stream.next_for(duration<std::int64_t, std::exa>(1)));
    EXPECT_TRUE(stream.next_for(duration<double, std::tera>(1e-10)));
    EXPECT_TRUE(stream.next_for(duration<std::uint64_t, std::pico>(std::numeric_limits<std::uint64_t>::max())));
}

TEST_P(Misuse, AStreamThatIsOverMayOutliveItsExecutor) {
    auto own = std::make_unique<penstock::executor>(workers());
    auto drained = penstock::as_completed(
        *own, std::views::iota(0, 50), [](int i) { return tracked_value(i); }, 4);
    EXPECT_EQ(support::drain(drained), 50U);
    auto failed = penstock::as_completed(
        *own, std::views::iota(0, 50), [](int i) { throw test_error(i); },
        penstock::options{.limit = 4, .on_error = penstock::on_error::stop});
    EXPECT_THROW(support::drain(failed), test_error);
    auto stopped = penstock::as_completed(
        *own, std::views::iota(0), [](int i) { return tracked_value(i); }, 4);
    stopped.request_stop();
    EXPECT_THROW(support::drain(stopped), penstock::stopped);
    auto kept = drained.next();
    own.reset();
    for (auto* stream : {&drained, &stopped}) {
        EXPECT_TRUE(stream->done());
        EXPECT_FALSE(stream->next());
        EXPECT_FALSE(stream->try_next());
        EXPECT_FALSE(stream->next_for(std::chrono::seconds(1)));
        EXPECT_EQ(stream->stats().running, 0U);
        stream->request_stop();
    }
    EXPECT_FALSE(failed.next());
    auto moved = std::move(drained);
    EXPECT_EQ(moved.stats().taken, 50U);
}

TEST_P(Misuse, AStreamWhoseTasksHaveAllEndedMayBeTakenAfterItsExecutorIsGone) {
    auto own = std::make_unique<penstock::executor>(workers());
    std::atomic<bool> said_that_it_ended{false};
    const auto job = [](int i) { return [i] { return tracked_value(i); }; };
    auto producer = [&, i = 0]() mutable -> std::optional<decltype(job(0))> {
        if (i < 5) return job(i++);
        said_that_it_ended = true;
        return std::nullopt;
    };
    auto stream = penstock::as_completed(*own, producer, 8);
    ASSERT_TRUE(support::eventually([&] {
        const auto now = stream.stats();  // bound by the producer until the thread that asked it has left it
        return said_that_it_ended && now.ready == 5 && now.bound == penstock::bound_by::none;
    }));
    own.reset();
    EXPECT_EQ(support::drain(stream), 5U);
    EXPECT_TRUE(stream.done());
}

TEST_P(Misuse, ATokenMayComeAfterTheStreamIsGone) {
    std::stop_source source;
    {
        auto stream = penstock::as_completed(
            ex, std::views::iota(0, 5), [](int i) { return i; },
            penstock::options{.limit = 2, .stop = source.get_token()});
        EXPECT_EQ(support::drain(stream), 5U);
        source.request_stop();
        EXPECT_FALSE(stream.next());
    }
    source.request_stop();
}

class MisuseDeathTest : public ::testing::TestWithParam<support::setting> {
protected:
    // A forked child would have no workers: it must begin anew.
    MisuseDeathTest() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
    using stream = penstock::completion_stream<int, int>;
    static void sleep_for_ever() {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
};
INSTANTIATE_TEST_SUITE_P(, MisuseDeathTest, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(MisuseDeathTest, AnExecutorDestroyedInsideItsOwnTaskIsDiagnosed) {
    EXPECT_DEATH(
        {
            auto ex = std::make_unique<penstock::executor>(GetParam().workers);
            ex->post([&] { ex.reset(); });
            sleep_for_ever();
        },
        "penstock: an executor was destroyed inside one of its own tasks");
}

TEST_P(MisuseDeathTest, AnExecutorDestroyedInsideATaskOfItsStreamIsDiagnosed) {
    EXPECT_DEATH(
        {
            auto ex = std::make_unique<penstock::executor>(GetParam().workers);
            auto live = penstock::as_completed(
                *ex, std::views::iota(0, 1), [&](int) { ex.reset(); }, 1);
            sleep_for_ever();
        },
        "penstock: an executor was destroyed inside one of its own tasks");
}

TEST_P(MisuseDeathTest, AnExecutorDestroyedBeforeItsLiveStreamIsDiagnosed) {
    EXPECT_DEATH(
        {
            auto ex = std::make_unique<penstock::executor>(GetParam().workers);
            auto live = penstock::as_completed(
                *ex, std::views::iota(0), [](int i) { return i; }, 4);
            live.next();
            ex.reset();
            sleep_for_ever();
        },
        "penstock: an executor was destroyed while a stream of its was still at work");
}

TEST_P(MisuseDeathTest, AStreamDestroyedInsideItsOwnTaskIsDiagnosed) {
    EXPECT_DEATH(
        {
            penstock::executor ex(GetParam().workers);
            support::latch made;
            std::unique_ptr<stream> own;
            own = std::make_unique<stream>(penstock::as_completed(
                ex, std::views::iota(0, 1),
                [&](int i) {
                    if (made.wait()) own.reset();
                    return i;
                },
                1));
            made.open();
            sleep_for_ever();
        },
        "penstock: a stream was destroyed inside one of its own tasks");
}

// With more workers another one may run the inner task: then both wait for each other.
class OneWorkerMisuseDeathTest : public MisuseDeathTest {};
INSTANTIATE_TEST_SUITE_P(, OneWorkerMisuseDeathTest, ::testing::Values(support::setting{.workers = 1}),
                         support::name_of_setting);

TEST_P(OneWorkerMisuseDeathTest, AStreamDestroyedInsideATaskOfANestedStreamIsDiagnosed) {
    EXPECT_DEATH(
        {
            penstock::executor ex(GetParam().workers);
            support::latch made;
            std::unique_ptr<stream> own;
            own = std::make_unique<stream>(penstock::as_completed(
                ex, std::views::iota(0, 1),
                [&](int i) {
                    if (!made.wait()) return i;
                    auto inner = penstock::as_completed(
                        ex, std::views::iota(0, 1), [&](int) { own.reset(); }, 1);
                    support::drain(inner);
                    return i;
                },
                1));
            made.open();
            sleep_for_ever();
        },
        "penstock: a stream was destroyed inside one of its own tasks");
}

TEST_P(MisuseDeathTest, AnExceptionFromAPostedTaskTerminates) {
    EXPECT_DEATH(
        {
            penstock::executor ex(GetParam().workers);
            ex.post([] { throw std::runtime_error("nobody catches this"); });
            sleep_for_ever();
        },
        "nobody catches this");
}

}  // namespace
