// SPDX-License-Identifier: MIT
/// Streams that their own tasks feed.
#pragma once

#include <cstddef>

#include <gtest/gtest.h>

#include <penstock/penstock.hpp>

#include "contract_test.hpp"

namespace support {

/// How often what may go wrong seldom is tried.
inline constexpr int rounds = sanitized ? 100 : 1000;

class feed_test : public contract_test {
protected:
    /// A binary tree: each task pushes its two children, down to a depth.
    struct node {
        int depth;
    };
    static constexpr std::size_t nodes(int depth) { return (std::size_t{2} << depth) - 1; }
    static void push_children(penstock::feed<node>& tree, node of) {
        if (of.depth == 0) return;
        EXPECT_TRUE(tree.push({of.depth - 1}));
        EXPECT_TRUE(tree.push({of.depth - 1}));
    }

    /// Calls test(f) with functions of each kind that do the same as `body`.
    template <class Body, class Test>
    void with_every_kind(Body body, Test test) {
        {
            SCOPED_TRACE("computed");
            test(body);
        }
        {
            SCOPED_TRACE("blocking");
            test([body](auto in) { return penstock::blocking([body, in] { return body(in); }); });
        }
        {
            SCOPED_TRACE("a coroutine");
            test([body](auto in) { return as_task(body, in); });
        }
    }
    template <class Body, class In>
    static auto as_task(Body body, In in) -> penstock::task<decltype(body(in))> {
        auto pause = penstock::yield();
        co_await pause;
        co_return body(in);
    }
};

}  // namespace support
