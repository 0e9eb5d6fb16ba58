/* SPDX-License-Identifier: MIT */
/* What the two walkers of Arm's formats have in common. */
#ifndef TESTS_ORACLE_ARM_H
#define TESTS_ORACLE_ARM_H

#include "tests/oracle/oracle.h"

/* Log2 of the case's granule: 12, 14 or 16. */
unsigned int arm_granule_lg2(const struct oracle_case *test);

bool arm_is_stage2(const struct oracle_case *test);

/* As TG0 has it in TCR_EL1, VTCR_EL2 and a context descriptor. */
unsigned int arm_tg0(unsigned int granule_lg2);

/* Log2 of what a leaf spans that was found at @level, counted from 0 at the lowest. */
unsigned int arm_leaf_lg2(unsigned int granule_lg2, unsigned int level, uint64_t item);

/* Why no walker by the book notices that bit, whatever the stage; or NULL. */
const char *arm_ignores(const struct oracle_item *item, unsigned int bit);

#endif
