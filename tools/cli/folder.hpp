// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::cli {

/// The names in one folder that a walk cares about (regular files and folders) in bytewise order.
/// Reads all of them at once, as sorting needs, and has closed the folder when it is constructed.
/// Memory: the bytes of the names and 16 bytes for each.
class folder {
public:
    enum class kind : std::uint8_t { file, folder };
    struct entry {
        std::string_view name;
        folder::kind kind;
    };

    explicit folder(descriptor opened);

    std::size_t size() const noexcept { return places_.size(); }
    entry operator[](std::size_t position) const noexcept;

    /// Why reading ended early, or 0: the names that came before are there.
    int error() const noexcept { return error_; }

private:
    struct place {
        std::size_t offset;
        std::uint32_t length;
        folder::kind kind;
    };
    std::string_view name_at(const place& where) const noexcept;

    std::string names_;
    std::vector<place> places_;
    int error_ = 0;
};

}  // namespace penstock::cli
