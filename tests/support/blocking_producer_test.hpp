// SPDX-License-Identifier: MIT
/// Streams whose producer is pulled on a blocking thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <pthread.h>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"

namespace support {

inline std::string name_of_thread() {
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    return name;
}

class blocking_producer_test : public contract_test {
protected:
    /// Gives 0 .. count - 1 and checks where it is called.
    struct counter {
        int count;
        int next = 0;
        std::optional<int> operator()() {
            EXPECT_EQ(name_of_thread(), "penstock/b");
            EXPECT_EQ(penstock::this_worker(), SIZE_MAX);
            return next < count ? std::optional(next++) : std::nullopt;
        }
    };

    /// Takes everything; every index once, in submission order in order.
    template <class Stream>
    void expect_all(Stream& stream, std::size_t count) {
        std::set<std::size_t> seen;
        while (auto done = stream.next()) {
            EXPECT_TRUE(done->has_value());
            if (in_order()) {
                EXPECT_EQ(done->index(), seen.size());
            }
            EXPECT_TRUE(seen.insert(done->index()).second) << done->index();
        }
        EXPECT_EQ(seen.size(), count);
        EXPECT_TRUE(stream.done());
        const auto stats = stream.stats();
        EXPECT_EQ(stats.pulled, count);
        EXPECT_EQ(stats.taken, count);
        EXPECT_EQ(stats.dropped, 0U);
    }
};

}  // namespace support
