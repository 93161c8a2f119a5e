// SPDX-License-Identifier: MIT
#include "digest_line.hpp"

namespace penstock::cli {
namespace {

void append_escaped(std::string& line, std::string_view name) {
    for (const char byte : name) {
        switch (byte) {
        case '\\':
            line += "\\\\";
            break;
        case '\n':
            line += "\\n";
            break;
        case '\r':
            line += "\\r";
            break;
        default:
            line += byte;
        }
    }
}

}  // namespace

std::string digest_line(const sha256_value& value, std::string_view name) {
    constexpr std::string_view hexadecimal = "0123456789abcdef";
    const bool escaped = name.find_first_of("\\\n\r") != std::string_view::npos;

    std::string line;
    line.reserve(2 * value.size() + name.size() + 8);
    if (escaped) {
        line += '\\';
    }
    for (const unsigned byte : value) {
        line += hexadecimal[byte >> 4];
        line += hexadecimal[byte & 15];
    }
    line += "  ";
    if (escaped) {
        append_escaped(line, name);
    } else {
        line += name;
    }
    return line += '\n';
}

}  // namespace penstock::cli
