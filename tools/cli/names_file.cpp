// SPDX-License-Identifier: MIT
#include "names_file.hpp"

#include "open_file.hpp"
#include "quoted_name.hpp"

#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

constexpr auto standard_input = "-";

descriptor open_names(const std::string& path) {
    try {
        return path == standard_input ? open_standard_input() : open_named(path);
    } catch (const std::system_error& failure) {
        throw std::runtime_error(
            fmt::format("cannot open {} for reading: {}", always_quoted_name(path), failure.code().message()));
    }
}

}  // namespace

names_file::names_file(const std::string& path, const interruption& until)
    : path_(path), opened_(open_names(path)),
      records_(opened_.get(), '\0', until) {}

std::optional<argument> names_file::operator()() {
    if (!records_.next()) {
        if (records_.error() == 0 || std::exchange(failed_, true)) {
            return std::nullopt;
        }
        return argument{path_, fmt::format("{}: read error: {}", quoted_name(path_),
                                           std::generic_category().message(records_.error()))};
    }
    const std::string name(records_.record());
    if (name.empty()) {
        return argument{name, fmt::format("{}:{}: invalid zero-length file name", quoted_name(path_), records_.number())};
    }
    if (records_.too_long()) {
        return argument{name, fmt::format("{}:{}: file name too long", quoted_name(path_), records_.number())};
    }
    if (name == standard_input && path_ == standard_input) {
        return argument{name, "when reading file names from stdin, no file name of '-' allowed"};
    }
    return argument{name};
}

}  // namespace penstock::cli
