// SPDX-License-Identifier: MIT
#pragma once

#include "descriptor.hpp"
#include "open_file.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <dirent.h>

namespace penstock::cli {

/// In which order a walk comes to the names in a folder.
enum class name_order : bool {
    sorted,  ///< bytewise; all names of the folder are held in memory
    as_read  ///< as the file system gives them; none is held
};

/// The names in one folder that a walk cares about: regular files and folders, and what links lead to if they are
/// followed. Threads: one at a time.
class folder {
public:
    enum class kind : std::uint8_t { file, folder };
    struct entry {
        std::string_view name;  ///< valid until the next call
        folder::kind kind;
    };

    /// Sorted: reads all names, and has closed the folder when it is constructed. Otherwise the folder stays open.
    folder(descriptor opened, name_order order, links met);

    /// The next name; nothing at the end. Memory: the bytes of the names that are held, and 16 bytes for each.
    std::optional<entry> next();

    /// Reads the names that are left into memory and closes the folder, which makes its descriptor free for others.
    void read_to_end();

    /// Why reading ended early, or 0; known when next() has given the last name.
    int error() const noexcept { return error_; }

private:
    struct close_listing {
        void operator()(DIR* listing) const noexcept { ::closedir(listing); }
    };
    struct place {
        std::size_t offset;
        std::uint32_t length;
        folder::kind kind;
    };
    std::optional<entry> read_next();
    std::optional<folder::kind> kind_of(const dirent& found) const;
    std::string_view name_at(const place& where) const noexcept;

    std::unique_ptr<DIR, close_listing> listing_;  // none once all has been read
    links met_;
    std::string names_;
    std::vector<place> places_;  // what is held, from next_ on still to be given
    std::size_t next_ = 0;
    int error_ = 0;
};

}  // namespace penstock::cli
