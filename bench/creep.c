// SPDX-License-Identifier: MIT
/*
 * A day of random load on one set of addresses, with a million allocations and as many
 * frees an hour: does the memory or the time that the allocator takes grow? Prints a
 * line of CSV for each hour on standard output and the verdict on stderr; the exit
 * status is 1 if it grows.
 *
 * Most ranges live for some hundred calls, some for an hour or two. Each is tried below
 * 4 GiB first, which does not have room for all of them, and then anywhere, as for a
 * device that can address more. Three of four calls use the magazines, which need frees
 * and allocations of the same size.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <uiommu/iova.h>
#include <uiommu/memcontrol.h>

#include "bench/measure.h"

#define HOURS     24
#define AN_HOUR   1000000
#define SHORT     1024
#define LONG      120000
#define END_32BIT ((1ULL << 20) - 1)
#define END       ((1ULL << 36) - 1)
#define PROBES    2048

struct range {
	uint64_t pfn, size;
	bool fast;
};

static struct iova_domain *iovad;
static struct range brief[SHORT], lasting[LONG];

static uint64_t take(uint64_t size, bool fast, uint64_t limit)
{
	if (fast)
		return alloc_iova_fast(iovad, size, limit, false, GFP_KERNEL);
	return alloc_iova(iovad, size, limit, true, GFP_KERNEL);
}

static void give(struct range range)
{
	if (!range.pfn)
		return;
	if (range.fast)
		free_iova_fast(iovad, range.pfn, range.size);
	else
		free_iova(iovad, range.pfn, range.size);
}

/* Most are small; one in 32 has up to 512 granules. */
static struct range take_random(void)
{
	uint64_t random = random_next();
	unsigned int order = random % 32 ? random >> 8 & 3 : 9;
	struct range range = {.size = 1 + (random >> 16) % (1ULL << order),
			      .fast = random >> 40 & 3};

	range.pfn = take(range.size, range.fast, END_32BIT);
	if (!range.pfn)
		range.pfn = take(range.size, range.fast, END);
	if (!range.pfn)
		fail("no range of %llu granules", (unsigned long long)range.size);
	return range;
}

static void run_calls(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct range *range = random_next() % 10 ? &brief[random_next() % SHORT]
							 : &lasting[random_next() % LONG];

		give(*range);
		*range = take_random();
	}
}

/* The least ns of a search up to a limit and its undoing, over some rounds. */
static double probe(uint64_t size, uint64_t limit)
{
	struct series series = {0};
	double least;

	for (unsigned int round = 0; round < 32; round++) {
		uint64_t start = clock_now();

		for (unsigned int i = 0; i < PROBES; i++) {
			uint64_t pfn = alloc_iova(iovad, size, limit, true, GFP_KERNEL);

			if (pfn)
				free_iova(iovad, pfn, size);
		}
		series_add(&series, clock_since(start, PROBES));
	}
	least = series_min(&series);
	free(series.ns);
	return least;
}

struct hour {
	double bytes, call_ns, search_ns, large_ns;
};

static struct hour run_hour(unsigned int number)
{
	struct series calls = {0};
	struct iova_domain_info info;
	struct hour hour;

	for (unsigned int i = 0; i < AN_HOUR; i += AN_HOUR / 100) {
		uint64_t start = clock_now();

		run_calls(AN_HOUR / 100);
		series_add(&calls, clock_since(start, AN_HOUR / 100));
	}
	iova_domain_get_info(iovad, &info);
	/* The least of a hundred: other processes only add to the time. */
	hour = (struct hour){.bytes = (double)info.bytes,
			     .call_ns = series_min(&calls),
			     .search_ns = probe(1, END_32BIT),
			     .large_ns = probe(32, END)};
	free(calls.ns);
	printf("%u,%llu,%llu,%.0f,%.1f,%.1f,%.1f\n", number, (unsigned long long)info.used,
	       (unsigned long long)info.cached, hour.bytes, hour.call_ns, hour.search_ns,
	       hour.large_ns);
	return hour;
}

static bool creeps(const char *what, double first, double last, double most)
{
	fprintf(stderr,
		"%s: %.1f in hours 5 to 8, %.1f in hours 21 to 24, ratio %.3f (most %.2f)\n", what,
		first, last, last / first, most);
	return last > first * most;
}

/* The mean of hours in which the number of long-lived ranges has become constant. */
static struct hour mean(const struct hour *hours)
{
	struct hour sum = {0};

	for (unsigned int i = 0; i < 4; i++) {
		sum.bytes += hours[i].bytes / 4;
		sum.call_ns += hours[i].call_ns / 4;
		sum.search_ns += hours[i].search_ns / 4;
		sum.large_ns += hours[i].large_ns / 4;
	}
	return sum;
}

int main(void)
{
	struct mem_cgroup *cg = mem_cgroup_create(NULL);
	struct hour hours[HOURS], first, last;
	bool worse = false;

	pin_to(1);
	clock_calibrate();
	mem_cgroup_set_active(cg);
	iovad = iova_domain_alloc(4096, 1, END, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(iovad))
		fail("no IOVA domain: error %ld", PTR_ERR(iovad));
	puts("hour,used_granules,cached_granules,bytes,call_ns,search_ns,search_32_ns");
	for (unsigned int i = 0; i < HOURS; i++)
		hours[i] = run_hour(i + 1);
	first = mean(&hours[4]);
	last = mean(&hours[HOURS - 4]);
	worse |= creeps("bytes of the allocator", first.bytes, last.bytes, 1.05);
	worse |= creeps("ns of an alloc and a free of the load", first.call_ns, last.call_ns, 1.2);
	worse |= creeps("ns to find and free a page below 4 GiB", first.search_ns, last.search_ns,
			1.2);
	worse |=
		creeps("ns to find and free 32 pages anywhere", first.large_ns, last.large_ns, 1.2);
	iova_domain_free(iovad);
	mem_cgroup_set_active(NULL);
	if (mem_cgroup_usage(cg))
		fail("%llu bytes are still charged", (unsigned long long)mem_cgroup_usage(cg));
	mem_cgroup_put(cg);
	return worse;
}
