// expect: no matching function for call to .*as_completed
// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    auto stream = penstock::as_completed(
        ex, [] { return 1; }, 1);
}
