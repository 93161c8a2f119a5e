// SPDX-License-Identifier: MIT
// Walks the web from URL on, at most LIMIT downloads at a time: the links on a page that are not known yet are
// downloaded next. It ends when all pages that can be reached have been. Prints each page's URL.
//   crawl_links LIMIT URL
#include <exception>
#include <iostream>
#include <regex>
#include <string>
#include <unordered_set>
#include <vector>

#include <penstock/penstock.hpp>

#include "downloads.hpp"

/// The absolute links on the same server.
std::vector<std::string> links_of(const std::string& page, const std::string& server) {
    static const std::regex link(R"-(<a href="(/[^"]*)")-");
    std::vector<std::string> found;
    for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at) {
        found.push_back(server + at->str(1));
    }
    return found;
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const int limit = std::stoi(argv[1]);
    const std::string start = argv[2];
    const std::string server = start.substr(0, start.find('/', sizeof "http://" - 1));

    downloads http;
    auto visit = [&](const std::string& url) -> penstock::task<std::vector<std::string>> {
        const std::string page = co_await http.get(url);
        co_return links_of(page, server);
    };

    penstock::executor ex;
    penstock::feed<std::string> urls;
    std::unordered_set<std::string> known{start};
    bool failed = false;
    urls.push(start);
    for (auto& done : penstock::as_completed(ex, urls, visit, limit)) {
        try {
            std::cout << done.input() << '\n';
            for (auto& link : done.get()) {
                if (known.insert(link).second) urls.push(link);
            }
        } catch (const std::exception& error) {
            std::cerr << done.input() << ": " << error.what() << '\n';
            failed = true;
        }
    }
    return failed ? 1 : 0;
}
