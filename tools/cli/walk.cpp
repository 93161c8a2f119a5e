// SPDX-License-Identifier: MIT
#include "walk.hpp"

#include "quoted_name.hpp"

#include <algorithm>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace penstock::cli {
namespace {

target failed(const std::string& path, int error) {
    return {path, target::kind::failure, 0,
            fmt::format("{}: {}", quoted_name(path), std::generic_category().message(error))};
}

}  // namespace

walk::walk(argument_source arguments, walk_options how) : arguments_(std::move(arguments)), how_(how) {}

// Each step returns nothing where it only moved on: into a folder, or out of one.
std::optional<target> walk::operator()(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::optional<target> found;
        if (!levels_.empty()) {
            found = next_name();
        } else if (auto next = arguments_()) {
            found = enter_argument(std::move(*next));
        } else {
            return std::nullopt;
        }
        if (found) {
            return found;
        }
    }
    return std::nullopt;
}

std::optional<target> walk::enter_argument(argument found) {
    path_ = std::move(found.path);
    argument_length_ = path_.size();
    if (!found.problem.empty()) {
        return target{path_, target::kind::failure, 0, std::move(found.problem)};
    }
    if (path_ != "-") {
        struct stat status;
        if (::stat(path_.c_str(), &status) != 0) {
            return failed(path_, errno);
        }
        if (S_ISDIR(status.st_mode)) {
            return enter_folder();
        }
    }
    return target{path_, target::kind::named};
}

std::optional<target> walk::next_name() {
    level& current = levels_.back();
    path_.resize(current.path_length);
    const auto found = current.names.next();
    if (!found) {
        const int error = current.names.error();
        levels_.pop_back();
        return error == 0 ? std::nullopt : std::optional(failed(path_, error));
    }
    if (path_.back() != '/') {
        path_ += '/';
    }
    path_ += found->name;
    if (found->kind == folder::kind::folder) {
        return enter_folder();
    }
    return target{path_, target::kind::walked, argument_length_};
}

/// Opened by its path from the argument, not from its parent's descriptor: none has to stay open for that.
std::optional<target> walk::enter_folder() {
    try {
        descriptor opened = open_walked(path_, argument_length_, how_.met, O_RDONLY | O_DIRECTORY);
        const struct stat status = status_of(opened.get());
        const std::pair identity(status.st_dev, status.st_ino);
        // Links are the only way into a folder that one is in already.
        if (how_.met == links::followed && std::ranges::count(levels_, identity, &level::identity) != 0) {
            return std::nullopt;
        }
        levels_.push_back({folder(std::move(opened), how_.order, how_.met), path_.size(), identity});
        keep_within_open_folders();
        return std::nullopt;
    } catch (const std::system_error& failure) {
        return failed(path_, failure.code().value());
    }
}

void walk::keep_within_open_folders() {
    if (how_.order == name_order::as_read && levels_.size() > how_.open_folders) {
        levels_[levels_.size() - how_.open_folders - 1].names.read_to_end();
    }
}

}  // namespace penstock::cli
