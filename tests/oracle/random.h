/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ORACLE_RANDOM_H
#define TESTS_ORACLE_RANDOM_H

#include "tests/oracle/run.h"

/*
 * At least @count accesses, then each bit of @items items; what was found stands
 * in @run, whose test, peer and seed are set.
 */
void run_case(struct run *run, uint64_t count, unsigned int items);

double seconds_now(void);

#endif
