// SPDX-License-Identifier: MIT
#include "folder.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>

namespace penstock::cli {

folder::folder(descriptor opened, name_order order, links met) : listing_(::fdopendir(opened.get())), met_(met) {
    if (listing_ == nullptr) {
        throw_errno(errno);
    }
    static_cast<void>(opened.release());  // the listing owns it now
    if (order == name_order::sorted) {
        read_to_end();
        std::ranges::sort(places_, {}, [this](const place& where) { return name_at(where); });
    }
}

std::optional<folder::entry> folder::next() {
    if (next_ < places_.size()) {
        const place& where = places_[next_++];
        return entry{name_at(where), where.kind};
    }
    return read_next();
}

void folder::read_to_end() {
    while (const auto found = read_next()) {
        places_.push_back({names_.size(), static_cast<std::uint32_t>(found->name.size()), found->kind});
        names_ += found->name;
    }
}

std::optional<folder::entry> folder::read_next() {
    while (listing_ != nullptr) {
        errno = 0;  // readdir() tells its end from its failure only so
        const dirent* const found = ::readdir(listing_.get());
        if (found == nullptr) {
            error_ = errno;
            listing_.reset();
            break;
        }
        const std::string_view name = found->d_name;
        if (name == "." || name == "..") {
            continue;
        }
        if (const auto found_kind = kind_of(*found)) {
            return entry{name, *found_kind};
        }
    }
    return std::nullopt;
}

/// What a walk does with a name; nothing for what it passes over: FIFOs, sockets, devices, links that are not followed.
std::optional<folder::kind> folder::kind_of(const dirent& found) const {
    const bool follow = met_ == links::followed;
    if (found.d_type == DT_REG) {
        return kind::file;
    }
    if (found.d_type == DT_DIR) {
        return kind::folder;
    }
    if (found.d_type != DT_UNKNOWN && !(found.d_type == DT_LNK && follow)) {
        return std::nullopt;
    }
    // Asked now, while the folder is open, it takes no further path lookup. Some file systems never tell the type.
    struct stat status;
    if (::fstatat(::dirfd(listing_.get()), found.d_name, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        return kind::file;  // opening it will say what is wrong, in its turn
    }
    if (S_ISDIR(status.st_mode)) {
        return kind::folder;
    }
    return S_ISREG(status.st_mode) ? std::optional(kind::file) : std::nullopt;
}

std::string_view folder::name_at(const place& where) const noexcept {
    return {names_.data() + where.offset, where.length};
}

}  // namespace penstock::cli
