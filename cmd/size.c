/* SPDX-License-Identifier: MIT */
/* uiommu size: what tables a set of mappings or a guest needs. */
#include "cmd/cmd.h"
#include "cmd/size.h"

static uint64_t times(const char *option, uint64_t factor, uint64_t value)
{
	uint64_t product;

	if (__builtin_mul_overflow(factor, value, &product))
		die("%s %llu: the total does not fit in 64 bits", option,
		    (unsigned long long)factor);
	return product;
}

static struct total in_domains(const struct iommu_size *one, const char *option, uint64_t domains)
{
	struct total total = {.one = *one, .domains = domains};
	uint64_t tables = 0;

	for (unsigned int level = 0; level < one->levels; level++) {
		tables += one->tables[level];
		times(option, domains, one->entries[level]);
	}
	total.top_bytes = times(option, domains, one->top_bytes);
	total.table_bytes = times(option, domains, one->table_bytes);
	total.total_bytes = times(option, domains, one->top_bytes + one->table_bytes);
	total.tables = times(option, domains, tables);
	return total;
}

int cmd_size(int argc, char **argv)
{
	struct request request = {.domains = 1};
	struct total total, shared = {0}, each = {0};
	struct iommu_size one;

	size_parse(argc, argv, &request);
	if (iommu_size(request.format->name, request.address_width, request.maps.maps,
		       request.maps.nr, &one))
		maps_refuse(&request.maps, &one, request.format, request.address_width);
	total = in_domains(&one, "--domains", request.domains);
	if (request.guest) {
		shared = in_domains(&one, "--devices", 1);
		each = in_domains(&one, "--devices", request.devices ? request.devices : 1);
	}
	if (request.json)
		size_print_json(&request, &total, &shared, &each);
	else
		size_print_text(&request, &total, &shared, &each);
	maps_free(&request.maps);
	return 0;
}
