// SPDX-License-Identifier: MIT
/// What a stream itself throws.
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

static_assert(std::is_base_of_v<std::exception, penstock::stopped>);
static_assert(std::is_base_of_v<std::exception, penstock::timed_out>);
static_assert(!std::is_base_of_v<penstock::stopped, penstock::timed_out> &&
              !std::is_base_of_v<penstock::timed_out, penstock::stopped>);
static_assert(std::is_nothrow_copy_constructible_v<penstock::stopped> &&
              std::is_nothrow_copy_constructible_v<penstock::timed_out>);

TEST(Errors, SayWhatHappened) {
    EXPECT_NE(std::string(penstock::stopped().what()).find("penstock"), std::string::npos);
    EXPECT_NE(std::string(penstock::timed_out().what()).find("penstock"), std::string::npos);
    EXPECT_NE(std::string(penstock::stopped().what()), penstock::timed_out().what());
}

TEST(Errors, ATaskThatThrowsStoppedUnaskedHasFailed) {
    // Nobody requested a stop: then it is an error like any other, and not a cancellation.
    penstock::executor ex(2);
    auto stream = penstock::as_completed(ex,
                                         std::vector<void (*)()>(
                                             3, +[] { throw penstock::stopped(); }),
                                         2);
    std::size_t count = 0;
    while (auto done = stream.next()) {
        EXPECT_THROW(done->get(), penstock::stopped);
        ++count;
    }
    EXPECT_EQ(count, 3U);
    EXPECT_EQ(stream.stats().failed, 3U);
    EXPECT_EQ(stream.stats().stopped, 0U);
}

TEST(Errors, TheProducersStoppedAndTimedOutAreItsOwnErrors) {
    penstock::executor ex(2);
    auto stream = penstock::as_completed(
        ex, []() -> std::optional<std::function<void()>> { throw penstock::timed_out(); }, 2);
    EXPECT_THROW(stream.next(), penstock::timed_out);
    EXPECT_FALSE(stream.next());
}

}  // namespace
