// SPDX-License-Identifier: MIT
// Downloads the URLs on its input, at most LIMIT at a time; the input may be endless.
//   download_many_urls LIMIT < urls
#include <cstddef>
#include <exception>
#include <iostream>
#include <ranges>
#include <string>

#include <penstock/penstock.hpp>

#include "downloads.hpp"

int main(int argc, char** argv) {
    const int limit = argc > 1 ? std::stoi(argv[1]) : 100;
    downloads http;
    auto size_of_page = [&](const std::string& url) -> penstock::task<std::size_t> {
        const std::string page = co_await http.get(url);
        co_return page.size();
    };

    penstock::executor ex;
    std::size_t pages = 0;
    std::size_t bytes = 0;
    std::size_t failed = 0;
    auto urls = std::views::istream<std::string>(std::cin);
    for (auto& done : penstock::as_completed(ex, urls, size_of_page, limit)) {
        try {
            bytes += done.get();
            ++pages;
        } catch (const std::exception& error) {
            std::cerr << done.input() << ": " << error.what() << '\n';
            ++failed;
        }
    }
    std::cout << pages << " pages, " << bytes << " bytes, " << failed << " failed\n";
    return failed == 0 ? 0 : 1;
}
