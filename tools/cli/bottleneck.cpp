// SPDX-License-Identifier: MIT
#include "bottleneck.hpp"

#include <algorithm>
#include <utility>

namespace penstock::cli {

std::string_view in_words(bottleneck found) noexcept {
    switch (found) {
    case bottleneck::nothing:
        break;
    case bottleneck::names:
        return "names";
    case bottleneck::workers:
        return "workers (-j)";
    case bottleneck::limit:
        return "limit (--limit)";
    case bottleneck::descriptors:
        return "descriptors (ulimit -n)";
    case bottleneck::buffer:
        return "buffer (--buffer)";
    case bottleneck::order:
        return "order (--unordered)";
    }
    return "nothing";
}

bottleneck bottleneck_tally::most_frequent() const noexcept {
    return static_cast<bottleneck>(std::ranges::max_element(counts_) - counts_.begin());
}

bottleneck bottleneck_watch::now() const {
    const std::lock_guard lock(mutex_);
    switch (bound_ ? bound_() : bound_by::none) {
    case bound_by::producer:
        return bottleneck::names;
    case bound_by::workers:
        return bottleneck::workers;
    case bound_by::limit:
        return limit_;
    case bound_by::buffer:
        return bottleneck::buffer;
    case bound_by::head_of_line:
        return bottleneck::order;
    case bound_by::none:
    case bound_by::gate:  // these four a digest does not use
    case bound_by::weight:
    case bound_by::rate:
    case bound_by::retry:
        break;
    }
    return bottleneck::nothing;
}

void bottleneck_watch::look_at(std::function<bound_by()> bound) {
    const std::lock_guard lock(mutex_);
    bound_ = std::move(bound);
}

}  // namespace penstock::cli
