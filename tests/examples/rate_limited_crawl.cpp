// SPDX-License-Identifier: MIT
// Walks a made-up site: the task that visits a page pushes the links on it that are not known yet. Many visits wait for
// the network at a time, but no more than 50 begin in a second, and no more than 5 at once.
//   rate_limited_crawl [PAGES]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include <penstock/penstock.hpp>

using namespace std::chrono_literals;

/// The network: page n links to the pages 3n + 1 to 3n + 3, as far as they exist, and back to page n / 2.
penstock::task<std::vector<int>> links_of(int page, int pages) {
    co_await penstock::sleep_for(150ms);
    std::vector<int> links{page / 2};
    for (int next = 3 * page + 1; next <= 3 * page + 3 && next < pages; ++next) links.push_back(next);
    co_return links;
}

/// The pages to be visited, each once.
class frontier {
public:
    void add(int page) {
        const std::lock_guard lock(mutex_);
        if (known_.insert(page).second) unvisited_.push(page);
    }
    penstock::feed<int>& unvisited() { return unvisited_; }

private:
    std::mutex mutex_;
    std::unordered_set<int> known_;
    penstock::feed<int> unvisited_;
};

int main(int argc, char** argv) {
    const int pages = argc > 1 ? std::stoi(argv[1]) : 60;
    const penstock::rate pace{.count = 50, .per = 1s, .burst = 5};
    const auto began = std::chrono::steady_clock::now();

    // A visit is counted when the gate has let it in, so a thread that is late can not make the count too high.
    std::atomic<std::size_t> visits{0};
    std::atomic<bool> too_fast{false};
    auto check_pace = [&] {
        const std::size_t count = ++visits;
        const auto passed = std::chrono::steady_clock::now() - began;
        if (count > pace.burst && passed < (count - pace.burst) * (pace.per / pace.count)) too_fast = true;
    };

    frontier site;
    auto visit = [&](int page) -> penstock::task<> {
        check_pace();
        const std::vector<int> links = co_await links_of(page, pages);
        for (const int link : links) site.add(link);
    };

    penstock::executor ex;
    penstock::gate polite(penstock::gate_limits{.starts = pace});
    site.add(0);
    int visited = 0;
    for (auto& done : penstock::as_completed(ex, site.unvisited(), visit, {.limit = 100, .shared = &polite})) {
        done.get();
        ++visited;
    }

    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%d pages in %.2f s\n", visited, took.count());
    if (too_fast) std::fprintf(stderr, "more than 5 + 50 a second began\n");
    if (visited != pages) std::fprintf(stderr, "it was to be %d pages\n", pages);
    return !too_fast && visited == pages ? 0 : 1;
}
