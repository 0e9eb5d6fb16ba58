/* SPDX-License-Identifier: MIT */
/*
 * What tables each format has, written out, and a domain of every kind to try.
 */
#ifndef TESTS_GEOMETRY_H
#define TESTS_GEOMETRY_H

#include "tests/common.h"

/*
 * The tables of each format and width: levels at first, bytes of the top table and
 * of those below it, from the bits that a level takes.
 */
static const struct geometry {
	const char *format;
	unsigned int width, levels;
	uint64_t top, others;
} geometries[] = {
	{"vtd", 39, 3, 4096, 4096},
	{"vtd", 48, 4, 4096, 4096},
	{"vtd", 57, 5, 4096, 4096},
	{"x86_64", 48, 4, 4096, 4096},
	{"x86_64", 57, 5, 4096, 4096},
	{"amdv1", 21, 1, 4096, 4096},
	{"amdv1", 64, 3, 4096, 4096},
	{"arm64-s1", 25, 2, 4096, 4096}, /* 13 bits: 4 + 9 */
	{"arm64-s1", 48, 4, 4096, 4096},
	{"arm64-s1-16k", 25, 1, 16384, 16384}, /* 11 bits */
	{"arm64-s1-16k", 48, 4, 4096, 16384},  /* 34 bits: 1 + 3 * 11 */
	{"arm64-s1-64k", 25, 1, 4096, 65536},  /* 9 bits */
	{"arm64-s1-64k", 48, 3, 4096, 65536},  /* 32 bits: 6 + 2 * 13 */
	{"arm64-s1-64k", 52, 3, 8192, 65536},  /* 36 bits: 10 + 2 * 13 */
	{"arm64-s2", 25, 2, 4096, 4096},
	{"arm64-s2", 40, 3, 8192, 4096},  /* 28 bits: 10 + 2 * 9 */
	{"arm64-s2", 42, 3, 32768, 4096}, /* 30 bits: 12 + 2 * 9 */
	{"arm64-s2", 48, 4, 4096, 4096},
	{"arm64-s2-16k", 25, 1, 16384, 16384},
	{"arm64-s2-16k", 40, 2, 262144, 16384}, /* 26 bits: 15 + 11 */
	{"arm64-s2-16k", 41, 3, 4096, 16384},   /* 27 bits: 5 + 2 * 11 */
	{"arm64-s2-16k", 48, 3, 32768, 16384},  /* 34 bits: 12 + 2 * 11 */
	{"arm64-s2-64k", 25, 1, 4096, 65536},
	{"arm64-s2-64k", 48, 3, 4096, 65536},
	{"arm64-s2-64k", 52, 3, 8192, 65536},
	{"riscv64", 39, 3, 4096, 4096},
	{"riscv64", 41, 3, 16384, 4096},
	{"riscv64", 48, 4, 4096, 4096},
	{"riscv64", 50, 4, 16384, 4096},
	{"riscv64", 57, 5, 4096, 4096},
	{"riscv64", 59, 5, 16384, 4096},
	{"s390", 42, 3, 16384, 16384}, /* 2048 pointers of 8 bytes; see table_bytes() */
	{"s390", 53, 4, 16384, 16384},
	{"s390", 64, 5, 16384, 16384},
};
#define NR_GEOMETRIES (sizeof(geometries) / sizeof(geometries[0]))

static inline const struct geometry *geometry_of(const struct shape *shape)
{
	for (size_t i = 0; i < NR_GEOMETRIES; i++)
		if (!strcmp(geometries[i].format, shape->format->name) &&
		    geometries[i].width == shape->width)
			return &geometries[i];
	fail_msg("%s of %u bits is not known here", shape->format->name, shape->width);
	return NULL;
}

/* Bytes of one table of a level. */
static inline uint64_t table_bytes(const struct geometry *g, unsigned int level)
{
	if (level + 1 == g->levels)
		return g->top;
	return level || strcmp(g->format, "s390") ? g->others : 2048;
}

struct fixture {
	struct shape shape;
	const struct geometry *geometry;
	uint64_t page;
	uint64_t objects; /* bytes charged for the domain, beside its top table */
	struct mem_cgroup *memcg;
	struct iommu_domain *domain;
};

static inline void begin(struct fixture *f, const struct shape *shape)
{
	*f = (struct fixture){.shape = *shape, .page = smallest_page(shape->format)};
	f->geometry = geometry_of(shape);
	f->memcg = enter_cgroup(NULL);
	f->domain = new_domain(shape);
	f->objects = mem_cgroup_usage(f->memcg) - f->geometry->top;
}

static inline void end(struct fixture *f)
{
	iommu_domain_free(f->domain);
	leave_cgroup(f->memcg);
}

static inline void for_each_shape(void (*fn)(struct fixture *f))
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	assert_int_equal(count, NR_GEOMETRIES);
	for (unsigned int i = 0; i < count; i++) {
		struct fixture f;

		begin(&f, &shapes[i]);
		fn(&f);
		end(&f);
	}
}

#endif
