// SPDX-License-Identifier: MIT
#include "folder.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace penstock::cli {
namespace {

struct close_listing {
    void operator()(DIR* listing) const noexcept { ::closedir(listing); }
};
using listing_handle = std::unique_ptr<DIR, close_listing>;

listing_handle list(descriptor opened) {
    DIR* const listing = ::fdopendir(opened.get());
    if (listing == nullptr) {
        throw_errno(errno);
    }
    static_cast<void>(opened.release());  // the listing owns it now
    return listing_handle(listing);
}

/// What a walk does with the name; nothing for links, FIFOs, sockets and devices, which it passes over.
std::optional<folder::kind> kind_of(DIR* listing, const dirent& found) {
    if (found.d_type == DT_REG) {
        return folder::kind::file;
    }
    if (found.d_type == DT_DIR) {
        return folder::kind::folder;
    }
    if (found.d_type != DT_UNKNOWN) {
        return std::nullopt;
    }
    // Some file systems do not say. Asked now, while the folder is open, it takes no further path lookup.
    struct stat status;
    if (::fstatat(::dirfd(listing), found.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return folder::kind::file;  // opening it will say what is wrong, in its turn
    }
    if (S_ISDIR(status.st_mode)) {
        return folder::kind::folder;
    }
    return S_ISREG(status.st_mode) ? std::optional(folder::kind::file) : std::nullopt;
}

}  // namespace

folder::folder(descriptor opened) {
    const listing_handle listing = list(std::move(opened));
    for (;;) {
        errno = 0;  // readdir() tells its end from its failure only so
        const dirent* const found = ::readdir(listing.get());
        if (found == nullptr) {
            error_ = errno;
            break;
        }
        const std::string_view name = found->d_name;
        if (name == "." || name == "..") {
            continue;
        }
        if (const auto found_kind = kind_of(listing.get(), *found)) {
            places_.push_back({names_.size(), static_cast<std::uint32_t>(name.size()), *found_kind});
            names_ += name;
        }
    }
    std::ranges::sort(places_, {}, [this](const place& where) { return name_at(where); });
}

std::string_view folder::name_at(const place& where) const noexcept {
    return {names_.data() + where.offset, where.length};
}

folder::entry folder::operator[](std::size_t position) const noexcept {
    return {name_at(places_[position]), places_[position].kind};
}

}  // namespace penstock::cli
