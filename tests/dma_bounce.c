/* SPDX-License-Identifier: MIT */
/*
 * Devices that are not trusted: they see the bytes that they were given and zeros
 * around them, and what they write there comes back, in the right direction and
 * nowhere else.
 */
#include "tests/dma.h"

#define PAGES  8
#define ROUNDS SCALED(500)

struct scene {
	struct rig rig;
	unsigned char *memory, *before; /* the caller's, and as it was at first */
	size_t bytes;
};

/* What is neither a table nor an object: the copies. */
static uint64_t copy_bytes(const struct scene *s)
{
	return cgroup_stat(s->rig.memcg, "kernel") - cgroup_stat(s->rig.memcg, "slab") -
	       cgroup_stat(s->rig.memcg, "sec_pagetables");
}

static void scene_begin(struct scene *s, const struct iommu_format *format, uint64_t *random)
{
	rig_begin(&s->rig, format);
	dev_set_untrusted(s->rig.dev, true);
	s->bytes = PAGES * s->rig.page;
	s->memory = new_memory(s->bytes, random);
	s->before = malloc(s->bytes);
	memcpy(s->before, s->memory, s->bytes);
}

static void scene_end(struct scene *s)
{
	assert_int_equal(rig_stale(&s->rig), 0);
	rig_end(&s->rig);
	free(s->memory);
	free(s->before);
}

static uint64_t page_bytes(const struct scene *s, uint64_t addr, uint64_t size)
{
	uint64_t page = s->rig.page;

	return ((addr % page + size + page - 1) & -page);
}

/* All that is within reach around @addr: the device's own bytes, else zeros. */
static void check_sight(struct scene *s, uint64_t addr, size_t offset, size_t size)
{
	uint64_t page = s->rig.page, start = addr & -page, span = page_bytes(s, addr, size);
	unsigned char *got = malloc(span);

	assert_int_equal(rig_dma(&s->rig, start, got, span, false), span);
	for (uint64_t i = 0; i < span; i++) {
		uint64_t at = start + i;
		bool own = at >= addr && at - addr < size;

		assert_int_equal(got[i], own ? s->memory[offset + (at - addr)] : 0);
	}
	free(got);
}

/* The device fills all that it can reach. */
static void write_all(struct scene *s, uint64_t addr, size_t size, unsigned char byte)
{
	uint64_t span = page_bytes(s, addr, size);
	unsigned char *data = malloc(span);

	memset(data, byte, span);
	assert_int_equal(rig_dma(&s->rig, addr & -s->rig.page, data, span, true), span);
	free(data);
}

/* The caller's memory is as it was, but for the mapped bytes, which are @byte or, for 0, too. */
static void check_memory(struct scene *s, size_t offset, size_t size, unsigned char byte)
{
	for (size_t i = 0; i < s->bytes; i++) {
		bool own = i >= offset && i - offset < size;

		if (s->memory[i] != (own && byte ? byte : s->before[i]))
			fail_msg("byte %zu is %u", i, s->memory[i]);
	}
	memcpy(s->memory, s->before, s->bytes);
}

static void one_mapping(struct scene *s, uint64_t *random)
{
	enum dma_data_direction dir = (enum dma_data_direction)random_below(random, 3);
	size_t offset = random_below(random, 3) ? random_below(random, s->bytes / 2)
						: random_below(random, PAGES / 2) * s->rig.page;
	size_t size = random_below(random, 3) ? 1 + random_below(random, s->bytes / 2)
					      : (1 + random_below(random, 3)) * s->rig.page;
	bool skip = !random_below(random, 4);
	uint64_t addr;

	addr = dma_map_page(s->rig.dev, paddr_of(s->memory), offset, size, dir);
	assert_true(addr != DMA_MAPPING_ERROR);
	assert_false(rig_is_mapped(&s->rig, (addr & -s->rig.page) + page_bytes(s, addr, size)));
	if (dir != DMA_FROM_DEVICE)
		check_sight(s, addr, offset, size);
	if (dir != DMA_TO_DEVICE)
		write_all(s, addr, size, 0);
	else /* what the CPU writes meanwhile stays */
		memset(s->memory + offset, 0xff, size);
	dma_unmap_page_attrs(s->rig.dev, addr, size, dir, skip ? DMA_ATTR_SKIP_CPU_SYNC : 0);
	assert_false(rig_is_mapped(&s->rig, addr));
	assert_int_equal(copy_bytes(s), 0);
	/* What was written are zeros, which the memory has nowhere else. */
	for (size_t i = 0; i < s->bytes; i++) {
		bool own = i >= offset && i - offset < size;

		if (own && dir != DMA_TO_DEVICE && !skip)
			assert_int_equal(s->memory[i], 0);
		else if (!own || dir == DMA_TO_DEVICE)
			assert_int_equal(s->memory[i], own ? 0xff : s->before[i]);
	}
	memcpy(s->memory, s->before, s->bytes);
}

static void only_own_bytes_are_seen(void **state)
{
	for_each_dma_format(format)
	{
		uint64_t random = 7;
		struct scene s;

		scene_begin(&s, format, &random);
		for (unsigned int round = 0; round < ROUNDS; round++)
			one_mapping(&s, &random);
		scene_end(&s);
	}
}

static const struct iommu_format *vtd(void)
{
	return iommu_format_find("vtd");
}

/* A device that fills a part only: the rest is what the CPU had there. */
static void partial_write_keeps_the_rest(void **state)
{
	unsigned char data[10];
	uint64_t random = 8, addr;
	struct scene s;

	scene_begin(&s, vtd(), &random);
	memset(data, 0, sizeof(data));
	addr = dma_map_page(s.rig.dev, paddr_of(s.memory), 100, 50, DMA_FROM_DEVICE);
	assert_int_equal(rig_dma(&s.rig, addr + 20, data, 10, true), 10);
	dma_unmap_page(s.rig.dev, addr, 50, DMA_FROM_DEVICE);
	for (size_t i = 0; i < s.bytes; i++)
		assert_int_equal(s.memory[i], i >= 120 && i < 130 ? 0 : s.before[i]);
	scene_end(&s);
}

static void sync_goes_the_right_way(void **state)
{
	const size_t offset = 4096 - 100, size = 2 * 4096 + 200;
	uint64_t random = 9, addr;
	struct scene s;

	scene_begin(&s, vtd(), &random);
	addr = dma_map_page(s.rig.dev, paddr_of(s.memory), offset, size, DMA_BIDIRECTIONAL);
	check_sight(&s, addr, offset, size);
	/* The CPU's write is seen once it was handed over. */
	memset(s.memory + offset, 0x55, size);
	dma_sync_single_for_device(s.rig.dev, addr, size, DMA_BIDIRECTIONAL);
	check_sight(&s, addr, offset, size);
	memset(s.memory + offset, 0x66, size);
	dma_sync_single_for_device(s.rig.dev, addr, size, DMA_FROM_DEVICE); /* the wrong way */
	memset(s.memory + offset, 0x55, 100);
	memset(s.memory + offset + size - 100, 0x55, 100);
	check_sight(&s, addr, offset, size);
	/* And the other way round; parts of it too. */
	write_all(&s, addr, size, 0x77);
	dma_sync_single_for_cpu(s.rig.dev, addr, size, DMA_TO_DEVICE); /* the wrong way */
	assert_int_equal(s.memory[offset], 0x55);
	dma_sync_single_for_cpu(s.rig.dev, addr + 10, 20, DMA_BIDIRECTIONAL);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(s.memory[offset + i], i >= 10 && i < 30 ? 0x77 : 0x55);
	dma_sync_single_for_cpu(s.rig.dev, addr, size, DMA_BIDIRECTIONAL);
	check_memory(&s, offset, size, 0x77);
	dma_unmap_page_attrs(s.rig.dev, addr, size, DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC);
	check_memory(&s, offset, size, 0);
	scene_end(&s);
}

/* Each piece of a list is a segment, and the rest of its pages stays out of sight. */
static void lists_are_copied_too(void **state)
{
	uint64_t random = 10;
	struct scene s;

	scene_begin(&s, vtd(), &random);
	struct scatterlist sg[] = {
		{.paddr = paddr_of(s.memory) + 10, .length = 5000},
		{.paddr = paddr_of(s.memory), .length = 0},
		{.paddr = paddr_of(s.memory) + 8192, .length = 4096},
		{.paddr = paddr_of(s.memory) + 16384, .length = 700},
	};
	assert_int_equal(dma_map_sg(s.rig.dev, sg, 4, DMA_BIDIRECTIONAL), 3);
	assert_int_equal(sg[3].dma_length, 0);
	check_sight(&s, sg[0].dma_address, 10, 5000);
	check_sight(&s, sg[1].dma_address, 8192, 4096);
	check_sight(&s, sg[2].dma_address, 16384, 700);
	memset(s.memory + 16384, 0x11, 700);
	dma_sync_sg_for_device(s.rig.dev, sg, 4, DMA_BIDIRECTIONAL);
	check_sight(&s, sg[2].dma_address, 16384, 700);
	write_all(&s, sg[2].dma_address, 700, 0x22);
	dma_sync_sg_for_cpu(s.rig.dev, sg, 4, DMA_BIDIRECTIONAL);
	check_memory(&s, 16384, 700, 0x22);
	dma_unmap_sg_attrs(s.rig.dev, sg, 4, DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC);
	check_memory(&s, 0, 0, 0);
	/* All or nothing. */
	sg[3].paddr = 1ULL << 60;
	sg[3].length = 4096;
	assert_int_equal(dma_map_sg(s.rig.dev, sg, 4, DMA_BIDIRECTIONAL), 0);
	assert_int_equal(count_tables(s.rig.domain), 1);
	scene_end(&s);
}

/* Memory that the library does not find by itself. */
static unsigned char elsewhere[4096];

static void *find_elsewhere(struct iommu_device *dev, phys_addr_t paddr)
{
	assert_true(paddr >= 0x7000000000 && paddr < 0x7000001000);
	return elsewhere + (paddr - 0x7000000000);
}

static void memory_is_found_by_the_caller(void **state)
{
	uint64_t random = 11, addr;
	unsigned char got[16];
	struct scene s;

	scene_begin(&s, vtd(), &random);
	dma_set_phys_to_virt(s.rig.dev, find_elsewhere);
	memset(elsewhere, 0x99, sizeof(elsewhere));
	addr = dma_map_page(s.rig.dev, 0x7000000000, 0x800, 16, DMA_BIDIRECTIONAL);
	assert_int_equal(rig_dma(&s.rig, addr, got, 16, false), 16);
	assert_int_equal(got[15], 0x99);
	memset(got, 0x33, sizeof(got));
	assert_int_equal(rig_dma(&s.rig, addr, got, 16, true), 16);
	dma_unmap_page(s.rig.dev, addr, 16, DMA_BIDIRECTIONAL);
	assert_int_equal(elsewhere[0x7ff], 0x99);
	assert_int_equal(elsewhere[0x800], 0x33);
	assert_int_equal(elsewhere[0x80f], 0x33);
	assert_int_equal(elsewhere[0x810], 0x99);
	scene_end(&s);
}

/* Also where the rest of the domain is lazy. */
static void unmap_is_always_strict(void **state)
{
	uint64_t random = 12, kept, addr;
	struct scene s;

	scene_begin(&s, vtd(), &random);
	assert_int_equal(iommu_dma_init_fq(s.rig.domain, GFP_KERNEL), 0);
	kept = dma_map_page(s.rig.dev, paddr_of(s.memory), 0, 4096, DMA_TO_DEVICE);
	for (size_t size = 4095; size <= 4096; size++) {
		addr = dma_map_page(s.rig.dev, paddr_of(s.memory), 0, size, DMA_TO_DEVICE);
		assert_true(rig_is_mapped(&s.rig, addr));
		dma_unmap_page(s.rig.dev, addr, size, DMA_TO_DEVICE);
		assert_false(rig_is_mapped(&s.rig, addr));
	}
	dma_unmap_page(s.rig.dev, kept, 4096, DMA_TO_DEVICE);
	scene_end(&s);
}

/* The copies are charged to the domain's owner. */
static void copies_are_charged(void **state)
{
	uint64_t random = 13, addr;
	struct scene s;

	scene_begin(&s, vtd(), &random);
	mem_cgroup_set_active(NULL);
	addr = dma_map_page(s.rig.dev, paddr_of(s.memory), 100, 4096, DMA_TO_DEVICE);
	assert_int_equal(copy_bytes(&s), 2 * 4096);
	dma_unmap_page(s.rig.dev, addr, 4096, DMA_TO_DEVICE);
	assert_int_equal(copy_bytes(&s), 0);
	addr = dma_map_page(s.rig.dev, paddr_of(s.memory), 4096, 4096, DMA_TO_DEVICE);
	assert_int_equal(copy_bytes(&s), 0);
	dma_unmap_page(s.rig.dev, addr, 4096, DMA_TO_DEVICE);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_own_bytes_are_seen),
		cmocka_unit_test(partial_write_keeps_the_rest),
		cmocka_unit_test(sync_goes_the_right_way),
		cmocka_unit_test(lists_are_copied_too),
		cmocka_unit_test(memory_is_found_by_the_caller),
		cmocka_unit_test(unmap_is_always_strict),
		cmocka_unit_test(copies_are_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
