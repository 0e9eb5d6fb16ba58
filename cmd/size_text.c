/* SPDX-License-Identifier: MIT */
/* uiommu size: the answer for people. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

static void print_sum(const char *what, uint64_t bytes)
{
	char text[BYTES_TEXT];

	printf("%-28s %20llu bytes  %s\n", what, (unsigned long long)bytes,
	       format_bytes(bytes, text));
}

static void print_tables(const struct total *total)
{
	const struct iommu_size *one = &total->one;

	printf("%s, %u bits of address, %llu domain%s\n\n", one->format, one->address_width,
	       (unsigned long long)total->domains, plural(total->domains));
	printf("level %20s %20s %20s\n", "tables", "bytes", "entries");
	for (unsigned int level = one->levels; level-- > 0;)
		printf("%5u %20llu %20llu %20llu\n", level,
		       (unsigned long long)(one->tables[level] * total->domains),
		       (unsigned long long)(one->bytes[level] * total->domains),
		       (unsigned long long)(one->entries[level] * total->domains));
	printf("  sum %20llu %20llu\n\n", (unsigned long long)total->tables,
	       (unsigned long long)total->total_bytes);
	print_sum("allocated with the domains", total->top_bytes);
	print_sum("allocated by mapping", total->table_bytes);
	print_sum("total", total->total_bytes);
}

/* ---- guests ---- */

static void print_need(const struct need *need)
{
	print_sum("  add to memory.max", need->total.total_bytes);
	print_sum("  pinned memory", need->pinned);
	print_sum("  memlock limit", need->memlock);
}

/* The needs when the guest starts, and with all memory plugged if that is more. */
static void print_needs(const struct needs *needs, const char *what)
{
	char text[BYTES_TEXT];

	printf("%s:\n", what);
	print_need(&needs->now);
	if (needs->full.ram == needs->now.ram)
		return;
	printf("%s, with %s plugged:\n", what, format_bytes(needs->full.ram, text));
	print_need(&needs->full);
}

static void print_plain(const struct request *request, const struct answer *answer)
{
	const struct guest *guest = &request->guest;
	char ram[BYTES_TEXT], backing[BYTES_TEXT], what[64];
	uint64_t devices = answer->each.now.total.domains;

	printf("\nguest with %s of RAM", format_bytes(guest->ram, ram));
	if (guest->max_ram > guest->ram)
		printf(", at most %s,", format_bytes(guest->max_ram, ram));
	printf(" in pieces of %s, %llu device%s\n", exact_bytes(answer->backing, backing),
	       (unsigned long long)devices, plural(devices));
	if (request->domains)
		printf("The table is for %llu domain%s (--domains), what follows for the "
		       "devices.\n",
		       (unsigned long long)request->domains, plural(request->domains));
	if (devices == 1) {
		print_needs(&answer->shared, "one domain");
		return;
	}
	print_needs(&answer->shared, "one domain that the devices share");
	snprintf(what, sizeof(what), "one domain per device (%llu)", (unsigned long long)devices);
	print_needs(&answer->each, what);
}

static void print_range(const struct guest_range *range)
{
	char size[BYTES_TEXT], backing[BYTES_TEXT], first[24], last[24];

	snprintf(first, sizeof(first), "0x%llx", (unsigned long long)range->iova);
	snprintf(last, sizeof(last), "0x%llx",
		 (unsigned long long)(range->iova + range->bytes - 1));
	printf("%18s %18s %12s %9s  %s%s\n", first, last, exact_bytes(range->bytes, size),
	       exact_bytes(range->backing, backing), range->what,
	       range->when == WHEN_FIRMWARE ? ", while firmware reads it"
	       : range->when == WHEN_FULL   ? ", when plugged"
					    : "");
}

static void print_described(const struct request *request, const struct answer *answer)
{
	const struct guest *guest = &request->guest;
	uint64_t domains = answer->shared.now.total.domains;
	char ram[BYTES_TEXT], what[64];

	printf("\nguest: %s, %s of RAM", guest->machine, format_bytes(guest->ram, ram));
	if (guest->max_ram > guest->ram)
		printf(", at most %s", format_bytes(guest->max_ram, ram));
	printf("; %zu device%s%s%s\n", guest->nr_devices, plural(guest->nr_devices),
	       guest->viommu ? " behind " : "", guest->viommu ? guest->viommu : "");
	printf("%18s %18s %12s %9s\n", "first address", "last address", "size", "pieces");
	for (size_t i = 0; i < answer->ranges.nr; i++)
		print_range(&answer->ranges.ranges[i]);
	putchar('\n');
	if (guest->nr_devices > 1 && domains == guest->nr_devices)
		snprintf(what, sizeof(what), "one domain per device (%llu)",
			 (unsigned long long)domains);
	else if (domains > 1)
		snprintf(what, sizeof(what), "%llu domains for %zu devices",
			 (unsigned long long)domains, guest->nr_devices);
	else
		snprintf(what, sizeof(what), "one domain%s",
			 guest->nr_devices > 1 ? " that the devices share" : "");
	print_needs(&answer->shared, what);
	if (answer->firmware_bytes)
		printf("memory.max: %llu bytes less once firmware has read the option ROMs\n",
		       (unsigned long long)answer->firmware_bytes);
}

void size_print_text(const struct request *request, const struct answer *answer)
{
	const struct guest *guest = &request->guest;

	print_tables(&answer->total);
	if (guest->option && !request->described)
		print_plain(request, answer);
	if (request->described)
		print_described(request, answer);
	size_print_notes(request);
}
