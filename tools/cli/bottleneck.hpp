// SPDX-License-Identifier: MIT
#pragma once

#include <penstock/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>

namespace penstock::cli {

/// What keeps a digest from going faster, as far as a user can do something about it.
enum class bottleneck : std::uint8_t {
    nothing,      ///< no further name is needed: it is over, has just begun, or the last files are being read
    names,        ///< the walk, or the file with the names or checksums, gives the next one too late
    workers,      ///< each has a file
    limit,        ///< as many files are in flight as --limit says
    descriptors,  ///< as many files are in flight as the process may have open
    buffer,       ///< results wait to be printed
    order,        ///< results wait for a slow file whose line comes first
};

/// In one word, and what may be turned: "workers (-j)".
std::string_view in_words(bottleneck found) noexcept;

/// Which bottleneck is found most often. The first in the order above if there are several; `nothing` before any.
class bottleneck_tally {
public:
    void count(bottleneck found) noexcept { ++counts_[static_cast<std::size_t>(found)]; }
    bottleneck most_frequent() const noexcept;

private:
    std::array<std::size_t, static_cast<std::size_t>(bottleneck::order) + 1> counts_{};
};

/// Looks at the stream that is being read, for a thread that does not read it.
/// Threads: any may ask now(); the one that reads the stream does the rest.
class bottleneck_watch {
public:
    /// The right to look at a stream, which it does not outlive.
    class view {
    public:
        template <class Stream>
        view(bottleneck_watch& watch, const Stream& stream) : watch_(watch) {
            watch_.look_at([&stream] { return stream.stats().bound; });
        }
        view(const view&) = delete;
        view& operator=(const view&) = delete;
        ~view() { watch_.look_at(nullptr); }

    private:
        bottleneck_watch& watch_;
    };

    /// The limit is lower than it was to be: descriptors are scarce. Before there is a view.
    void limit_is_of_descriptors() noexcept { limit_ = bottleneck::descriptors; }

    /// `nothing` while there is no stream.
    bottleneck now() const;

private:
    void look_at(std::function<bound_by()> bound);

    mutable std::mutex mutex_;
    std::function<bound_by()> bound_;  // guarded by mutex_
    bottleneck limit_ = bottleneck::limit;
};

}  // namespace penstock::cli
