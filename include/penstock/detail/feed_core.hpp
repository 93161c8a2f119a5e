// SPDX-License-Identifier: MIT
/// The part of a feed that does not depend on what it carries.
#pragma once

#include <cstddef>

#include <penstock/detail/export.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

class stream_engine;

/// What one item is carried by.
struct feed_link {
    feed_link* behind = nullptr;
};

/// A queue that knows the stream that takes from it, and when it has ended. Its protocol is in src/README.md, "Feeds".
class PENSTOCK_EXPORT feed_core {
public:
    // --- any thread
    /// False: it is closed, or has ended, and the item stays the caller's.
    bool push(feed_link& item) noexcept;
    void close() noexcept;

    // --- the stream
    /// False: it has, or had, another one.
    bool attach(stream_engine& stream) noexcept;
    /// When it returns, no push touches the stream but by being inside it.
    void detach() noexcept;
    /// The turn's holder. Null if there is nothing.
    feed_link* pop() noexcept;
    std::size_t size() const noexcept { return size_.load(); }
    /// Whether nothing is there and nothing will come.
    bool drained() const noexcept { return closed_.load() && size_.load() == 0; }
    /// Whether it has ended, which it does unless something is there.
    bool end_if_empty() noexcept;

private:
    sync::mutex mutex_;
    feed_link* first_ = nullptr;
    feed_link* last_ = nullptr;
    stream_engine* stream_ = nullptr;
    bool had_stream_ = false;
    sync::atomic<std::size_t> size_{0};  ///< written under the mutex, as closed_ is
    sync::atomic<bool> closed_{false};   ///< nothing more is accepted
};

}  // namespace penstock::inline v0::detail
