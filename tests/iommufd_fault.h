/* SPDX-License-Identifier: MIT */
/*
 * Calls with the n-th allocation failing, for every n until none fails; once, and
 * from then on. A call that fails says -ENOMEM and leaves everything as it was, to
 * the byte that is charged; it does its work when it is repeated; and in the end
 * nothing is charged.
 */
#ifndef TESTS_IOMMUFD_FAULT_H
#define TESTS_IOMMUFD_FAULT_H

#include "tests/iommufd_rig.h"

enum {
	HWPT,
	OTHER_HWPT,
	OTHER_IOAS,
	FAULT,
	NEW
};

struct scenario {
	const char *name;
	bool needs_nothing; /* never allocates */
	void (*prepare)(struct rig *rig);
	int (*act)(struct rig *rig);
	bool splits; /* may leave an area in two */
};

/* ---- what there is before ---- */

static inline void nothing(struct rig *rig)
{
}

/* Pieces of all sizes, on the two sides of a table's edge and far away. */
static inline void fill(struct rig *rig)
{
	assert_int_equal(rig_map(rig, 0, 0, PAGE), 0);
	assert_int_equal(rig_map(rig, HUGE - 3 * PAGE, 7 * PAGE, 6 * PAGE), 0);
	assert_int_equal(rig_map(rig, 2 * HUGE, 0, HUGE), 0);
	assert_int_equal(rig_map(rig, 1ULL << 39, 5 * PAGE, 9 * PAGE), 0);
}

static inline void hwpt(struct rig *rig)
{
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, 0, &rig->ids[HWPT]), 0);
}

static inline void filled_hwpt(struct rig *rig)
{
	fill(rig);
	hwpt(rig);
}

static inline void two_hwpts(struct rig *rig)
{
	filled_hwpt(rig);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				      &rig->ids[OTHER_HWPT]),
			 0);
}

static inline void attached(struct rig *rig)
{
	uint32_t id;

	two_hwpts(rig);
	id = rig->ids[HWPT];
	assert_int_equal(iommufd_device_attach(rig->idev, &id), 0);
}

static inline void other_ioas(struct rig *rig)
{
	attached(rig);
	rig->ids[OTHER_IOAS] = rig_new_ioas(rig);
}

static inline void other_ioas_with_hwpt(struct rig *rig)
{
	other_ioas(rig);
	assert_int_equal(rig_new_hwpt(rig, rig->ids[OTHER_IOAS], 0, &rig->ids[NEW]), 0);
}

/* ---- the test ---- */

/* What cuts may have cut at one end before it fails: no device can tell. */
static inline void assert_as_before(const struct scenario *scenario, unsigned int nth,
				    struct picture before, struct picture after)
{
	if (scenario->splits) {
		after.areas = before.areas;
		after.usage = before.usage;
	}
	if (memcmp(&before, &after, sizeof(before)))
		fail_msg("%s: not as before, with allocation %u failing: %u objects, %u areas, "
			 "%u bytes; now %u objects, %u areas, %u bytes",
			 scenario->name, nth, (unsigned int)before.objects,
			 (unsigned int)before.areas, (unsigned int)before.usage,
			 (unsigned int)after.objects, (unsigned int)after.areas,
			 (unsigned int)after.usage);
}

/* Returns whether an allocation failed. */
static inline bool run(const struct scenario *scenario, enum iommufd_phys_mode phys,
		       unsigned int nth, bool sticky)
{
	struct picture before;
	struct rig rig;
	bool hit;
	int rc;

	rig_begin(&rig, phys);
	scenario->prepare(&rig);
	before = rig_picture(&rig);
	uiommu_fail_nth(nth, sticky);
	rc = scenario->act(&rig);
	hit = uiommu_fail_nth(0, false);
	if (rc && (!hit || rc != -ENOMEM))
		fail_msg("%s: %d with allocation %u failing", scenario->name, rc, nth);
	if (rc) {
		assert_as_before(scenario, nth, before, rig_picture(&rig));
		assert_int_equal(scenario->act(&rig), 0);
	}
	rig_end(&rig);
	return hit;
}

static inline void every_failure_of(const struct scenario *scenario, enum iommufd_phys_mode phys)
{
	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		unsigned int nth = 1;

		while (run(scenario, phys, nth, sticky))
			nth++;
		if (scenario->needs_nothing != (nth == 1))
			fail_msg("%s: %u allocations", scenario->name, nth - 1);
	}
}

static inline void every_failure_of_all(const struct scenario *scenarios, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		every_failure_of(&scenarios[i], IOMMUFD_PHYS_SCATTERED);
		every_failure_of(&scenarios[i], IOMMUFD_PHYS_IDENTITY);
	}
}

#endif
