/* SPDX-License-Identifier: MIT */
/*
 * What the two peers of x86-64 tables share.
 */
#ifndef TESTS_ORACLE_X86_64_H
#define TESTS_ORACLE_X86_64_H

#include "tests/oracle/oracle.h"

/* As peer->ignores, by the book. */
const char *x86_64_ignores(const struct oracle_item *item, unsigned int bit);

#endif
