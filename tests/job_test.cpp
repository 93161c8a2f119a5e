// SPDX-License-Identifier: MIT
/// What counts as a job, and what it gives; and that each kind runs.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <vector>

#include <penstock/penstock.hpp>

#include "support/contract_test.hpp"

namespace {

using penstock::cpu_job;
using penstock::job_result_t;
using support::tracked_unique;
using support::tracked_value;

struct const_only {
    int operator()() const { return 1; }
};
struct mutable_only {
    int calls = 0;
    int operator()() { return ++calls; }
};
struct once_only {
    tracked_unique<int> held;
    int operator()() && { return held.value; }
};
struct with_token {
    bool operator()(std::stop_token token) const { return token.stop_possible(); }
};
struct with_or_without {
    int operator()() const { return 0; }
    int operator()(const std::stop_token&) const { return 1; }
};
struct needs_input {
    int operator()(int) const { return 1; }
};

static_assert(cpu_job<const_only> && cpu_job<mutable_only> && cpu_job<once_only> && cpu_job<with_token>);
static_assert(cpu_job<int (*)()> && cpu_job<std::function<void()>> && cpu_job<void (*)(std::stop_token)>);
static_assert(!cpu_job<needs_input> && !cpu_job<int> && !cpu_job<int (&)()> && !cpu_job<std::string>);
static_assert(std::is_same_v<job_result_t<const_only>, int>);
static_assert(std::is_same_v<job_result_t<with_token>, bool>);
static_assert(std::is_same_v<job_result_t<std::function<void()>>, void>);
static_assert(std::is_same_v<job_result_t<const std::string (*)()>, std::string>, "without const");

class Job : public support::contract_test {
protected:
    template <class JobType, class... Args>
    auto results_of_ten(Args... args) {
        int left = 10;
        auto stream = penstock::as_completed(
            ex,
            [&]() -> std::optional<JobType> {
                if (left-- == 0) return std::nullopt;
                return std::optional<JobType>(std::in_place, args...);
            },
            with(3));
        std::vector<job_result_t<JobType>> found;
        while (auto done = stream.next()) found.push_back(done->get());
        return found;
    }
};
INSTANTIATE_TEST_SUITE_P(, Job, ::testing::ValuesIn(support::every_width()), support::name_of_setting);

TEST_P(Job, IsAnyInvocable) {
    EXPECT_EQ(results_of_ten<const_only>(), std::vector<int>(10, 1));
    EXPECT_EQ(results_of_ten<mutable_only>(), std::vector<int>(10, 1)) << "each is called once";
    EXPECT_EQ(results_of_ten<int (*)()>([] { return 3; }), std::vector<int>(10, 3));
    EXPECT_EQ(results_of_ten<std::function<int()>>([] { return 4; }), std::vector<int>(10, 4));
}

TEST_P(Job, GetsTheStreamsTokenIfItAcceptsOne) {
    EXPECT_EQ(results_of_ten<with_token>(), std::vector<bool>(10, true));
    EXPECT_EQ(results_of_ten<with_or_without>(), std::vector<int>(10, 1));
}

TEST_P(Job, IsCalledAsAnRvalueIfThatIsTheOnlyWay) {
    std::vector<once_only> jobs;
    for (int i = 0; i < 10; ++i) jobs.push_back({tracked_unique<int>(6)});
    auto stream = penstock::as_completed(ex, std::move(jobs), with(3));
    std::size_t count = 0;
    while (auto done = stream.next()) {
        EXPECT_EQ(done->get(), 6);
        ++count;
    }
    EXPECT_EQ(count, 10U);
}

TEST_P(Job, IsOneTypeOrATypeErasedOne) {
    std::vector<std::function<std::string()>> jobs{[] { return std::string("a"); }, [] { return std::string(3, 'b'); }};
    auto settings = with(1);
    settings.order = penstock::order::submission;
    auto stream = penstock::as_completed(ex, jobs, settings);
    EXPECT_EQ(stream.next()->get(), "a");
    EXPECT_EQ(stream.next()->get(), "bbb");
}

TEST_P(Job, MayBeCalledManyTimesAsAnElementOfALvalueRange) {
    std::vector<mutable_only> jobs(10);
    for (int round = 0; round < 2; ++round) {
        auto stream = penstock::as_completed(ex, jobs, with(3));
        while (auto done = stream.next()) EXPECT_EQ(done->get(), 1) << "each job is copied into the stream";
    }
    for (const auto& job : jobs) EXPECT_EQ(job.calls, 0);
}

}  // namespace
