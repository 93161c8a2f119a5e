// SPDX-License-Identifier: MIT
/// The fixtures: nothing is left when a test ends, and every promise is tried with 1, 2 and 8 workers, in both orders,
/// with and without a helping consumer.
#pragma once

#include <cstddef>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "tracked.hpp"
#include "waiting.hpp"
#include "watchdog.hpp"

namespace support {

/// Checks that every tracked object has been destroyed, after the members of the fixture have been.
class tracked_test : public ::testing::Test {
protected:
    tracked_test() { tracked::start_afresh(); }
    ~tracked_test() override {
        EXPECT_EQ(tracked::live(), 0) << "objects were left behind";
        EXPECT_EQ(tracked::faults(), 0) << "objects were used that were not alive";
    }
};

struct setting {
    std::size_t workers = 2;
    penstock::order order = penstock::order::completion;
    bool help = true;
};

inline std::string name_of(const setting& s) {
    return "workers" + std::to_string(s.workers) +
           (s.order == penstock::order::submission ? "_submission" : "_completion") + (s.help ? "_help" : "_nohelp");
}
inline std::ostream& operator<<(std::ostream& to, const setting& s) { return to << name_of(s); }

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string name_of_setting(const ::testing::TestParamInfo<setting>& info) { return name_of(info.param); }

inline std::vector<setting> every_setting() {
    std::vector<setting> all;
    for (const std::size_t workers : {1U, 2U, 8U}) {
        for (const auto order : {penstock::order::completion, penstock::order::submission}) {
            for (const bool help : {true, false}) all.push_back({workers, order, help});
        }
    }
    return all;
}

/// Those of them to which a promise applies.
template <class... Conditions>
std::vector<setting> settings_with(Conditions... fits) {
    std::vector<setting> all = every_setting();
    std::erase_if(all, [&](const setting& each) { return !(fits(each) && ...); });
    return all;
}
inline bool in_submission_order(const setting& s) { return s.order == penstock::order::submission; }
inline bool in_completion_order(const setting& s) { return s.order == penstock::order::completion; }
inline bool several_workers(const setting& s) { return s.workers > 1; }  ///< two tasks may run at once
inline bool help(const setting& s) { return s.help; }

/// For what a helping consumer makes no difference to.
inline std::vector<setting> every_width_and_order() { return settings_with(help); }

inline std::vector<setting> every_width() { return {{.workers = 1}, {.workers = 2}, {.workers = 8}}; }

class contract_test : public tracked_test, public ::testing::WithParamInterface<setting> {
protected:
    bool in_order() const { return GetParam().order == penstock::order::submission; }
    std::size_t workers() const { return GetParam().workers; }
    /// The setting's options, with a limit.
    penstock::options with(std::size_t limit, std::size_t buffer = penstock::auto_buffer) const {
        penstock::options settings;
        settings.limit = limit;
        settings.buffer = buffer;
        settings.order = GetParam().order;
        settings.help = GetParam().help;
        return settings;
    }
    /// Notes what is delivered: each task once, in the order that was asked for.
    void note(std::set<std::size_t>& seen, std::size_t index) const {
        if (in_order()) {
            EXPECT_EQ(index, seen.size());
        }
        EXPECT_TRUE(seen.insert(index).second) << "delivered twice: " << index;
    }

    penstock::executor ex{GetParam().workers};
};

/// Whether each task that was pulled has been taken or dropped. A thread may still be inside the producer of a stream
/// that is over; what that gives is dropped when it comes.
template <class Stream>
bool eventually_all_accounted(const Stream& stream) {
    return eventually([&] {
        const auto now = stream.stats();
        return now.pulled == now.taken + now.dropped;
    });
}

/// Takes everything; how many it was.
template <class Stream>
std::size_t drain(Stream& stream) {
    std::size_t count = 0;
    while (stream.next()) ++count;
    return count;
}

}  // namespace support
