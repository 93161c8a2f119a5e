// SPDX-License-Identifier: MIT
#include "record_reader.hpp"

#include <algorithm>

namespace penstock::cli {

record_reader::record_reader(int number, char delimiter, const interruption& until)
    : from_(number), delimiter_(delimiter), until_(until), buffer_(64 * std::size_t{1024}) {}

bool record_reader::next() {
    record_.clear();
    too_long_ = false;
    bool found = false;  // a record may be empty, but at the end only its delimiter tells an empty one from none
    while (!unread_.empty() || refill()) {
        found = true;
        const std::size_t length = unread_.find(delimiter_);
        keep(unread_.substr(0, length));
        if (length != std::string_view::npos) {
            unread_.remove_prefix(length + 1);
            break;
        }
        unread_ = {};
    }
    // A list that could not be read to its end may have broken off in the middle of a name.
    found = found && error_ == 0 && until_.signal() == 0;
    count_ += found ? 1 : 0;
    return found;
}

bool record_reader::refill() {
    while (!ended_ && until_.wait_for_input(from_)) {
        try {
            if (const auto got = try_read(from_, buffer_)) {
                ended_ = *got == 0;
                unread_ = {reinterpret_cast<const char*>(buffer_.data()), *got};
                return !ended_;
            }
        } catch (const std::system_error& failure) {
            error_ = failure.code().value();
            ended_ = true;
        }
    }
    return false;
}

void record_reader::keep(std::string_view part) {
    const std::size_t room = longest_record - record_.size();
    too_long_ = too_long_ || part.size() > room;
    record_ += part.substr(0, std::min(part.size(), room));
}

}  // namespace penstock::cli
