// expect: post\(\) takes a function without parameters
// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

int main() {
    penstock::executor ex;
    ex.post([](int) {});
}
