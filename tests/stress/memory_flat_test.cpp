// SPDX-License-Identifier: MIT
/// C10, S8: memory does not grow with the number of tasks. Measured from outside, in processes that do nothing else:
/// the same stream of empty tasks, once a hundred times as long.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <unistd.h>

#include "stress/support.hpp"

namespace stress {
namespace {

class MemoryFlat : public Scenario {};

/// The most that this process has ever had in memory, in KiB. (Not getrusage: its figure for a child includes what the
/// parent had when it started the child.)
std::size_t peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
    }
    return 0;
}

constexpr const char* child_variable = "PENSTOCK_FLAT_TASKS";

/// Runs this very program with so many tasks, and reads what it prints.
std::size_t peak_of_child(std::size_t n, const char* test) {
    std::string self(4096, '\0');
    self.resize(static_cast<std::size_t>(std::max<ssize_t>(readlink("/proc/self/exe", self.data(), self.size()), 0)));
    std::ostringstream command;
    command << child_variable << '=' << n << " '" << self << "' --gtest_filter=" << test;
    const std::unique_ptr<FILE, int (*)(FILE*)> output(popen(command.str().c_str(), "r"), pclose);
    std::size_t peak = 0;
    std::string line(256, '\0');
    while (output && std::fgets(line.data(), static_cast<int>(line.size()), output.get())) {
        watchdog::progress();
        if (line.starts_with("peak ")) peak = std::stoul(line.substr(5));
    }
    return peak;
}

/// `most`: how many tasks there are the second time.
template <class Task>
void compare(Task task, std::size_t most, std::size_t limit, penstock::order order, bool help, const char* test) {
    if (under_sanitizer) GTEST_SKIP() << "a sanitizer's own memory grows";
    if (const std::size_t n = number_from_environment(child_variable, 0); n != 0) {
        penstock::executor ex(2);
        std::size_t count = 0;
        for (auto& done :
             penstock::as_completed(ex, numbers(n), task, {.limit = limit, .order = order, .help = help})) {
            count += done.has_value();
            if (count % 1024 == 0) watchdog::progress();
            if (count % 4096 == 0) {  // the parent's watchdog counts lines
                std::puts("working");
                std::fflush(stdout);
            }
        }
        EXPECT_EQ(count, n);
        std::printf("peak %zu\n", peak_kib());
        return;
    }
    const std::size_t few = peak_of_child(most / 100, test);
    const std::size_t many = peak_of_child(most, test);
    ASSERT_GT(few, 0U);
    ASSERT_GT(many, 0U);
    EXPECT_LE(many, few + 1024) << "KiB";
    testing::Test::RecordProperty("few_kib", static_cast<int>(few));
    testing::Test::RecordProperty("many_kib", static_cast<int>(many));
}

const auto empty_task = [](std::size_t) {};
/// A few at a time: a thread's stack grows by a page or two when it happens to do what takes most of it, and that may
/// come late.
const auto blocking_task = [](std::size_t) { return penstock::blocking([] {}); };

TEST_F(MemoryFlat, AHundredTimesTheTasksNeedNoMoreMemoryInCompletionOrder) {
    compare(empty_task, 10'000'000, 64, penstock::order::completion, true, "MemoryFlat.*TasksNeed*CompletionOrder");
}
TEST_F(MemoryFlat, AHundredTimesTheTasksNeedNoMoreMemoryInSubmissionOrder) {
    compare(empty_task, 10'000'000, 64, penstock::order::submission, true, "MemoryFlat.*TasksNeed*SubmissionOrder");
}
TEST_F(MemoryFlat, AHundredTimesTheTasksNeedNoMoreMemoryWithoutHelp) {
    compare(empty_task, 2'000'000, 64, penstock::order::completion, false, "MemoryFlat.*TasksNeed*WithoutHelp");
}
TEST_F(MemoryFlat, AHundredTimesTheBlockingJobsNeedNoMoreMemoryInCompletionOrder) {
    compare(blocking_task, 200'000, 8, penstock::order::completion, true, "MemoryFlat.*JobsNeed*CompletionOrder");
}
TEST_F(MemoryFlat, AHundredTimesTheBlockingJobsNeedNoMoreMemoryInSubmissionOrder) {
    compare(blocking_task, 200'000, 8, penstock::order::submission, true, "MemoryFlat.*JobsNeed*SubmissionOrder");
}

}  // namespace
}  // namespace stress
