// SPDX-License-Identifier: MIT
#include "checksum_list.hpp"

#include "open_file.hpp"

#include <string_view>

namespace penstock::cli {

checksum_list::checksum_list(const std::string& path, checksum_parser& parser, const interruption& until)
    : from_stdin_(path == "-"), opened_(from_stdin_ ? open_standard_input() : open_named(path)),
      records_(opened_.get(), '\n', until), parser_(parser) {}

std::optional<list_line> checksum_list::operator()() {
    while (records_.next()) {
        std::string_view text = records_.record();
        if (text.starts_with('#')) {
            continue;
        }
        if (text.ends_with('\r')) {
            text.remove_suffix(1);
        }
        if (text.empty()) {
            continue;
        }
        auto file = records_.too_long() ? std::nullopt : parser_.parse(text);
        if (file && from_stdin_ && file->name == "-") {
            file.reset();  // what is left of this very list is not meant
        }
        return list_line{records_.number(), std::move(file)};
    }
    return std::nullopt;
}

}  // namespace penstock::cli
