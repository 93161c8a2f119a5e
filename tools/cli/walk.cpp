// SPDX-License-Identifier: MIT
#include "walk.hpp"

#include "open_file.hpp"

#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace penstock::cli {
namespace {

target failed(const std::string& path, int error) { return {path, target::kind::failure, 0, error}; }

}  // namespace

walk::walk(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}

// Both steps return nothing where they only moved on: into a folder, or out of one.
std::optional<target> walk::operator()() {
    while (!levels_.empty() || next_argument_ < arguments_.size()) {
        if (auto found = levels_.empty() ? next_argument() : next_name()) {
            return found;
        }
    }
    return std::nullopt;
}

std::optional<target> walk::next_argument() {
    path_ = std::move(arguments_[next_argument_++]);
    argument_length_ = path_.size();
    if (path_ == "-") {
        return target{path_, target::kind::stream};
    }
    struct stat status;
    if (::stat(path_.c_str(), &status) != 0) {
        return failed(path_, errno);
    }
    if (S_ISDIR(status.st_mode)) {
        return enter_folder();
    }
    return target{path_, S_ISREG(status.st_mode) ? target::kind::argument : target::kind::stream};
}

std::optional<target> walk::next_name() {
    level& current = levels_.back();
    path_.resize(current.path_length);
    if (current.next == current.names.size()) {
        levels_.pop_back();
        return std::nullopt;
    }
    const folder::entry found = current.names[current.next++];
    if (path_.back() != '/') {
        path_ += '/';
    }
    path_ += found.name;
    if (found.kind == folder::kind::folder) {
        return enter_folder();
    }
    return target{path_, target::kind::walked, argument_length_};
}

/// Opened by its path from the argument, not from its parent's descriptor: none has to stay open for that.
std::optional<target> walk::enter_folder() {
    int error = 0;
    try {
        folder names(open_walked(path_, argument_length_, O_RDONLY | O_DIRECTORY));
        error = names.error();
        levels_.push_back({std::move(names), 0, path_.size()});
    } catch (const std::system_error& failure) {
        error = failure.code().value();
    }
    return error == 0 ? std::nullopt : std::optional(failed(path_, error));
}

}  // namespace penstock::cli
