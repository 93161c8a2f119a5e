// SPDX-License-Identifier: MIT
/// How a stream goes that is stopped.
#pragma once

#include <cstddef>
#include <set>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"

namespace support {

/// For tests that stop a stream.
class stop_test : public contract_test {
protected:
    /// How a stream went.
    struct course {
        std::set<std::size_t> delivered;
        int stopped = 0;
    };
    /// Takes everything; checks that `stopped` is thrown at most once and that the end is the end.
    template <class Stream>
    static course run_out(Stream& stream) {
        course went;
        for (;;) {
            try {
                auto done = stream.next();
                if (!done) break;
                EXPECT_TRUE(went.delivered.insert(done->index()).second) << "delivered twice: " << done->index();
            } catch (const penstock::stopped&) {
                ++went.stopped;
            }
            if (went.stopped > 1) break;
        }
        EXPECT_LE(went.stopped, 1);
        EXPECT_FALSE(stream.next()) << "after the end comes nothing";
        EXPECT_TRUE(stream.done());
        EXPECT_TRUE(eventually_all_accounted(stream)) << "every pulled task has exactly one outcome";
        return went;
    }
};

}  // namespace support
