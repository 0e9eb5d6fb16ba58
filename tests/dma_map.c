/* SPDX-License-Identifier: MIT */
/*
 * Single pieces of memory: what the device can reach of them, at which addresses,
 * and when no more; against a list of all that is mapped, and an IOTLB.
 */
#include "tests/capture.h"
#include "tests/dma.h"

#define LIVE   48
#define ROUNDS SCALED(4000)

struct mapping {
	uint64_t addr, paddr, size;
	enum dma_data_direction dir;
};

/* What is mapped, and what was unmapped since the flush before last began. */
struct model_dma {
	struct mapping live[LIVE];
	unsigned int count;
	struct mapping gone[ROUNDS];
	unsigned int nr_gone;
	unsigned int flushes;
};

static bool shares_page(const struct mapping *a, const struct mapping *b, uint64_t page)
{
	uint64_t a_last = (a->addr + a->size - 1) / page, b_last = (b->addr + b->size - 1) / page;

	return a->addr / page <= b_last && b->addr / page <= a_last;
}

static void check_reach(struct rig *rig, const struct mapping *m)
{
	uint64_t at[] = {0, m->size / 2, m->size - 1};

	for (unsigned int i = 0; i < 3; i++) {
		struct hw_translation out;

		assert_int_equal(rig_access(rig, m->addr + at[i], access_of(m->dir), &out), 0);
		assert_int_equal(out.paddr, m->paddr + at[i]);
		if (m->dir == DMA_TO_DEVICE)
			assert_int_not_equal(rig_access(rig, m->addr + at[i], HW_WRITE, &out), 0);
	}
}

static void add(struct rig *rig, struct model_dma *model, uint64_t *random)
{
	struct mapping m = {
		.paddr = (1ULL << 33) + random_below(random, 1ULL << 33),
		.size = 1 +
			random_below(random, random_below(random, 4) ? rig->page : 40 * rig->page),
		.dir = (enum dma_data_direction)random_below(random, 3),
	};

	m.addr = dma_map_page(rig->dev, m.paddr & -rig->page, m.paddr & (rig->page - 1), m.size,
			      m.dir);
	assert_int_equal(dma_mapping_error(rig->dev, m.addr), 0);
	assert_int_equal(m.addr & (rig->page - 1), m.paddr & (rig->page - 1));
	assert_true(m.addr >= rig->page && m.addr + m.size - 1 <= UINT32_MAX);
	if (rig->flushes != model->flushes)
		model->nr_gone = 0;
	model->flushes = rig->flushes;
	for (unsigned int i = 0; i < model->count; i++)
		assert_false(shares_page(&m, &model->live[i], rig->page));
	for (unsigned int i = 0; i < model->nr_gone; i++)
		assert_false(shares_page(&m, &model->gone[i], rig->page));
	model->live[model->count++] = m;
	check_reach(rig, &m);
}

/* Returns whether the device still reaches what was unmapped. */
static bool take(struct rig *rig, struct model_dma *model, unsigned int i)
{
	struct mapping m = model->live[i];

	check_reach(rig, &m);
	model->live[i] = model->live[--model->count];
	if (rig->flushes != model->flushes)
		model->nr_gone = 0;
	model->flushes = rig->flushes;
	dma_unmap_page(rig->dev, m.addr, m.size, m.dir);
	if (rig->flushes == model->flushes)
		model->gone[model->nr_gone++] = m;
	return rig_is_mapped(rig, m.addr) || rig_is_mapped(rig, m.addr + m.size - 1);
}

static unsigned int random_rounds(struct rig *rig, uint64_t seed)
{
	static struct model_dma model;
	uint64_t random = seed, empty = count_tables(rig->domain);
	unsigned int stale = 0;

	model = (struct model_dma){.flushes = rig->flushes};
	for (unsigned int round = 0; round < ROUNDS; round++) {
		if (model.count < LIVE && (!model.count || random_below(&random, 2)))
			add(rig, &model, &random);
		else
			stale +=
				take(rig, &model, (unsigned int)random_below(&random, model.count));
		for (unsigned int i = 0; i < model.count && round % 64 == 0; i++)
			check_reach(rig, &model.live[i]);
	}
	while (model.count)
		stale += take(rig, &model, 0);
	assert_int_equal(count_tables(rig->domain), empty);
	return stale;
}

static void strict_unmap_leaves_nothing(void **state)
{
	for_each_dma_format(format)
	{
		struct rig rig;

		rig_begin(&rig, format);
		assert_int_equal(random_rounds(&rig, 1), 0);
		assert_int_equal(rig_stale(&rig), 0);
		rig_end(&rig);
	}
}

static void lazy_unmap_leaves_nothing_after_the_flush(void **state)
{
	for_each_dma_format(format)
	{
		struct rig rig;
		uint64_t kept;

		rig_begin(&rig, format);
		assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL), 0);
		assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL), 0);
		/* Or the table would go with each last mapping, and all be flushed. */
		kept = dma_map_page(rig.dev, rig.page, 0, 1, DMA_TO_DEVICE);
		assert_true(random_rounds(&rig, 2) > ROUNDS / 8);
		assert_true(rig.flushes < ROUNDS / 8);
		iommu_dma_flush_queues(rig.domain);
		assert_int_equal(rig_stale(&rig), 0);
		dma_unmap_page(rig.dev, kept, 1, DMA_TO_DEVICE);
		rig_end(&rig);
	}
}

static const struct iommu_format *vtd(void)
{
	return iommu_format_find("vtd");
}

static void lazy_begin(struct rig *rig)
{
	rig_begin(rig, vtd());
	assert_int_equal(iommu_dma_init_fq(rig->domain, GFP_KERNEL), 0);
	dma_map_page(rig->dev, 1 << 20, 0, 1, DMA_TO_DEVICE);
}

static void map_and_unmap(struct rig *rig)
{
	uint64_t addr = dma_map_page(rig->dev, 4096, 0, 4096, DMA_TO_DEVICE);

	assert_true(rig_is_mapped(rig, addr));
	dma_unmap_page(rig->dev, addr, 4096, DMA_TO_DEVICE);
}

static void lazy_flushes_when_full(void **state)
{
	struct rig rig;

	lazy_begin(&rig);
	for (unsigned int i = 0; i < 256; i++)
		map_and_unmap(&rig);
	assert_int_equal(rig.flushes, 0);
	assert_true(rig_stale(&rig));
	map_and_unmap(&rig);
	assert_int_equal(rig.flushes, 1);
	assert_int_equal(rig_stale(&rig), 0);
	rig_end(&rig);
}

static void lazy_flushes_what_is_old(void **state)
{
	unsigned int calls = 0;
	struct rig rig;

	lazy_begin(&rig);
	map_and_unmap(&rig);
	while (!rig.flushes && ++calls < 3000)
		dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE);
	assert_in_range(calls, 900, 1100);
	assert_int_equal(rig_stale(&rig), 0);
	rig_end(&rig);
}

/* A blocking allocation that memory.max refuses runs the shrinkers. */
static void lazy_flushes_when_memory_is_short(void **state)
{
	dma_addr_t handle;
	struct rig rig;

	lazy_begin(&rig);
	map_and_unmap(&rig);
	cgroup_limit(rig.memcg, (mem_cgroup_usage(rig.memcg) + 4095) & ~4095ULL);
	assert_null(dma_alloc_attrs(rig.dev, 65536, &handle, GFP_NOWAIT, 0));
	assert_int_equal(rig.flushes, 0);
	assert_null(dma_alloc_attrs(rig.dev, 65536, &handle, GFP_KERNEL, 0));
	assert_int_not_equal(rig.flushes, 0);
	assert_int_equal(rig_stale(&rig), 0);
	rig_end(&rig);
}

/* Addresses that wait in a queue are fetched back before a call fails. */
static void lazy_flushes_when_addresses_are_short(void **state)
{
	unsigned int count = 0;
	struct rig rig;
	uint64_t addr;

	lazy_begin(&rig);
	assert_int_equal(dma_set_mask(rig.dev, 0x3fff), 0); /* three pages */
	for (unsigned int i = 0; i < 100; i++) {
		addr = dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE);
		if (addr == DMA_MAPPING_ERROR)
			break;
		dma_unmap_page(rig.dev, addr, 4096, DMA_TO_DEVICE);
		count++;
	}
	assert_int_equal(count, 100);
	rig_end(&rig);
}

/* Unmapped while a flush is under way, when the IOTLB has been emptied already. */
struct late {
	struct rig *rig;
	uint64_t addr;
};

static void late_flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		       bool tables)
{
	struct late *late = context;
	uint64_t addr = late->addr;

	rig_flush(late->rig, domain, iova, last, tables);
	late->addr = 0;
	if (!addr)
		return;
	assert_true(rig_is_mapped(late->rig, addr));
	dma_unmap_page(late->rig->dev, addr, 4096, DMA_TO_DEVICE);
}

static const struct iommu_iotlb_ops late_ops = {.flush = late_flush};

static void lazy_counts_flushes_that_began_later(void **state)
{
	struct late late;
	struct rig rig;
	uint64_t addr;

	lazy_begin(&rig);
	addr = dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE);
	late = (struct late){&rig, addr};
	iommu_domain_set_iotlb_ops(rig.domain, &late_ops, &late);
	map_and_unmap(&rig);
	iommu_dma_flush_queues(rig.domain);
	assert_true(rig_is_mapped(&rig, addr)); /* stale */
	for (unsigned int i = 0; i < 10; i++)
		assert_int_not_equal(dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE), addr);
	iommu_dma_flush_queues(rig.domain);
	assert_false(rig_is_mapped(&rig, addr));
	assert_int_equal(dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE), addr);
	rig_end(&rig);
}

/* Nothing that the library frees may still be within reach. */
static void lazy_frees_strictly(void **state)
{
	struct sg_table *sgt;
	dma_addr_t handle;
	struct rig rig;
	void *memory;

	lazy_begin(&rig);
	memory = dma_alloc_attrs(rig.dev, 8192, &handle, GFP_KERNEL, 0);
	assert_true(rig_is_mapped(&rig, handle));
	dma_free_attrs(rig.dev, 8192, memory, handle, 0);
	assert_false(rig_is_mapped(&rig, handle));
	sgt = dma_alloc_noncontiguous(rig.dev, 8192, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);
	handle = sgt->dma_address;
	assert_true(rig_is_mapped(&rig, handle));
	dma_free_noncontiguous(rig.dev, sgt);
	assert_false(rig_is_mapped(&rig, handle));
	rig_end(&rig);
}

/* Pages of addresses up to the mask, until there are none. */
static unsigned int use_all(struct rig *rig, uint64_t addrs[], unsigned int most)
{
	unsigned int count = 0;

	while (count < most) {
		uint64_t addr = dma_map_page(rig->dev, 0, 0, rig->page, DMA_TO_DEVICE);

		if (addr == DMA_MAPPING_ERROR)
			break;
		addrs[count++] = addr;
	}
	return count;
}

static void all_but_reserved_addresses_are_used(void **state)
{
	static const struct {
		uint64_t first, pages;
		enum iommu_resv_type type;
	} regions[] = {
		{0, 3, IOMMU_RESV_RESERVED},
		{17, 5, IOMMU_RESV_MSI},
		{100, 1, IOMMU_RESV_SW_MSI},
		{101, 30, IOMMU_RESV_DIRECT},
		{400, 10, IOMMU_RESV_DIRECT_RELAXABLE},
		{500, 5000, IOMMU_RESV_RESERVED},
	};

	for_each_dma_format(format)
	{
		bool taken[512] = {false};
		uint64_t addrs[1024];
		unsigned int count;
		struct rig rig;

		rig_prepare(&rig, format, 0);
		iommu_device_unregister(rig.dev);
		for (unsigned int i = 0; i < 6; i++) {
			add_region(&rig.hw, regions[i].first * rig.page,
				   regions[i].pages * rig.page, RW, regions[i].type);
			for (uint64_t j = 0; j < regions[i].pages; j++)
				if (regions[i].first + j < 512)
					taken[regions[i].first + j] = true;
		}
		rig.dev = new_device(&rig.hw, rig.group);
		assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
		assert_int_equal(dma_set_mask(rig.dev, 512 * rig.page - 1), 0);
		count = use_all(&rig, addrs, 1024);
		for (unsigned int i = 0; i < count; i++) {
			assert_in_range(addrs[i] / rig.page, 1, 511);
			assert_false(taken[addrs[i] / rig.page]);
			taken[addrs[i] / rig.page] = true;
		}
		for (unsigned int i = 0; i < 512; i++)
			assert_true(taken[i]);
		rig_end(&rig);
	}
}

static void low_addresses_come_first(void **state)
{
	uint64_t addrs[64];
	struct rig rig;

	rig_prepare(&rig, vtd(), 0);
	add_region(&rig.hw, 0x10000, 0xffff0000, RW, IOMMU_RESV_RESERVED);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	assert_int_equal(use_all(&rig, addrs, 64), 15);
	assert_int_equal(dma_set_mask(rig.dev, DMA_BIT_MASK(40)), 0);
	assert_int_equal(use_all(&rig, addrs, 32), 32);
	for (unsigned int i = 0; i < 32; i++)
		assert_in_range(addrs[i], 1ULL << 32, DMA_BIT_MASK(40));
	rig_end(&rig);

	rig_prepare(&rig, vtd(), 0);
	add_region(&rig.hw, 0x10000, 0xffff0000, RW, IOMMU_RESV_RESERVED);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	assert_int_equal(dma_set_mask(rig.dev, DMA_BIT_MASK(64)), 0);
	assert_int_equal(use_all(&rig, addrs, 64), 64);
	for (unsigned int i = 0; i < 64; i++)
		assert_true(i < 15 ? addrs[i] <= UINT32_MAX : addrs[i] > UINT32_MAX);
	rig_end(&rig);
}

static void masks_are_checked(void **state)
{
	struct rig rig;

	rig_begin(&rig, vtd());
	assert_int_equal(dma_set_mask(rig.dev, 0), -EIO);
	assert_int_equal(dma_set_mask(rig.dev, 0xfff), -EIO);
	assert_int_equal(dma_set_mask(rig.dev, 0x1ffe), -EIO);
	assert_int_equal(dma_set_coherent_mask(rig.dev, 0xfff), -EIO);
	assert_int_equal(dma_set_mask_and_coherent(rig.dev, DMA_BIT_MASK(64)), 0);
	assert_int_equal(dma_get_required_mask(rig.dev), UINT32_MAX);
	rig_end(&rig);
}

static void bad_arguments_are_refused(void **state)
{
	struct rig rig;

	rig_prepare(&rig, vtd(), 0);
	assert_true(dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL), -EINVAL);
	iommu_dma_flush_queues(rig.domain);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	assert_true(dma_map_page(rig.dev, 0, 0, 0, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_true(dma_map_page(rig.dev, 0, 0, 1, DMA_NONE) == DMA_MAPPING_ERROR);
	assert_true(dma_map_page(rig.dev, ~0ULL, 0, 2, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_true(dma_map_page(rig.dev, 1, 0, SIZE_MAX, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_true(dma_map_resource(rig.dev, 0, 1, DMA_NONE, 0) == DMA_MAPPING_ERROR);
	assert_true(dma_map_page(rig.dev, 1ULL << 60, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(dma_mapping_error(rig.dev, DMA_MAPPING_ERROR), -ENOMEM);
	rig_end(&rig);
}

static void other_domains_are_refused(void **state)
{
	struct iommu_domain *identity = plain_domain(IOMMU_DOMAIN_IDENTITY);
	struct iommu_domain *second = plain_domain(IOMMU_DOMAIN_DMA);
	uint64_t addr;
	struct rig rig;

	rig_begin(&rig, vtd());
	addr = dma_map_page(rig.dev, 4096, 0, 1, DMA_TO_DEVICE);
	assert_int_equal(iommu_group_set_default_domain(rig.group, identity), 0);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), -EINVAL);
	assert_true(dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(iommu_group_set_default_domain(rig.group, second), 0);
	assert_true(dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL | __GFP_DMA32), -EINVAL);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	assert_false(dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(iommu_iova_to_phys(rig.domain, addr), 4096);
	assert_int_equal(iommu_group_set_default_domain(rig.group, NULL), 0);
	iommu_domain_free(second);
	iommu_domain_free(identity);
	rig_end(&rig);
}

/* What is reserved for a device that comes later must still be free. */
static void second_device_joins(void **state)
{
	struct hardware hw = {.nr_regions = 0};
	struct iommu_device *second;
	struct rig rig;
	uint64_t addr;

	rig_begin(&rig, vtd());
	addr = dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE);
	add_region(&hw, addr, 4096, RW, IOMMU_RESV_RESERVED);
	second = new_device(&hw, rig.group);
	assert_true(dma_map_page(second, 0, 0, 1, DMA_TO_DEVICE) == DMA_MAPPING_ERROR);
	assert_int_equal(iommu_setup_dma_ops(second, GFP_KERNEL), -EBUSY);
	hw.regions[0].start = 1 << 20;
	assert_int_equal(iommu_setup_dma_ops(second, GFP_KERNEL), 0);
	assert_int_equal(dma_set_mask(rig.dev, (1 << 20) + 4095), -EIO);
	assert_int_equal(dma_set_mask(rig.dev, (1 << 21) - 1), 0);
	for (unsigned int i = 0; i < 600; i++)
		assert_int_not_equal(dma_map_page(rig.dev, 0, 0, 1, DMA_TO_DEVICE), 1 << 20);
	iommu_device_unregister(second);
	rig_end(&rig);
}

/* The item in the lowest table for an address. */
static uint64_t item_at(struct iommu_domain *domain, uint64_t iova)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation out;

	assert_int_equal(hw_translate(&tables, iova, 0, &out), 0);
	return out.steps[out.nr_steps - 1].value;
}

/* The mapping's bits are those of iommu_map() with these rights. */
static void assert_prot(struct rig *rig, uint64_t addr, uint64_t paddr, int prot)
{
	uint64_t item = item_at(rig->domain, addr);
	struct iommu_domain *other = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	struct shape shape = {iommu_format_find(domain_info(rig->domain).format), 0};

	iommu_domain_free(other);
	other = new_domain(&shape);
	assert_int_equal(iommu_map(other, addr, paddr, rig->page, prot, GFP_KERNEL), 0);
	assert_int_equal(item, item_at(other, addr));
	iommu_domain_free(other);
}

static void rights_are_the_kernels(void **state)
{
	static const int prot[] = {RW | IOMMU_CACHE, IOMMU_READ | IOMMU_CACHE,
				   IOMMU_WRITE | IOMMU_CACHE};

	for_each_dma_format(format)
	{
		uint64_t paddr, addr;
		struct rig rig;

		rig_begin(&rig, format);
		paddr = 64 * rig.page;
		for (unsigned int dir = 0; dir < 3; dir++) {
			addr = dma_map_page(rig.dev, paddr, 0, rig.page,
					    (enum dma_data_direction)dir);
			assert_prot(&rig, addr, paddr, prot[dir]);
			addr = dma_map_page_attrs(rig.dev, paddr, 0, rig.page,
						  (enum dma_data_direction)dir,
						  DMA_ATTR_PRIVILEGED);
			assert_prot(&rig, addr, paddr, prot[dir] | IOMMU_PRIV);
			addr = dma_map_resource(rig.dev, paddr, rig.page,
						(enum dma_data_direction)dir, 0);
			assert_prot(&rig, addr, paddr, (prot[dir] & ~IOMMU_CACHE) | IOMMU_MMIO);
			dma_unmap_resource(rig.dev, addr, rig.page, (enum dma_data_direction)dir,
					   0);
			assert_false(rig_is_mapped(&rig, addr));
		}
		rig_end(&rig);
	}
}

static void wrong_unmap_is_reported(void **state)
{
	struct capture capture;
	struct rig rig;
	const char *said;
	uint64_t addr;

	rig_begin(&rig, vtd());
	addr = dma_map_page(rig.dev, 4096, 0, 4096, DMA_TO_DEVICE);
	capture_begin(&capture);
	dma_unmap_page(rig.dev, addr, 8192, DMA_TO_DEVICE);
	dma_unmap_page(rig.dev, 1 << 20, 4096, DMA_TO_DEVICE);
	said = capture_end(&capture);
	assert_non_null(strstr(said, "DMA unmap of what is not mapped as a whole"));
	assert_int_equal(capture_lines(said), 1);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_not_equal(dma_map_page(rig.dev, 0, 0, 4096, DMA_TO_DEVICE), addr);
	rig_end(&rig);
}

static void interrupts_get_a_page(void **state)
{
	dma_addr_t a, b, again, own;
	struct rig rig;

	rig_begin(&rig, vtd());
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0xfee00040, &a), 0);
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0xfee00140, &b), 0);
	assert_int_equal(b - a, 0x100);
	assert_int_equal(iommu_iova_to_phys(rig.domain, a), 0xfee00040);
	assert_prot(&rig, a & ~4095ULL, 0xfee00000, IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO);
	rig_end(&rig);

	rig_prepare(&rig, vtd(), 0);
	add_region(&rig.hw, 0x8000000, 0x3000, IOMMU_WRITE, IOMMU_RESV_SW_MSI);
	add_region(&rig.hw, 0xfee00000, 0x100000, IOMMU_WRITE, IOMMU_RESV_MSI);
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0x1000, &a), -EINVAL);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0x70000020 + i * 4096, &a), 0);
		assert_int_equal(a, 0x8000020 + i * 4096);
	}
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0x70003020, &a), -ENOMEM);
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0x70001ff0, &again), 0);
	assert_int_equal(again, 0x8001ff0);
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0xfee00010, &own), 0);
	assert_int_equal(own, 0xfee00010);
	assert_int_equal(iommu_iova_to_phys(rig.domain, 0xfee00010), 0);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_unmap_leaves_nothing),
		cmocka_unit_test(lazy_unmap_leaves_nothing_after_the_flush),
		cmocka_unit_test(lazy_flushes_when_full),
		cmocka_unit_test(lazy_flushes_what_is_old),
		cmocka_unit_test(lazy_flushes_when_memory_is_short),
		cmocka_unit_test(lazy_flushes_when_addresses_are_short),
		cmocka_unit_test(lazy_counts_flushes_that_began_later),
		cmocka_unit_test(lazy_frees_strictly),
		cmocka_unit_test(all_but_reserved_addresses_are_used),
		cmocka_unit_test(low_addresses_come_first),
		cmocka_unit_test(masks_are_checked),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(other_domains_are_refused),
		cmocka_unit_test(second_device_joins),
		cmocka_unit_test(rights_are_the_kernels),
		cmocka_unit_test(wrong_unmap_is_reported),
		cmocka_unit_test(interrupts_get_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
