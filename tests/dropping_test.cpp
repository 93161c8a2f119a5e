// SPDX-License-Identifier: MIT
/// C5: a task that a stop drops is destroyed at once, and never runs.
#include <ranges>
#include <stop_token>

#include <penstock/penstock.hpp>

#include "support/stop_test.hpp"

namespace {

using support::tracked_value;

class Dropping : public support::stop_test {};
INSTANTIATE_TEST_SUITE_P(, Dropping, ::testing::ValuesIn(support::every_setting()), support::name_of_setting);

// The check of the fixture: nothing is left. The jobs hold tracked objects, and so do the results.
TEST_P(Dropping, DestroysWhatHasNotStarted) {
    for (const int last : {0, 1, 70, 3000}) {  // the longer it runs, the more is pulled at once and has not started
        std::stop_source source;
        auto settings = with(64);
        settings.stop = source.get_token();
        auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                        return [&source, i, last, held = tracked_value(i)] {
                            if (i == last) source.request_stop();
                            held.check();
                            return tracked_value(i);
                        };
                    });
        auto stream = penstock::as_completed(ex, jobs, settings);
        EXPECT_EQ(run_out(stream).stopped, 1);
        EXPECT_TRUE(support::eventually([] { return support::tracked::live() == 0; }))
            << "and does not wait for the end of the stream";
    }
}

TEST_P(Dropping, DestroysTheItemThatTheProducerGaveWhenItWasTooLate) {
    std::stop_source source;
    auto settings = with(4);
    settings.stop = source.get_token();
    auto jobs = std::views::iota(0) | std::views::transform([&](int i) {
                    if (i == 25) source.request_stop();
                    return [i, held = tracked_value(i)] { return i; };
                });
    auto stream = penstock::as_completed(ex, jobs, settings);
    EXPECT_EQ(run_out(stream).stopped, 1);
    EXPECT_TRUE(support::eventually([&] { return stream.stats().dropped >= 1; }));
    EXPECT_TRUE(support::eventually([] { return support::tracked::live() == 0; }));
}

}  // namespace
