// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include <penstock/executor.hpp>

namespace penstock::inline v0 {
namespace {

std::size_t cpus_in_mask() {
    // A machine with more CPUs than the set has room for makes the call fail with EINVAL: try a larger one.
    for (std::size_t cpus = 1024; cpus <= (1U << 20); cpus *= 2) {
        std::vector<cpu_set_t> set(CPU_ALLOC_SIZE(cpus) / sizeof(cpu_set_t));
        const std::size_t bytes = set.size() * sizeof(cpu_set_t);
        if (sched_getaffinity(0, bytes, set.data()) == 0) {
            return static_cast<std::size_t>(std::max(CPU_COUNT_S(bytes, set.data()), 1));
        }
    }
    return std::max(std::thread::hardware_concurrency(), 1U);
}

/// CPUs by the quota of one control group's folder; nullopt if it has none.
std::optional<double> quota_in(const std::filesystem::path& group) {
    double period = 0;
    if (std::ifstream v2(group / "cpu.max"); v2) {  // "max 100000" or "150000 100000"
        double quota = 0;
        if (v2 >> quota >> period && period > 0) return quota / period;
        return std::nullopt;
    }
    double quota = -1;
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
    if (quota > 0 && period > 0) return quota / period;
    return std::nullopt;
}

/// The smallest quota of `group` and of the groups above it, up to and with `root`.
std::optional<double> quota_up_to(const std::filesystem::path& root, std::filesystem::path group) {
    std::optional<double> least;
    for (;;) {
        if (const auto here = quota_in(group)) least = std::min(least.value_or(*here), *here);
        if (group == root || !group.has_relative_path()) return least;
        group = group.parent_path();
    }
}

/// From /proc/self/cgroup: "0::/path" is v2, "4:cpu,cpuacct:/path" is v1.
std::optional<double> cgroup_quota() {
    std::optional<double> least;
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        std::stringstream controllers(line.substr(first + 1, second - first - 1));
        const std::string relative = line.substr(std::min(second + 2, line.size()));
        bool cpu = controllers.str().empty();
        for (std::string name; std::getline(controllers, name, ',');) cpu = cpu || name == "cpu";
        if (!cpu) continue;
        for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified"}) {
            const std::filesystem::path root = mount;
            // Inside a container the group's path may be the host's, and only the root is there.
            for (const auto& group : {root / relative, root}) {
                std::error_code none;
                if (!std::filesystem::is_directory(group, none)) continue;
                const auto quota = quota_up_to(root, relative.empty() ? root : group);
                if (quota) least = std::min(least.value_or(*quota), *quota);
            }
        }
    }
    return least;
}

}  // namespace

std::size_t usable_cpus() {
    const std::size_t mask = cpus_in_mask();
    const auto quota = cgroup_quota();
    if (!quota) return mask;
    return std::clamp<std::size_t>(static_cast<std::size_t>(std::ceil(*quota)), 1, mask);
}

}  // namespace penstock::inline v0
