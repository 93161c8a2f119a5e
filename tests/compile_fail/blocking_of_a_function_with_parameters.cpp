// expect: blocking\(\) takes a function without parameters
// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

int main() {
    penstock::blocking([](int i) { return i; });
}
