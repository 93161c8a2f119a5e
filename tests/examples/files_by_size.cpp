// SPDX-License-Identifier: MIT
// Counts the lines of the files below FOLDER. Each is read as a whole, and those in memory at a time come to BYTES at
// most: many small ones, or a few large ones. One that is larger than that is refused, and the others go on.
//   files_by_size [FOLDER [BYTES]]
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>

#include <penstock/penstock.hpp>

namespace fs = std::filesystem;

/// Memory for a file; it keeps account of what all of them take.
struct buffer {
    static inline std::atomic<std::size_t> in_use{0}, most{0};
    explicit buffer(std::size_t size) {
        const std::size_t now = in_use += size;
        for (std::size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        text.resize(size);
    }
    ~buffer() { in_use -= text.size(); }
    std::string text;
};

/// Its weight is given back when it ends. What it returns is not counted any more, and is small.
auto line_counter(const fs::directory_entry& entry) {
    const std::size_t size = entry.file_size();
    auto count_lines = [name = entry.path(), size] {
        buffer all(size);
        std::ifstream file(name);
        file.read(all.text.data(), static_cast<std::streamsize>(size));
        if (!file) throw std::runtime_error("can not read " + name.string());
        return std::ranges::count(all.text, '\n');
    };
    return penstock::weighted(size, penstock::blocking(count_lines));
}

/// 200 files of up to a million empty lines, and one of five; they are removed in the end.
struct samples {
    samples() {
        if (!mkdtemp(folder.data())) throw std::runtime_error("can not make " + folder);
        for (std::size_t i = 0; i <= 200; ++i) {
            std::ofstream(folder + '/' + std::to_string(i)) << std::string(i > 0 ? 1'000'000 / i : 5'000'000, '\n');
        }
    }
    ~samples() { fs::remove_all(folder); }
    std::string folder = fs::temp_directory_path() / "files_by_size.XXXXXX";
};

int main(int argc, char** argv) {
    const auto made = argc < 2 ? std::make_optional<samples>() : std::nullopt;
    const std::size_t cap = argc > 2 ? std::stoul(argv[2]) : 2'000'000;
    auto jobs = fs::recursive_directory_iterator(made ? made->folder : argv[1]) |
                std::views::filter([](const fs::directory_entry& entry) { return entry.is_regular_file(); }) |
                std::views::transform(line_counter);

    penstock::executor ex;
    long lines = 0, files = 0;
    for (auto& done : penstock::as_completed(ex, jobs, {.limit = 64, .max_weight = cap})) {
        try {
            lines += done.get();
            ++files;
        } catch (const std::exception& error) {
            std::printf("%s\n", error.what());
        }
    }
    std::printf("%ld lines in %ld files; at most %zu bytes at a time\n", lines, files, buffer::most.load());
    if (buffer::most > cap) std::fprintf(stderr, "that is more than %zu\n", cap);
    if (made && files != 200) std::fprintf(stderr, "all but one of 201 files were to be counted\n");
    return buffer::most <= cap && (!made || files == 200) ? 0 : 1;
}
