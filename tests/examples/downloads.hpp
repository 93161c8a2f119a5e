// SPDX-License-Identifier: MIT
// HTTP for tasks: one thread drives all transfers, through libcurl's multi interface. A task that downloads holds no
// thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include <penstock/penstock.hpp>

class downloads {
public:
    downloads() : multi_(curl_multi_init()) {
        // Connections are kept for the next transfers, however few run at the moment.
        curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 10'000L);
        thread_ = std::thread([this] { run(); });
    }
    downloads(const downloads&) = delete;
    downloads& operator=(const downloads&) = delete;
    /// Breaks off what still runs; who waits for it gets broken_task.
    ~downloads() {
        {
            const std::lock_guard guard(mutex_);
            ending_ = true;
        }
        curl_multi_wakeup(multi_);
        thread_.join();
        curl_multi_cleanup(multi_);
    }

    /// co_await get(url): the page. Throws if there is none.
    penstock::task<std::string> get(std::string url) {
        auto started = std::make_unique<transfer>();
        auto finished = started->finished.wait();  // before the thread has it, which destroys it
        curl_easy_setopt(started->handle.get(), CURLOPT_URL, url.c_str());
        {
            const std::lock_guard guard(mutex_);
            added_.push_back(std::move(started));
        }
        curl_multi_wakeup(multi_);
        co_return co_await finished;
    }

private:
    struct transfer {
        transfer() {
            curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
            curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &append);
            curl_easy_setopt(handle.get(), CURLOPT_FAILONERROR, 1L);
            curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
        }
        static std::size_t append(const char* bytes, std::size_t, std::size_t count, void* body) {
            static_cast<std::string*>(body)->append(bytes, count);
            return count;
        }
        void finish(CURLcode result) {
            if (result == CURLE_OK) {
                finished.set_value(std::move(body));
            } else {
                finished.set_exception(std::make_exception_ptr(std::runtime_error(curl_easy_strerror(result))));
            }
        }
        std::unique_ptr<CURL, void (*)(CURL*)> handle{curl_easy_init(), curl_easy_cleanup};
        std::string body;
        penstock::completion_source<std::string> finished;
    };

    void run() {
        std::map<CURL*, std::unique_ptr<transfer>> running;
        while (take_added(running)) {
            int count = 0;
            curl_multi_perform(multi_, &count);
            while (const CURLMsg* message = curl_multi_info_read(multi_, &count)) {
                const auto ended = running.extract(message->easy_handle);
                const CURLcode result = message->data.result;
                curl_multi_remove_handle(multi_, ended.key());  // its connection is free for the next one
                ended.mapped()->finish(result);
            }
            curl_multi_poll(multi_, nullptr, 0, 60'000, nullptr);
        }
        for (const auto& [handle, broken_off] : running) curl_multi_remove_handle(multi_, handle);
    }
    bool take_added(std::map<CURL*, std::unique_ptr<transfer>>& running) {
        const std::lock_guard guard(mutex_);
        for (auto& each : added_) {
            CURL* const handle = each->handle.get();
            curl_multi_add_handle(multi_, handle);
            running.emplace(handle, std::move(each));
        }
        added_.clear();
        return !ending_;
    }

    CURLM* multi_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<transfer>> added_;
    bool ending_ = false;
    std::thread thread_;
};
