/* SPDX-License-Identifier: MIT */
/* uiommu size: what tables a set of mappings or a guest needs. */
#include <stdlib.h>

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

struct total size_total(const struct iommu_size *one, const char *option, uint64_t domains)
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

/*
 * Map a range at @iova that is backed by pieces of @backing bytes, which begin at
 * multiples of that: smaller pieces up to the first such address.
 */
static void add_range(struct maps *maps, const struct request *request,
		      const struct guest_range *range)
{
	uint64_t start = range->iova, end = start + range->bytes;

	while (start < end) {
		uint64_t align = start & -start;
		bool aligned = !(start & (range->backing - 1));
		uint64_t size = aligned || align > end - start ? end - start : align;

		maps_add(maps,
			 (struct iommu_size_map){.iova = start,
						 .size = size,
						 .backing = aligned ? range->backing : align,
						 .count = 1},
			 (struct map_origin){.option = request->guest.option,
					     .text = request->described ? range->what
									: request->text});
		start += size;
	}
}

int size_count(const struct request *request, struct answer *answer, unsigned int when,
	       struct iommu_size *size)
{
	struct maps maps = {0};
	int error;

	for (size_t i = 0; i < request->maps.nr; i++)
		maps_add(&maps, request->maps.maps[i], request->maps.origins[i]);
	for (size_t i = 0; i < answer->ranges.nr; i++)
		if (answer->ranges.ranges[i].when & when)
			add_range(&maps, request, &answer->ranges.ranges[i]);
	error = iommu_size(answer->format->name, request->address_width, maps.maps, maps.nr, size);
	if (error)
		answer->why = maps_explain(&maps, size, answer->format, request->address_width);
	maps_free(&maps);
	return error;
}

static void find_answer(const struct request *request, struct answer *answer)
{
	struct iommu_size one;

	if (request->guest.option)
		size_guest(request, answer);
	else if (!size_count(request, answer, 0, &one))
		answer->total =
			size_total(&one, "--domains", request->domains ? request->domains : 1);
	if (answer->why && !request->all)
		die("%s", answer->why);
}

int cmd_size(int argc, char **argv)
{
	struct request request = {0};
	struct answer *answers;

	size_parse(argc, argv, &request);
	answers = calloc(request.nr_formats, sizeof(*answers));
	if (!answers)
		out_of_memory();
	for (size_t i = 0; i < request.nr_formats; i++) {
		answers[i].format = request.formats[i];
		find_answer(&request, &answers[i]);
	}
	if (request.json)
		size_print_json(&request, answers);
	else if (request.all)
		size_print_all(&request, answers);
	else
		size_print_text(&request, answers);
	for (size_t i = 0; i < request.nr_formats; i++) {
		guest_ranges_free(&answers[i].ranges);
		free(answers[i].why);
	}
	free(answers);
	maps_free(&request.maps);
	guest_free(&request.guest);
	return 0;
}
