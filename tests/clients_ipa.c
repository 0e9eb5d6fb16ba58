// SPDX-License-Identifier: MIT
/* Regions of any alignment that are mapped 1:1 for an IPA. */
#include "tests/clients_ranges.h"

#include "tests/clients/ipa.h"

#define SEED 0x19aULL

static const struct ipa_region unused;
static struct iommu_domain *domain;
static struct ipa ipa;

/* The pages that a region touches, found byte by byte. */
static struct mapped_range pages_of(const struct ipa_region *region)
{
	struct mapped_range range = {.access = HW_RW};
	uint64_t page = ~0ULL;

	for (uint64_t at = region->addr; at < region->addr + region->size; at++) {
		if (at / 4096 == page)
			continue;
		if (!range.size)
			range.iova = range.paddr = at / 4096 * 4096;
		page = at / 4096;
		range.size += 4096;
	}
	return range;
}

static void regions_are_mapped_as_pages(void **state)
{
	const struct iommu_format *format = NULL;
	uint64_t random = SEED;

	print_message("# seed 0x%llx\n", SEED);
	while ((format = next_walked(format, 4096))) {
		domain = domain_of(format->name);
		for (unsigned int i = 0; i < SCALED(50); i++) {
			struct ipa_region imem = {0x146a8000 + random_below(&random, 0x3000),
						  random_below(&random, 0x4000)};
			struct ipa_region smem = {0x85f00000 + random_below(&random, 0x3000),
						  1 + random_below(&random, 0x4000)};
			struct mapped_range ranges[] = {pages_of(&imem), pages_of(&smem)};

			record_begin();
			assert_int_equal(ipa_mem_init(&ipa, domain, &imem, &smem), 0);
			assert_maps_recorded(imem.size ? 2 : 1, GFP_KERNEL);
			assert_ranges(domain, ranges, 2);
			ipa_mem_exit(&ipa);
			assert_nothing_mapped(domain);
			ipa_mem_exit(&ipa);
		}
		iommu_domain_free(domain);
	}
}

static void bad_regions(void **state)
{
	struct ipa_region good = {0x10800, 0x1000}, wide = {1ULL << 60, 1};
	struct ipa_region same = {0x11000, 1}, over = {0x12345, ~0ULL - 0x100};

	assert_int_equal(ipa_mem_init(&ipa, NULL, &unused, &unused), 0);
	ipa_mem_exit(&ipa);
	assert_int_equal(ipa_mem_init(&ipa, NULL, &good, &unused), -EINVAL);
	assert_int_equal(ipa_mem_init(&ipa, NULL, &unused, &good), -EINVAL);
	domain = domain_of("vtd");
	assert_int_equal(ipa_mem_init(&ipa, domain, &over, &unused), -EINVAL);
	/* The second cannot be had: the first goes. */
	assert_int_equal(ipa_mem_init(&ipa, domain, &good, &over), -EINVAL);
	assert_int_equal(ipa_mem_init(&ipa, domain, &good, &wide), -ERANGE);
	assert_int_equal(ipa_mem_init(&ipa, domain, &good, &same), -EADDRINUSE);
	assert_nothing_mapped(domain);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
	/* Pages of the processor that the domain does not have. */
	domain = domain_of("arm64-s1-16k");
	assert_int_equal(ipa_mem_init(&ipa, domain, &good, &unused), -EINVAL);
	iommu_domain_free(domain);
}

static const struct ipa_region imem = {0x146a8123, 0x2000}, smem = {0x85f00ffc, 8};

static void begin(void)
{
	domain = domain_of("vtd");
}

static int act(void)
{
	return ipa_mem_init(&ipa, domain, &imem, &smem);
}

static void check(bool done)
{
	struct mapped_range ranges[] = {pages_of(&imem), pages_of(&smem)};

	assert_ranges(domain, ranges, done ? 2 : 0);
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void end(void)
{
	ipa_mem_exit(&ipa);
	assert_nothing_mapped(domain);
	iommu_domain_free(domain);
}

static void every_failure(void **state)
{
	fail_each(&(struct failing){.name = "init",
				    .error = -ENOMEM,
				    .begin = begin,
				    .act = act,
				    .check = check,
				    .domain = the_domain,
				    .end = end});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(regions_are_mapped_as_pages),
		in_cgroup(bad_regions),
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
