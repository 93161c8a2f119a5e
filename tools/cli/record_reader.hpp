// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"
#include "interruption.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::cli {

/// Reads records that end with a certain byte, one at a time, as they arrive.
/// Memory: one buffer, and the longest record so far, of which no more than longest_record is kept.
/// Threads: one at a time.
class record_reader {
public:
    static constexpr std::size_t longest_record = 1024 * 1024;

    /// Does not own `number`. Ends when a signal comes.
    record_reader(int number, char delimiter, const interruption& until);

    /// Goes on to the next record; false if there is none. The last one need not have its delimiter.
    bool next();

    /// The record without its delimiter. Valid until next().
    std::string_view record() const noexcept { return record_; }

    /// Whether only the beginning of the record was kept.
    bool too_long() const noexcept { return too_long_; }

    /// Which record it is, from 1.
    std::size_t number() const noexcept { return count_; }

    /// Why reading failed, or 0; known when next() has said false.
    int error() const noexcept { return error_; }

private:
    bool refill();
    void keep(std::string_view part);

    int from_;
    char delimiter_;
    const interruption& until_;
    std::vector<unsigned char> buffer_;
    std::string_view unread_;  // of buffer_
    std::string record_;
    bool too_long_ = false;
    bool ended_ = false;
    std::size_t count_ = 0;
    int error_ = 0;
};

}  // namespace penstock::cli
