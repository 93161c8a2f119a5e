// expect: a task<U> becomes an any_job<U>, and no other
// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

int main() {
    penstock::any_job<long> job([]() -> penstock::task<int> { co_return 1; });
}
