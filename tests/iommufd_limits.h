/* SPDX-License-Identifier: MIT */
/*
 * A context with a memory.max, and a step to be repeated until it is reached.
 */
#ifndef TESTS_IOMMUFD_LIMITS_H
#define TESTS_IOMMUFD_LIMITS_H

#include "tests/iommufd_rig.h"

#define BUDGET (1ULL << 20)

/* Run @step until it says no: how often it went well. What is charged never passes the limit. */
static inline unsigned int exhaust(struct rig *rig, int (*step)(struct rig *rig, unsigned int nth))
{
	unsigned int nth = 0;
	int rc;

	while (!(rc = step(rig, nth))) {
		assert_true(mem_cgroup_usage(rig->memcg) <= BUDGET);
		nth++;
	}
	assert_int_equal(rc, -ENOMEM);
	return nth;
}

static inline void budget_begin(struct rig *rig)
{
	rig_begin(rig, IOMMUFD_PHYS_SCATTERED);
	cgroup_limit(rig->memcg, BUDGET);
}

#endif
