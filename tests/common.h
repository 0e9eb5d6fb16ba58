/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the core share: random numbers, the shapes of tables to try,
 * memory cgroups with their figures.
 */
#ifndef TESTS_COMMON_H
#define TESTS_COMMON_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>

#define RW (IOMMU_READ | IOMMU_WRITE)

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZED
#endif
#endif

/*
 * Of so many random rounds, those for which there is time on an emulated processor
 * or under ASan. Not fewer under TSan, which is given nothing but the tests of
 * threads, and finds more the longer they run.
 */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define SCALED(n) (((n) + 9) / 10)
#elif defined(ADDRESS_SANITIZED)
#define SCALED(n) (((n) + 2) / 3)
#else
#define SCALED(n) (n)
#endif

/* xorshift64*: the same numbers everywhere from one seed. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return (random_next(state) >> 11) % limit;
}

/* One kind of tables: a format with one of its address widths. */
struct shape {
	const struct iommu_format *format;
	unsigned int width;
};

#define MAX_SHAPES 64

/* Widths between the narrowest and the widest that make tables of another kind. */
static const struct {
	const char *format;
	unsigned int width;
} more_widths[] = {
	{"arm64-s2", 40},                                    /* 2 top tables joined */
	{"arm64-s2", 42},                                    /* 8 */
	{"arm64-s2-16k", 40},                                /* 16 */
	{"arm64-s2-16k", 41},                                /* not joined */
	{"riscv64", 41},                                     /* a top table of 16 KiB */
	{"riscv64", 50},      {"riscv64", 57}, {"s390", 53}, /* from a region-second table down */
};

/* Every format with its narrowest, default and widest addresses, and some more. */
static inline unsigned int list_shapes(struct shape shapes[MAX_SHAPES])
{
	const struct iommu_format *format = NULL;
	unsigned int count = 0;

	while ((format = iommu_format_next(format))) {
		unsigned int widths[] = {format->width_min, format->width_default,
					 format->width_max};

		for (unsigned int i = 0; i < 3 && count < MAX_SHAPES; i++)
			if (!i || widths[i] != widths[i - 1])
				shapes[count++] = (struct shape){format, widths[i]};
	}
	for (size_t i = 0; i < sizeof(more_widths) / sizeof(more_widths[0]); i++) {
		format = iommu_format_find(more_widths[i].format);
		if (format && count < MAX_SHAPES)
			shapes[count++] = (struct shape){format, more_widths[i].width};
	}
	return count;
}

static inline bool is_family(const struct iommu_format *format, const char *family)
{
	return !strcmp(format->family, family);
}

static inline bool is_arm64(const struct iommu_format *format)
{
	return !strncmp(format->family, "arm64-", 6);
}

/* Bits of the physical addresses that a leaf can hold. */
static inline unsigned int paddr_bits(const struct iommu_format *format)
{
	if (is_arm64(format))
		return format->granule == 65536 ? 52 : 48;
	if (is_family(format, "riscv64"))
		return 56;
	return is_family(format, "s390") ? 64 : 52;
}

static inline uint64_t smallest_page(const struct iommu_format *format)
{
	return format->pgsizes & -format->pgsizes;
}

static inline struct iommu_domain *alloc_domain(const struct shape *shape,
						enum iommu_domain_type type, gfp_t gfp)
{
	struct iommu_domain_params params = {
		.type = type,
		.format = shape->format->name,
		.address_width = shape->width,
	};

	return iommu_domain_alloc(&params, gfp);
}

/* What one table of the lowest level maps: 256 pages on s390, else a page of items. */
static inline uint64_t lowest_table_span(const struct iommu_format *format)
{
	uint64_t page = smallest_page(format);

	return page * (is_family(format, "s390") ? 256 : page / 8);
}

/* A domain of GFP_KERNEL_ACCOUNT that must be had. */
static inline struct iommu_domain *new_domain(const struct shape *shape)
{
	struct iommu_domain *domain =
		alloc_domain(shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	return domain;
}

/* One line of memory.stat. */
static inline uint64_t cgroup_stat(struct mem_cgroup *memcg, const char *key)
{
	char text[4096];
	char *line;

	assert_true(mem_cgroup_read(memcg, "memory.stat", text, sizeof(text)) > 0);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t length = strlen(key);

		if (!strncmp(line, key, length) && line[length] == ' ')
			return strtoull(line + length, NULL, 10);
	}
	fail_msg("memory.stat has no %s", key);
	return 0;
}

/*
 * What a cgroup is charged for a domain: @objects bytes, not tables, and @tables
 * bytes of tables, which on s390 are objects as well.
 */
static inline void assert_cgroup_has(struct mem_cgroup *memcg, const struct iommu_format *format,
				     uint64_t objects, uint64_t tables)
{
	bool as_objects = is_family(format, "s390");

	assert_int_equal(mem_cgroup_usage(memcg), objects + tables);
	assert_int_equal(cgroup_stat(memcg, "sec_pagetables"), as_objects ? 0 : tables);
	assert_int_equal(cgroup_stat(memcg, "slab"), objects + (as_objects ? tables : 0));
}

static inline void assert_cgroup_empty(struct mem_cgroup *memcg)
{
	assert_int_equal(mem_cgroup_usage(memcg), 0);
	assert_int_equal(cgroup_stat(memcg, "kernel"), 0);
	assert_int_equal(cgroup_stat(memcg, "sec_pagetables"), 0);
	assert_int_equal(cgroup_stat(memcg, "slab"), 0);
}

/* Set memory.max to @bytes, or to "max" for ~0. */
static inline void cgroup_limit(struct mem_cgroup *memcg, uint64_t bytes)
{
	char text[32] = "max";

	if (bytes != ~0ULL)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	assert_int_equal(mem_cgroup_write(memcg, "memory.max", text), 0);
}

/* A new cgroup that is the calling thread's active one. */
static inline struct mem_cgroup *enter_cgroup(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg = mem_cgroup_create(parent);

	assert_non_null(memcg);
	mem_cgroup_set_active(memcg);
	return memcg;
}

/* Everything that was charged must be gone. */
static inline void leave_cgroup(struct mem_cgroup *memcg)
{
	assert_cgroup_empty(memcg);
	mem_cgroup_set_active(NULL);
	mem_cgroup_put(memcg);
}

static inline struct iommu_domain_info domain_info(struct iommu_domain *domain)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(domain, &info);
	return info;
}

static inline uint64_t count_tables(struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);
	uint64_t sum = 0;

	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		sum += info.tables[level];
	return sum;
}

#endif
