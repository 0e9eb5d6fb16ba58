// SPDX-License-Identifier: MIT
/* Memory in the carveout of a Tegra's display. */
#include "tests/clients_ranges.h"

#include "tests/clients/tegra_drm.h"

#define SEED   0x7e62aULL
#define BLOCKS 32
#define MASK   0xffffffffULL

struct block {
	void *virt;
	dma_addr_t dma;
	size_t asked;
	uint64_t size;
};

static struct iommu_domain *domain;
static struct tegra_drm tegra;
static struct block blocks[BLOCKS];

static void begin_on(const char *format)
{
	domain = domain_of(format);
	assert_int_equal(tegra_drm_init(&tegra, domain, MASK), 0);
	memset(blocks, 0, sizeof(blocks));
}

static void end(void)
{
	assert_nothing_mapped(domain);
	tegra_drm_exit(&tegra);
	iommu_domain_free(domain);
}

static void check_blocks(void)
{
	struct mapped_range ranges[BLOCKS];
	unsigned int count = 0;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		if (!blocks[i].virt)
			continue;
		ranges[count++] = (struct mapped_range){blocks[i].dma, virt_to_phys(blocks[i].virt),
							blocks[i].size, HW_RW};
	}
	assert_ranges(domain, ranges, count);
}

/* Each in the carveout, at a multiple of its size, all zeros. */
static void toggle(struct block *block, uint64_t page, uint64_t *random)
{
	uint64_t last = domain_info(domain).aperture_last & MASK;

	if (block->virt) {
		memset(block->virt, 0xa5, block->asked);
		tegra_drm_free(&tegra, block->asked, block->virt, block->dma);
		block->virt = NULL;
		return;
	}
	block->asked = 1 + random_below(random, 65536);
	block->size = (block->asked + page - 1) / page * page;
	record_begin();
	block->virt = tegra_drm_alloc(&tegra, block->asked, &block->dma);
	assert_false(IS_ERR(block->virt));
	assert_maps_recorded(1, GFP_KERNEL);
	assert_true(block->dma > last - TEGRA_CARVEOUT_SZ && block->dma + block->size - 1 <= last);
	for (uint64_t align = page; align < block->size; align *= 2)
		assert_int_equal(block->dma % (2 * align), 0);
	for (uint64_t i = 0; i < block->size; i++)
		assert_int_equal(((char *)block->virt)[i], 0);
}

static void blocks_are_in_the_carveout(void **state)
{
	const struct iommu_format *format = NULL;
	uint64_t random = SEED;

	print_message("# seed 0x%llx\n", SEED);
	while ((format = next_walked(format, 65536))) {
		begin_on(format->name);
		for (unsigned int i = 0; i < SCALED(100); i++) {
			toggle(&blocks[random_below(&random, BLOCKS)], smallest_page(format),
			       &random);
			check_blocks();
		}
		for (unsigned int i = 0; i < BLOCKS; i++)
			if (blocks[i].virt)
				tegra_drm_free(&tegra, blocks[i].asked, blocks[i].virt,
					       blocks[i].dma);
		end();
	}
}

static void bad_calls(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_BLOCKED};
	dma_addr_t dma = 7;

	domain = iommu_domain_alloc(&params, GFP_KERNEL);
	assert_int_equal(tegra_drm_init(&tegra, domain, MASK), -EINVAL);
	iommu_domain_free(domain);
	domain = domain_of("vtd");
	assert_int_equal(tegra_drm_init(&tegra, domain, TEGRA_CARVEOUT_SZ - 1), -EINVAL);
	iommu_domain_free(domain);
	begin_on("vtd");
	assert_int_equal(PTR_ERR(tegra_drm_alloc(&tegra, 0, &dma)), -ENOMEM);
	assert_int_equal(PTR_ERR(tegra_drm_alloc(&tegra, 262145, &dma)), -ENOMEM);
	assert_int_equal(PTR_ERR(tegra_drm_alloc(&tegra, ~(size_t)0, &dma)), -ENOMEM);
	/* Somebody else has the last page mapped; then all the carveout is taken. */
	assert_int_equal(iommu_map(domain, 0xfffff000, 0, 0x1000, RW, GFP_KERNEL), 0);
	assert_int_equal(PTR_ERR(tegra_drm_alloc(&tegra, 0x2000, &dma)), -EADDRINUSE);
	assert_int_equal(iommu_unmap(domain, 0xfffff000, 0x1000), 0x1000);
	assert_int_equal(reserve_iova(tegra.carveout.domain, 0xfc000, 0xfffff, GFP_KERNEL), 0);
	assert_int_equal(PTR_ERR(tegra_drm_alloc(&tegra, 1, &dma)), -EBUSY);
	assert_int_equal(dma, 7);
	end();
}

static void begin(void)
{
	begin_on("vtd");
}

static int act(void)
{
	struct block *block = &blocks[0];
	void *virt = tegra_drm_alloc(&tegra, 5000, &block->dma);

	if (IS_ERR(virt)) {
		/* Which of the two depends on what the memory was for. */
		assert_true(PTR_ERR(virt) == -ENOMEM || PTR_ERR(virt) == -EBUSY);
		return -ENOMEM;
	}
	*block = (struct block){virt, block->dma, 5000, 8192};
	return 0;
}

static void check(bool done)
{
	assert_int_equal(blocks[0].virt != NULL, done);
	check_blocks();
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void end_with_block(void)
{
	tegra_drm_free(&tegra, 5000, blocks[0].virt, blocks[0].dma);
	end();
}

static bool ready;

static void begin_domain(void)
{
	domain = domain_of("vtd");
	ready = false;
}

static int act_init(void)
{
	int ret = tegra_drm_init(&tegra, domain, MASK);

	ready = !ret;
	return ret;
}

static void check_init(bool done)
{
	assert_int_equal(ready, done);
}

static void every_failure(void **state)
{
	fail_each(&(struct failing){.name = "alloc",
				    .error = -ENOMEM,
				    .begin = begin,
				    .act = act,
				    .check = check,
				    .domain = the_domain,
				    .end = end_with_block});
	fail_each(&(struct failing){.name = "init",
				    .error = -ENOMEM,
				    .begin = begin_domain,
				    .act = act_init,
				    .check = check_init,
				    .domain = the_domain,
				    .end = end});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(blocks_are_in_the_carveout),
		in_cgroup(bad_calls),
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
