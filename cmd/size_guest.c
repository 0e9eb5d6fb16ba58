/* SPDX-License-Identifier: MIT */
/* uiommu size: a guest's mappings, the tables for them and the memory that they pin. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

/* libvirt's share of the memlock limit for what is not RAM. */
#define MEMLOCK_MORE GIB

static uint64_t mapped_bytes(const struct answer *answer, unsigned int when)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < answer->ranges.nr; i++)
		if (answer->ranges.ranges[i].when & when)
			bytes += answer->ranges.ranges[i].bytes;
	return bytes;
}

static void add_limits(struct need *need, const struct request *request, uint64_t ram,
		       uint64_t mapped)
{
	const char *option = request->described ? request->guest.option : "--devices";
	uint64_t domains = need->total.domains;

	need->ram = ram;
	if (__builtin_mul_overflow(mapped, domains, &need->pinned) ||
	    __builtin_mul_overflow(ram, domains, &need->memlock) ||
	    __builtin_add_overflow(need->memlock, MEMLOCK_MORE, &need->memlock))
		die("%s %llu: the memlock limit does not fit in 64 bits", option,
		    (unsigned long long)domains);
}

/* RAM, and the part of memory devices that is plugged from the start. */
static uint64_t started_ram(const struct guest *guest)
{
	uint64_t bytes = guest->ram;

	for (size_t i = 0; i < guest->nr_plugs; i++)
		bytes += guest->plugs[i].now;
	return bytes;
}

static void find_needs(const struct request *request, struct answer *answer,
		       const struct iommu_size *now, const struct iommu_size *full,
		       uint64_t domains, struct needs *needs)
{
	const struct guest *guest = &request->guest;

	needs->now.total = size_total(now, "--devices", domains);
	add_limits(&needs->now, request, started_ram(guest), mapped_bytes(answer, WHEN_STARTED));
	needs->full.total = size_total(full, "--devices", domains);
	add_limits(&needs->full, request, guest->max_ram,
		   mapped_bytes(answer, WHEN_STARTED | WHEN_FULL));
}

/* --guest takes RAM in whole pages only; a described guest's RAM is cut to whole pages. */
static bool in_pages(const struct request *request, struct answer *answer)
{
	const struct guest *guest = &request->guest;
	uint64_t page = answer->format->granule;
	const char *wrong = NULL;
	char text[BYTES_TEXT];

	if (guest->ram % page || guest->max_ram % page)
		wrong = "expected RAM in whole pages";
	else if (guest->ordinary && guest->ordinary < page)
		wrong = "backing is less than a page";
	if (wrong && asprintf(&answer->why, "--guest %s: %s of %s", request->text, wrong,
			      exact_bytes(page, text)) < 0)
		out_of_memory();
	return !wrong;
}

void size_guest(const struct request *request, struct answer *answer)
{
	const struct guest *guest = &request->guest;
	struct iommu_size quiet, now, full;
	uint64_t devices = request->devices ? request->devices : 1;

	if (!request->described && !in_pages(request, answer))
		return;
	answer->ranges = guest_layout(guest, answer->format);
	answer->backing = guest_page_bytes(guest, answer->format, guest->parts[0].page);
	if (size_count(request, answer, WHEN_STARTED, &quiet) ||
	    size_count(request, answer, WHEN_STARTED | WHEN_FIRMWARE, &now) ||
	    size_count(request, answer, WHEN_STARTED | WHEN_FIRMWARE | WHEN_FULL, &full))
		return;
	if (request->described) {
		find_needs(request, answer, &now, &full, guest_domains(guest), &answer->shared);
		answer->total = answer->shared.now.total;
		answer->firmware_bytes =
			(now.table_bytes - quiet.table_bytes) * answer->shared.now.total.domains;
		return;
	}
	answer->total = size_total(&now, "--domains", request->domains ? request->domains : 1);
	find_needs(request, answer, &now, &full, 1, &answer->shared);
	find_needs(request, answer, &now, &full, devices, &answer->each);
}
