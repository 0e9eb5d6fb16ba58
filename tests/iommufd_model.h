/* SPDX-License-Identifier: MIT */
/*
 * A model of IO address spaces that knows no trees: lists of areas, searched from
 * end to end; and what must be so after each call.
 */
#ifndef TESTS_IOMMUFD_MODEL_H
#define TESTS_IOMMUFD_MODEL_H

#include <uiommu/mm.h>

#include "iommufd/pages.h"
#include "tests/iommufd.h"

#define IOVA_BASE   (32ul << 20) /* in the aperture of every format */
#define IOVA_PAGES  48
#define IOVA_LAST   (IOVA_BASE + IOVA_PAGES * PAGE - 1)
#define USER_PAGES  40
#define HOLE_PAGE   30 /* of two pages that cannot be touched */
#define CONST_PAGE  36 /* of two pages that can only be read */
#define HALF        (PAGE / 2)
#define MAX_AREAS   64
#define MAX_GROUPS  512
#define MAX_PINS    6
#define MAX_DOMAINS 2
#define LIMIT_PAGES 40
#define HUGE_PAGES  512

struct area {
	uint64_t iova, length, uaddr;
	int prot;
	unsigned int group; /* of areas that share pages */
};

struct pin {
	uint64_t iova, length;
};

struct space {
	struct iommufd_ioas *ioas;
	uint32_t id;
	struct area areas[MAX_AREAS]; /* in no order */
	unsigned int nr_areas;
	struct iommu_domain *domains[MAX_DOMAINS];
	uint64_t pgsizes[MAX_DOMAINS];
	struct iommufd_access *access;
	bool attached, small, allowed;
	struct pin pins[MAX_PINS];
	unsigned int nr_pins;
};

/* A map, whose pages its copies share. */
struct group {
	uint64_t first, last; /* user pages */
	bool writable;
	unsigned int pins[USER_PAGES + 2]; /* by accesses, once per equal range */
};

static struct world {
	struct fd fd;
	char *user;
	struct space spaces[2];
	struct group groups[MAX_GROUPS];
	unsigned int nr_groups;
	uint64_t seed;
} world;

static inline uint64_t pick(uint64_t limit)
{
	return random_below(&world.seed, limit);
}

static inline uint64_t user_index(uint64_t uaddr)
{
	return (uaddr - (uintptr_t)world.user) / PAGE;
}

static inline bool has_domain(const struct space *space)
{
	return space->domains[0] || space->domains[1];
}

/* ---- the memory ---- */

/* USER_PAGES, @offset pages after a multiple of 2 MiB: what alignment an IOVA gets hangs on it. */
static inline char *map_aligned(uint64_t offset)
{
	char *reserved = map_pages(2 * HUGE_PAGES + USER_PAGES);
	uint64_t huge = HUGE_PAGES * PAGE;
	char *user = (char *)(((uintptr_t)reserved + huge - 1) & -huge) + offset * PAGE;
	char *end = user + (USER_PAGES + 1) * PAGE;

	if (user > reserved)
		assert_int_equal(munmap(reserved, user - reserved), 0);
	assert_int_equal(munmap(end, reserved + (2 * HUGE_PAGES + USER_PAGES + 1) * PAGE - end), 0);
	assert_int_equal(mprotect(end - PAGE, PAGE, PROT_NONE), 0);
	return user;
}

/* ---- the model ---- */

static inline uint64_t model_alignment(const struct space *space)
{
	uint64_t alignment = space->small ? PAGE : 1;

	for (unsigned int i = 0; i < MAX_DOMAINS; i++)
		if (space->domains[i] && space->pgsizes[i] > alignment)
			alignment = space->pgsizes[i];
	return space->attached ? PAGE : alignment;
}

static inline struct area *model_at(struct space *space, uint64_t iova)
{
	for (unsigned int i = 0; i < space->nr_areas; i++)
		if (iova - space->areas[i].iova < space->areas[i].length)
			return &space->areas[i];
	return NULL;
}

static inline bool overlaps(struct space *space, uint64_t iova, uint64_t length)
{
	for (unsigned int i = 0; i < space->nr_areas; i++)
		if (space->areas[i].iova < iova + length &&
		    iova < space->areas[i].iova + space->areas[i].length)
			return true;
	return false;
}

static inline bool area_has_page(const struct area *area, uint64_t index)
{
	return user_index(area->uaddr) <= index &&
	       index <= user_index(area->uaddr + area->length - 1);
}

static inline bool is_pinned(unsigned int group, uint64_t index)
{
	if (world.groups[group].pins[index])
		return true;
	for (unsigned int s = 0; s < 2; s++) {
		struct space *space = &world.spaces[s];

		for (unsigned int i = 0; has_domain(space) && i < space->nr_areas; i++)
			if (space->areas[i].group == group &&
			    area_has_page(&space->areas[i], index))
				return true;
	}
	return false;
}

static inline unsigned int pin_count(uint64_t index)
{
	unsigned int count = 0;

	for (unsigned int group = 0; group < world.nr_groups; group++)
		count += is_pinned(group, index);
	return count;
}

static inline unsigned int model_locked(void)
{
	unsigned int count = 0;

	for (uint64_t index = 0; index < USER_PAGES; index++)
		count += pin_count(index);
	return count;
}

static inline bool is_bad(uint64_t index, bool writable)
{
	return index - HOLE_PAGE < 2 || (writable && index - CONST_PAGE < 2);
}

/* What pinning pages does, given what is @locked; adds what it locks. */
static inline int model_pin(unsigned int group, uint64_t uaddr, uint64_t length,
			    unsigned int *locked)
{
	uint64_t last = user_index(uaddr + length - 1);
	unsigned int fresh = 0;
	bool bad = false;

	for (uint64_t index = user_index(uaddr); index <= last; index++) {
		if (is_pinned(group, index))
			continue;
		fresh++;
		bad |= is_bad(index, world.groups[group].writable);
	}
	if (*locked + fresh > LIMIT_PAGES)
		return -ENOMEM;
	*locked += fresh;
	return bad ? -EFAULT : 0;
}

/* ---- what the kernel's side must agree with ---- */

static inline void check_domain(struct space *space, struct iommu_domain *domain)
{
	for (uint64_t iova = IOVA_BASE - PAGE; iova <= IOVA_LAST + PAGE; iova += HALF) {
		struct area *area = model_at(space, iova);
		uint64_t expected = area ? area->uaddr + (iova - area->iova) : 0;
		uint64_t found = iommu_iova_to_phys(domain, iova);

		if (area && world.fd.ctx->config.phys != IOMMUFD_PHYS_IDENTITY) {
			uint64_t paddr = 0;

			assert_int_equal(iommufd_user_to_phys(world.fd.ctx, expected, &paddr), 0);
			expected = paddr;
		}
		if (found != expected)
			fail_msg("iova %#lx: %#lx, not %#lx", iova, found, expected);
	}
}

static inline void check_world(void)
{
	for (unsigned int s = 0; s < 2; s++) {
		struct space *space = &world.spaces[s];

		assert_int_equal(space->ioas->iopt.iova_alignment, model_alignment(space));
		assert_int_equal(space->ioas->iopt.nr_areas, space->nr_areas);
		for (unsigned int i = 0; i < MAX_DOMAINS; i++)
			if (space->domains[i])
				check_domain(space, space->domains[i]);
	}
	for (uint64_t index = 0; index < USER_PAGES; index++) {
		uint64_t uaddr = (uintptr_t)world.user + index * PAGE;

		assert_int_equal(iopt_pages_pin_count(uaddr), pin_count(index));
	}
}

/* Let an allocation of the coming call fail, or not. */
static inline void inject(void)
{
	if (!pick(3))
		uiommu_fail_nth(1 + pick(6), false);
}

/* Compare the result of a call with what the model expects; true if it had its effect. */
static inline bool judge(const char *what, int got, int expected)
{
	bool failed = uiommu_fail_nth(0, false);

	if (got != expected && !(failed && got == -ENOMEM))
		fail_msg("%s: %d, not %d", what, got, expected);
	return !got;
}

/* For what cannot fail. */
static inline void judge_no_allocation(void)
{
	assert_false(uiommu_fail_nth(0, false));
}

#endif
