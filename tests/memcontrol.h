/* SPDX-License-Identifier: MIT */
/*
 * What the tests of memory cgroups share: expecting texts, setting limits.
 */
#ifndef TESTS_MEMCONTROL_H
#define TESTS_MEMCONTROL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>

#include "mm/memcontrol.h"

#define PAGE 4096

static inline void expect_text(struct mem_cgroup *memcg, const char *file, const char *expected)
{
	char text[256];
	int length = mem_cgroup_read(memcg, file, text, sizeof(text));

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static inline void expect_number(struct mem_cgroup *memcg, const char *file, uint64_t expected)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)expected);
	expect_text(memcg, file, text);
}

static inline void expect_events(struct mem_cgroup *memcg, uint64_t high, uint64_t max)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "low 0\nhigh %llu\nmax %llu\noom 0\noom_kill 0\noom_group_kill 0\n",
		 (unsigned long long)high, (unsigned long long)max);
	expect_text(memcg, "memory.events", text);
}

static inline void expect_stat(struct mem_cgroup *memcg, const int64_t stat[MEMCG_NR_STATS])
{
	int64_t tables = stat[MEMCG_SEC_PAGETABLES], slab = stat[MEMCG_SLAB];
	char text[128];

	snprintf(text, sizeof(text), "kernel %lld\nsec_pagetables %lld\nslab %lld\n",
		 (long long)(tables + slab + stat[MEMCG_OTHER]), (long long)tables,
		 (long long)slab);
	expect_text(memcg, "memory.stat", text);
}

static inline void set(struct mem_cgroup *memcg, const char *file, const char *text)
{
	assert_int_equal(mem_cgroup_write(memcg, file, text), 0);
}

static inline void set_number(struct mem_cgroup *memcg, const char *file, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	set(memcg, file, text);
}

static inline int charge(struct mem_cgroup *memcg, size_t bytes)
{
	return mem_cgroup_charge(memcg, bytes, MEMCG_SLAB, GFP_KERNEL);
}

static inline void uncharge(struct mem_cgroup *memcg, size_t bytes)
{
	mem_cgroup_uncharge(memcg, bytes, MEMCG_SLAB);
}

#endif
