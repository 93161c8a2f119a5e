// SPDX-License-Identifier: MIT
#include "checksum_line.hpp"

#include <cstddef>
#include <tuple>

namespace penstock::cli {
namespace {

constexpr std::string_view hexadecimal = "0123456789abcdef";
constexpr std::size_t digits = 2 * std::tuple_size_v<sha256_value>;
constexpr std::string_view algorithm = "SHA256";

void append_digits(std::string& line, const sha256_value& value) {
    for (const unsigned byte : value) {
        line += hexadecimal[byte >> 4];
        line += hexadecimal[byte & 15];
    }
}

bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

std::string_view without_leading_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    return text;
}

/// A name ends at a NUL: no file name has one.
std::string_view up_to_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

std::optional<unsigned> value_of_digit(char digit) {
    const char lower = digit >= 'A' && digit <= 'F' ? static_cast<char>(digit - 'A' + 'a') : digit;
    const std::size_t value = hexadecimal.find(lower);
    return value == std::string_view::npos ? std::nullopt : std::optional(static_cast<unsigned>(value));
}

/// The digest that `text` is, all of it.
std::optional<sha256_value> parse_digits(std::string_view text) {
    if (text.size() != digits) {
        return std::nullopt;
    }
    sha256_value value;
    for (std::size_t position = 0; position < digits; position += 2) {
        const auto high = value_of_digit(text[position]);
        const auto low = value_of_digit(text[position + 1]);
        if (!high || !low) {
            return std::nullopt;
        }
        value[position / 2] = static_cast<unsigned char>(*high << 4 | *low);
    }
    return value;
}

/// The name that was escaped as `text`, or nothing if none is escaped so.
std::optional<std::string> unescaped_name(std::string_view text) {
    std::string name;
    for (std::size_t position = 0; position < text.size(); ++position) {
        char byte = text[position];
        if (byte == '\0') {
            return std::nullopt;
        }
        if (byte == '\\') {
            const char escaped = ++position < text.size() ? text[position] : '\0';
            switch (escaped) {
            case '\\':
                break;
            case 'n':
                byte = '\n';
                break;
            case 'r':
                byte = '\r';
                break;
            default:
                return std::nullopt;
            }
        }
        name += byte;
    }
    return name;
}

std::optional<listed_file> listed(std::string_view name, std::optional<sha256_value> expected, bool escaped) {
    const auto real_name = escaped ? unescaped_name(name) : std::string(up_to_nul(name));
    if (!real_name || !expected) {
        return std::nullopt;
    }
    return listed_file{*real_name, *expected};
}

/// What follows "SHA256 (" in a line: NAME) = DIGEST.
std::optional<listed_file> parse_tagged(std::string_view rest, bool escaped) {
    const std::size_t name_end = rest.rfind(')');
    if (name_end == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view value = without_leading_blanks(rest.substr(name_end + 1));
    if (!value.starts_with('=')) {
        return std::nullopt;
    }
    value = up_to_nul(without_leading_blanks(value.substr(1)));
    return listed(rest.substr(0, name_end), parse_digits(value), escaped);
}

}  // namespace

std::string escaped_name(std::string_view name) {
    std::string escaped;
    for (const char byte : name) {
        switch (byte) {
        case '\\':
            escaped += "\\\\";
            break;
        case '\n':
            escaped += "\\n";
            break;
        case '\r':
            escaped += "\\r";
            break;
        default:
            escaped += byte;
        }
    }
    return escaped;
}

std::string checksum_line(const sha256_value& value, std::string_view name, const line_format& format) {
    const bool escaped = !format.zero_end && name.find_first_of("\\\n\r") != std::string_view::npos;

    std::string line;
    line.reserve(digits + name.size() + 16);
    const auto append_name = [&] {
        if (escaped) {
            line += escaped_name(name);
        } else {
            line += name;
        }
    };
    if (escaped) {
        line += '\\';
    }
    if (format.tagged) {
        line += algorithm;
        line += " (";
        append_name();
        line += ") = ";
        append_digits(line, value);
    } else {
        append_digits(line, value);
        line += format.binary ? " *" : "  ";
        append_name();
    }
    return line += format.zero_end ? '\0' : '\n';
}

std::optional<listed_file> checksum_parser::parse(std::string_view line) {
    line = without_leading_blanks(line);
    const bool escaped = line.starts_with('\\');
    line.remove_prefix(escaped ? 1 : 0);

    if (line.starts_with(algorithm)) {
        line.remove_prefix(algorithm.size());
        line.remove_prefix(line.starts_with(' ') ? 1 : 0);
        return line.starts_with('(') ? parse_tagged(line.substr(1), escaped) : std::nullopt;
    }

    // The digest, a blank, and at least one byte more.
    if (line.size() < digits + 2 || !is_blank(line[digits])) {
        return std::nullopt;
    }
    const auto expected = parse_digits(line.substr(0, digits));
    if (!expected) {
        return std::nullopt;
    }
    std::string_view name = line.substr(digits + 1);
    const bool two_bytes = name.size() > 1 && (name.front() == ' ' || name.front() == '*');
    if (!two_bytes && seen_ == separator::two_bytes) {
        return std::nullopt;
    }
    if (!two_bytes) {
        seen_ = separator::one_blank;
    } else if (seen_ != separator::one_blank) {
        seen_ = separator::two_bytes;
        name.remove_prefix(1);
    }
    return listed(name, expected, escaped);
}

}  // namespace penstock::cli
