// SPDX-License-Identifier: MIT
/*
 * Huge pages by /proc/PID/smaps, for systems without PAGEMAP_SCAN (before Linux
 * 6.7). It only says how much of a mapping is huge, so a mapping counts when all
 * of it is that can be.
 */
#include <stdio.h>
#include <string.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

struct mapping {
	uint64_t start, end;
	uint64_t huge; /* bytes */
};

/* The huge pages within, if it has as many as fit. */
static bool is_huge(const struct mapping *mapping, uint64_t *start, uint64_t *end)
{
	*start = (mapping->start + IOPT_HUGE_SIZE - 1) & ~(IOPT_HUGE_SIZE - 1);
	*end = mapping->end & ~(IOPT_HUGE_SIZE - 1);
	return *start < *end && mapping->huge >= *end - *start;
}

/* One line; true when it begins another mapping. */
static bool parse_line(const char *line, struct mapping *mapping)
{
	unsigned long start, end, kb;
	char key[32];

	if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
		*mapping = (struct mapping){.start = start, .end = end};
		return true;
	}
	if (sscanf(line, "%31[^:]: %lu kB", key, &kb) != 2)
		return false;
	if (!strcmp(key, "AnonHugePages") || !strcmp(key, "ShmemPmdMapped") ||
	    !strcmp(key, "FilePmdMapped"))
		mapping->huge += (uint64_t)kb << 10;
	if (!strcmp(key, "KernelPageSize") && kb >= IOPT_HUGE_SIZE >> 10)
		mapping->huge = mapping->end - mapping->start;
	return false;
}

static FILE *open_smaps(const struct iommufd_mm *mm)
{
	char path[32] = "/proc/self/smaps";

	if (!iommufd_mm_is_own(mm))
		snprintf(path, sizeof(path), "/proc/%d/smaps", (int)mm->pid);
	return fopen(path, "re");
}

/* Cut what @mapping has to [start, end). */
static bool overlap(const struct mapping *mapping, uint64_t start, uint64_t end,
		    uint64_t *found_start, uint64_t *found_end)
{
	if (!is_huge(mapping, found_start, found_end))
		return false;
	if (*found_start < start)
		*found_start = start;
	if (*found_end > end)
		*found_end = end;
	return *found_start < *found_end;
}

bool iommufd_smaps_huge(const struct iommufd_mm *mm, uint64_t start, uint64_t end,
			uint64_t *found_start, uint64_t *found_end)
{
	FILE *smaps = open_smaps(mm);
	struct mapping mapping = {0}, next = {0};
	bool found = false;
	char line[512];

	if (!smaps)
		return false;
	while (!found && fgets(line, sizeof(line), smaps)) {
		if (!parse_line(line, &next)) {
			mapping = next;
			continue;
		}
		found = overlap(&mapping, start, end, found_start, found_end);
		mapping = next;
	}
	fclose(smaps);
	return found || overlap(&mapping, start, end, found_start, found_end);
}
