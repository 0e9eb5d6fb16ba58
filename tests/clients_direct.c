// SPDX-License-Identifier: MIT
/*
 * The 1:1 mappings of direct regions, against a model of pages: what is mapped,
 * with what rights, and that each run of pages that were not mapped yet is one
 * map, which shows in the calls to iommu_map() and in the leaves.
 */
#include "tests/clients.h"
#include "tests/device.h"

#define SEED     0xd12ec7ULL
#define NR_PAGES (5 * 512) /* of the addresses that regions lie in */
#define HUGE     512       /* pages of a large leaf */
#define DEVICES  3

struct direct_page {
	unsigned int access; /* 0: not mapped */
	unsigned int run;    /* which map it came by */
};

static struct {
	uint64_t base;
	struct direct_page page[NR_PAGES];
	unsigned int runs;
} model;

static unsigned int access_of(int prot)
{
	return (prot & IOMMU_READ ? HW_READ : 0) | (prot & IOMMU_WRITE ? HW_WRITE : 0);
}

/* As the kernel goes through a region: page by page, a run ends where a page is mapped. */
static void expect_region(const struct iommu_resv_region *region)
{
	uint64_t last = (region->start + region->length - 1 - model.base) / PAGE_SIZE;
	bool in_run = false;

	if (region->type != IOMMU_RESV_DIRECT && region->type != IOMMU_RESV_DIRECT_RELAXABLE)
		return;
	for (uint64_t i = (region->start - model.base) / PAGE_SIZE; i <= last; i++) {
		if (model.page[i].access) {
			in_run = false;
			continue;
		}
		model.runs += !in_run;
		in_run = true;
		model.page[i] = (struct direct_page){access_of(region->prot), model.runs};
	}
}

/* The hardware's list comes in the opposite order of what tests/device.h was told. */
static void expect_device(const struct hardware *hw)
{
	for (unsigned int i = hw->nr_regions; i--;)
		expect_region(&hw->regions[i]);
}

static bool is_huge(uint64_t first)
{
	for (uint64_t i = 0; i < HUGE; i++)
		if (!model.page[first].access || model.page[first + i].run != model.page[first].run)
			return false;
	return true;
}

struct check {
	uint64_t next; /* page that the next leaf may begin at */
	unsigned int huge;
};

static bool check_leaf(void *context, const struct hw_found *found)
{
	uint64_t first = (found->iova - model.base) / PAGE_SIZE, count = found->size / PAGE_SIZE;
	struct check *check = context;

	assert_int_equal(found->item.kind, HW_LEAF);
	assert_true(found->iova >= model.base && first + count <= NR_PAGES);
	assert_int_equal(found->item.address, found->iova);
	for (; check->next < first; check->next++)
		assert_int_equal(model.page[check->next].access, 0);
	assert_int_equal(count, is_huge(first - first % HUGE) ? HUGE : 1);
	for (uint64_t i = first; i < first + count; i++)
		assert_int_equal(found->access & (HW_READ | HW_WRITE), model.page[i].access);
	check->next = first + count;
	check->huge += count == HUGE;
	return true;
}

/* Returns how many large leaves there are. */
static unsigned int check_domain(struct iommu_domain *domain)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct check check = {0};
	struct hw_list_ops ops = {.found = check_leaf, .context = &check};

	assert_int_equal(hw_list(&tables, &ops), 0);
	for (; check.next < NR_PAGES; check.next++)
		assert_int_equal(model.page[check.next].access, 0);
	return check.huge;
}

static void random_regions(struct hardware *hw, uint64_t *random)
{
	*hw = (struct hardware){0};
	for (unsigned int i = 0; i < MAX_REGIONS; i++) {
		enum iommu_resv_type type = (enum iommu_resv_type)random_below(random, 5);
		uint64_t start = random_below(random, NR_PAGES * PAGE_SIZE);
		uint64_t most = random_below(random, 3) ? 2000 * PAGE_SIZE : 5 * PAGE_SIZE;
		uint64_t length = 1 + random_below(random, most);

		/* Whole pages, mostly, and often up to where another begins. */
		if (random_below(random, 4)) {
			start -= start % (PAGE_SIZE << random_below(random, 10));
			length += PAGE_SIZE - 1 - (length - 1) % PAGE_SIZE;
		}
		if (length > NR_PAGES * PAGE_SIZE - start)
			length = NR_PAGES * PAGE_SIZE - start;
		if (random_below(random, 2))
			type = IOMMU_RESV_DIRECT;
		add_region(hw, model.base + start, length,
			   random_below(random, 3) ? RW : IOMMU_READ, type);
	}
}

/* What somebody mapped before, of which nothing changes. */
static void map_before(struct iommu_domain *domain, uint64_t *random)
{
	for (uint64_t n = random_below(random, 6); n; n--) {
		uint64_t page = random_below(random, NR_PAGES),
			 iova = model.base + page * PAGE_SIZE;

		if (model.page[page].access)
			continue;
		assert_int_equal(iommu_map(domain, iova, iova, PAGE_SIZE, IOMMU_READ, GFP_KERNEL),
				 0);
		model.page[page] = (struct direct_page){HW_READ, ++model.runs};
	}
}

static unsigned int one_round(uint64_t *random)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *dma = plain_domain(IOMMU_DOMAIN_DMA);
	struct hardware hw[DEVICES];
	struct iommu_device *dev[DEVICES];
	struct iommu_group *group;
	unsigned int huge, before;

	memset(&model, 0, sizeof(model));
	/* Also from address 0 on, and where the second level goes on in another table. */
	model.base = random_below(random, 3) * ((UINT64_C(1) << 30) - 1024 * PAGE_SIZE);
	map_before(dma, random);
	before = model.runs;
	record_begin();
	for (unsigned int i = 0; i < DEVICES; i++)
		random_regions(&hw[i], random);
	dev[0] = new_device(&hw[0], NULL);
	group = iommu_group_get(dev[0]);
	dev[1] = new_device(&hw[1], group);
	assert_int_equal(iommu_group_set_default_domain(group, dma), 0);
	expect_device(&hw[0]);
	expect_device(&hw[1]);
	check_domain(dma);
	dev[2] = new_device(&hw[2], group);
	expect_device(&hw[2]);
	huge = check_domain(dma);
	if (model.runs > before)
		assert_maps_recorded(model.runs - before, GFP_KERNEL);
	for (unsigned int i = 0; i < DEVICES; i++)
		iommu_device_unregister(dev[i]);
	iommu_group_put(group);
	iommu_domain_free(dma);
	leave_cgroup(memcg);
	return huge;
}

static void runs_are_merged(void **state)
{
	uint64_t random = SEED;
	unsigned int huge = 0;

	print_message("# seed 0x%llx\n", SEED);
	for (unsigned int i = 0; i < SCALED(1000); i++)
		huge += one_round(&random);
	print_message("# %u large leaves\n", huge);
	assert_true(huge > SCALED(500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
