// expect: what the job gives does not convert to the type of the any_job
// SPDX-License-Identifier: MIT
#include <string>

#include <penstock/penstock.hpp>

int main() {
    penstock::any_job<std::string> job([] { return 1.5; });
}
