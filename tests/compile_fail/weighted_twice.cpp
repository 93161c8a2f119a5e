// expect: a job has one weight
// SPDX-License-Identifier: MIT
#include <penstock/penstock.hpp>

int main() { penstock::weighted(2U, penstock::weighted(3U, [] { return 1; })); }
