// SPDX-License-Identifier: MIT
#include "quoted_name.hpp"

#include <cstddef>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

unsigned byte_at(std::string_view text, std::size_t position) { return static_cast<unsigned char>(text[position]); }

/// Of well-formed UTF-8.
char32_t code_point(std::string_view character) {
    char32_t point = character.size() == 2 ? byte_at(character, 0) & 0x1f : byte_at(character, 0) & 0x0f;
    for (std::size_t position = 1; position < character.size(); ++position) {
        point = point << 6 | (byte_at(character, position) & 0x3f);
    }
    return point;
}

bool is_separator_or_noncharacter(char32_t point) {
    return point == 0x2028 || point == 0x2029 || (point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) == 0xfffe;
}

/// How many bytes at the front of `text` (which is not empty) are one character that is safe to print; 0 for none:
/// a control character, also one of U+0080 to U+009F, or bytes that are not well-formed UTF-8.
std::size_t printable_length(std::string_view text) {
    const unsigned lead = byte_at(text, 0);
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f ? 1 : 0;
    }
    const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() < length) {
        return 0;
    }
    for (std::size_t position = 1; position < length; ++position) {
        if ((byte_at(text, position) & 0xc0) != 0x80) {
            return 0;
        }
    }
    const unsigned second = byte_at(text, 1);
    const bool control = lead == 0xc2 && second < 0xa0;
    const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool surrogate = lead == 0xed && second >= 0xa0;
    const bool beyond_unicode = lead == 0xf4 && second >= 0x90;
    if (control || overlong || surrogate || beyond_unicode) {
        return 0;
    }
    return is_separator_or_noncharacter(code_point(text.substr(0, length))) ? 0 : length;
}

/// The backslash sequence for one byte.
std::string escape(unsigned byte) {
    constexpr std::string_view letters = "abtnvfr";  // of the bytes 7 to 13, in this order
    if (byte >= 7 && byte <= 13) {
        return fmt::format("\\{}", letters[byte - 7]);
    }
    return fmt::format("\\{:03o}", byte);
}

bool is_printable(std::string_view text) {
    for (std::size_t position = 0; position < text.size();) {
        const std::size_t length = printable_length(text.substr(position));
        if (length == 0) {
            return false;
        }
        position += length;
    }
    return true;
}

bool contains_any(std::string_view text, std::string_view bytes) {
    return text.find_first_of(bytes) != std::string_view::npos;
}

/// Whether a shell, or a reader of "NAME: message", takes `name` for what it is without quotes.
bool is_plain(std::string_view name) {
    return !name.empty() && name.front() != '#' && name.front() != '~' && name != "{" && name != "}" &&
           !contains_any(name, " !\"$&'()*:;<=>?[\\^`|") && is_printable(name);
}

/// Whether double quotes do: the name has a single quote in it, and nothing that means something between double ones.
bool suits_double_quotes(std::string_view name) {
    return contains_any(name, "'") && !contains_any(name, "!\"$&()*;<=>?[\\^`{|}") &&
           !contains_any(name.substr(1), "#~") && is_printable(name);
}

/// `name` in single quotes. Control bytes stand outside of them, in "$'...'"; `escaping` is whether those are open.
std::string in_single_quotes(std::string_view name, bool& escaping) {
    std::string shown = "'";
    for (std::size_t position = 0; position < name.size();) {
        if (name[position] == '\'') {
            shown += "'\\''";  // leaves either kind of quotes, and comes back to the plain ones
            escaping = false;
            position += 1;
            continue;
        }
        const std::size_t length = printable_length(name.substr(position));
        if (const bool escaped = length == 0; escaped != escaping) {
            shown += escaped ? "'$'" : "''";
            escaping = escaped;
        }
        shown += escaping ? escape(byte_at(name, position)) : std::string(name.substr(position, length));
        position += escaping ? 1 : length;
    }
    return shown + '\'';
}

}  // namespace

std::string quoted_name(std::string_view name) {
    return is_plain(name) ? std::string(name) : always_quoted_name(name);
}

std::string always_quoted_name(std::string_view name) {
    if (suits_double_quotes(name)) {
        return fmt::format("\"{}\"", name);
    }
    bool escaping = false;
    const std::string shown = in_single_quotes(name, escaping);
    // Coreutils look at a name with a single quote twice, and begin the second time as the first has ended. Where a
    // control byte came last, this adds a pair of quotes, or omits one; so be it, as messages are to be the same.
    return contains_any(name, "'") ? in_single_quotes(name, escaping) : shown;
}

}  // namespace penstock::cli
