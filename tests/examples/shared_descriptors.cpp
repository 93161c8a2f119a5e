// SPDX-License-Identifier: MIT
// One thread measures files: each task opens one. Another thread copies them: each task opens two. Whatever the limits
// of the two streams, both together never have more than DESCRIPTORS files open.
//   shared_descriptors [DESCRIPTORS]    at least 2
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <penstock/penstock.hpp>

namespace fs = std::filesystem;

/// Counts open files: it begins before its file is opened, and ends when that is closed.
struct descriptor {
    static inline std::atomic<int> open{0}, most{0};
    descriptor() {
        const int now = ++open;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a slow disk
    }
    ~descriptor() { --open; }
};
template <class Stream>
struct opened : private descriptor, public Stream {
    explicit opened(const fs::path& name) : Stream(name) { this->exceptions(Stream::failbit | Stream::badbit); }
};

long size_of(const fs::path& name) { return opened<std::ifstream>(name).seekg(0, std::ios::end).tellg(); }

long copy(const fs::path& name) {
    opened<std::ifstream> from(name);
    opened<std::ofstream> to(name.string() + ".copy");
    to << std::string(std::istreambuf_iterator<char>(from), {});
    return to.tellp();
}

long sum(auto stream) {
    long all = 0;
    for (auto& done : stream) all += done.get();
    return all;
}

int main(int argc, char** argv) {
    const int cap = argc > 1 ? std::stoi(argv[1]) : 10;
    std::string folder = fs::temp_directory_path() / "shared_descriptors.XXXXXX";
    if (!mkdtemp(folder.data())) return 2;
    std::vector<fs::path> files;
    for (int i = 0; i < 500; ++i) files.push_back(fs::path(folder) / std::to_string(i));
    for (const auto& name : files) std::ofstream(name) << std::string(10'000, '-');

    penstock::executor ex;
    penstock::gate descriptors(penstock::gate_limits{.weight = static_cast<std::size_t>(cap)});
    const penstock::options settings{.limit = 50, .shared = &descriptors};
    auto to_measure = [](const fs::path& name) { return penstock::blocking([name] { return size_of(name); }); };
    auto to_copy = [](const fs::path& name) {
        return penstock::weighted(2, penstock::blocking([name] { return copy(name); }));
    };
    auto copied = std::async(std::launch::async, [&] {
        return sum(penstock::as_completed(ex, files | std::views::transform(to_copy), settings));
    });
    const long measured = sum(penstock::as_completed(ex, files, to_measure, settings));
    const bool complete = copied.get() == 5'000'000 && measured == 5'000'000;
    fs::remove_all(folder);

    const int most = descriptor::most;
    std::printf("%ld bytes measured and copied, with at most %d files open\n", measured, most);
    if (most > cap) std::fprintf(stderr, "there were to be no more than %d\n", cap);
    if (!complete) std::fprintf(stderr, "that is not all of them\n");
    return complete && most <= cap ? 0 : 1;
}
