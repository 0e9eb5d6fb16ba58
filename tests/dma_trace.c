/* SPDX-License-Identifier: MIT */
/* The tracepoints of the DMA API: who is told of what, once each, and in which order. */
#include <uiommu/trace.h>

#include "tests/dma.h"

/* What was told last, and how often anything was. */
static struct {
	unsigned int calls;
	char event;
	struct iommu_device *dev;
	bool resource;
	uint64_t paddr, addr, size;
	unsigned int nents, ents;
	enum dma_data_direction dir;
	unsigned long attrs;
	const void *what;
	bool mapped; /* when it was told, by the hardware's account */
} told;

static struct rig *rig_now;

static void tell(char event, struct iommu_device *dev, uint64_t addr, uint64_t size)
{
	unsigned int calls = told.calls + 1;

	memset(&told, 0, sizeof(told));
	told.calls = calls;
	told.event = event;
	told.dev = dev;
	told.addr = addr;
	told.size = size;
	told.mapped = rig_is_mapped(rig_now, addr);
}

static void on_map(struct iommu_device *dev, bool resource, phys_addr_t paddr, dma_addr_t addr,
		   size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	tell('m', dev, addr, size);
	told.resource = resource;
	told.paddr = paddr;
	told.dir = dir;
	told.attrs = attrs;
}

static void on_unmap(struct iommu_device *dev, bool resource, dma_addr_t addr, size_t size,
		     enum dma_data_direction dir, unsigned long attrs)
{
	tell('u', dev, addr, size);
	told.resource = resource;
	told.dir = dir;
	told.attrs = attrs;
}

static void on_map_sg(struct iommu_device *dev, const struct scatterlist *sg, unsigned int nents,
		      unsigned int ents, enum dma_data_direction dir, unsigned long attrs)
{
	tell('M', dev, sg[0].dma_address, sg[0].dma_length);
	told.nents = nents;
	told.ents = ents;
	told.dir = dir;
	told.what = sg;
}

static void on_unmap_sg(struct iommu_device *dev, const struct scatterlist *sg, unsigned int nents,
			enum dma_data_direction dir, unsigned long attrs)
{
	tell('U', dev, sg[0].dma_address, sg[0].dma_length);
	told.nents = nents;
	told.what = sg;
}

static void on_alloc(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr, size_t size,
		     gfp_t gfp, unsigned long attrs)
{
	tell('a', dev, addr, size);
	told.what = cpu_addr;
}

static void on_free(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr, size_t size,
		    unsigned long attrs)
{
	tell('f', dev, addr, size);
	told.what = cpu_addr;
}

static void on_alloc_sgt(struct iommu_device *dev, const struct sg_table *sgt,
			 enum dma_data_direction dir, gfp_t gfp, unsigned long attrs)
{
	tell('A', dev, sgt->dma_address, sgt->size);
	told.what = sgt;
}

static void on_free_sgt(struct iommu_device *dev, const struct sg_table *sgt)
{
	tell('F', dev, sgt->dma_address, sgt->size);
	told.what = sgt;
}

static const struct dma_trace_ops all = {
	.map = on_map,
	.unmap = on_unmap,
	.map_sg = on_map_sg,
	.unmap_sg = on_unmap_sg,
	.alloc = on_alloc,
	.free = on_free,
	.alloc_sgt = on_alloc_sgt,
	.free_sgt = on_free_sgt,
};

/* One call of @event, of this device, while the memory was mapped. */
static void expect(char event, uint64_t addr, uint64_t size)
{
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.event, event);
	assert_ptr_equal(told.dev, rig_now->dev);
	assert_int_equal(told.addr, addr);
	assert_int_equal(told.size, size);
	assert_true(told.mapped);
	told.calls = 0;
}

static void begin(struct rig *rig, bool untrusted)
{
	rig_begin(rig, next_dma_format(NULL));
	rig_now = rig;
	told.calls = 0;
	dev_set_untrusted(rig->dev, untrusted);
	dma_set_trace(&all);
}

static void end(struct rig *rig)
{
	dma_set_trace(NULL);
	rig_end(rig);
}

static void pages_and_resources_are_told(void **state)
{
	struct rig rig;
	dma_addr_t addr;

	begin(&rig, false);
	addr = dma_map_page_attrs(rig.dev, 0x5000, 0x40, 100, DMA_FROM_DEVICE, DMA_ATTR_PRIVILEGED);
	expect('m', addr, 100);
	assert_int_equal(told.paddr, 0x5040);
	assert_int_equal(told.dir, DMA_FROM_DEVICE);
	assert_int_equal(told.attrs, DMA_ATTR_PRIVILEGED);
	assert_false(told.resource);
	dma_unmap_page_attrs(rig.dev, addr, 100, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
	expect('u', addr, 100);
	assert_int_equal(told.attrs, DMA_ATTR_SKIP_CPU_SYNC);
	addr = dma_map_resource(rig.dev, 0xfee00000, 4, DMA_BIDIRECTIONAL, 0);
	expect('m', addr, 4);
	assert_true(told.resource);
	dma_unmap_resource(rig.dev, addr, 4, DMA_BIDIRECTIONAL, 0);
	expect('u', addr, 4);
	assert_true(told.resource);
	/* What fails is not told. */
	assert_int_equal(dma_map_page(rig.dev, 0x5000, 0, 0, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	assert_int_equal(dma_map_resource(rig.dev, 0x5000, 4, DMA_NONE, 0), DMA_MAPPING_ERROR);
	assert_int_equal(told.calls, 0);
	end(&rig);
}

/* A list is one event, also where it is mapped piece by piece. */
static void lists_are_told_once(void **state)
{
	for (int untrusted = 0; untrusted < 2; untrusted++) {
		struct scatterlist sg[] = {{.paddr = 0x5000, .length = 4096},
					   {.paddr = 0x9000, .length = 4096},
					   {.paddr = 0x20000, .length = 8192}};
		struct rig rig;
		unsigned int ents;

		begin(&rig, untrusted);
		ents = dma_map_sg(rig.dev, sg, 3, DMA_TO_DEVICE);
		assert_int_equal(ents, untrusted ? 3 : 1);
		expect('M', sg[0].dma_address, untrusted ? 4096 : 16384);
		assert_int_equal(told.nents, 3);
		assert_int_equal(told.ents, ents);
		assert_ptr_equal(told.what, sg);
		dma_unmap_sg(rig.dev, sg, 3, DMA_TO_DEVICE);
		expect('U', sg[0].dma_address, untrusted ? 4096 : 16384);
		assert_int_equal(told.nents, 3);
		assert_int_equal(dma_map_sg(rig.dev, sg, 0, DMA_TO_DEVICE), 0);
		assert_int_equal(told.calls, 0);
		end(&rig);
	}
}

static void allocations_are_told(void **state)
{
	struct sg_table *sgt;
	dma_addr_t addr;
	struct rig rig;
	void *memory;

	begin(&rig, false);
	memory = dma_alloc_attrs(rig.dev, 5000, &addr, GFP_KERNEL, 0);
	expect('a', addr, 5000);
	assert_ptr_equal(told.what, memory);
	dma_free_attrs(rig.dev, 5000, memory, addr, 0);
	expect('f', addr, 5000);
	sgt = dma_alloc_noncontiguous(rig.dev, 300000, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);
	assert_non_null(sgt);
	addr = sgt->dma_address;
	expect('A', addr, sgt->size);
	assert_ptr_equal(told.what, sgt);
	dma_free_noncontiguous(rig.dev, sgt);
	assert_int_equal(told.event, 'F');
	assert_int_equal(told.addr, addr);
	told.calls = 0;
	dma_free_noncontiguous(rig.dev, NULL);
	dma_free_attrs(rig.dev, 5000, NULL, addr, 0);
	assert_null(dma_alloc_attrs(rig.dev, 0, &addr, GFP_KERNEL, 0));
	assert_int_equal(told.calls, 0);
	end(&rig);
}

/* Who sets some callbacks only is told of these. */
static void callbacks_may_be_missing(void **state)
{
	static const struct dma_trace_ops none = {.map = NULL}, one = {.unmap = on_unmap};
	struct rig rig;
	dma_addr_t addr;

	begin(&rig, false);
	dma_set_trace(&none);
	addr = dma_map_page(rig.dev, 0x5000, 0, 100, DMA_TO_DEVICE);
	dma_unmap_page(rig.dev, addr, 100, DMA_TO_DEVICE);
	assert_int_equal(told.calls, 0);
	dma_set_trace(&one);
	addr = dma_map_page(rig.dev, 0x5000, 0, 100, DMA_TO_DEVICE);
	dma_unmap_page(rig.dev, addr, 100, DMA_TO_DEVICE);
	expect('u', addr, 100);
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_and_resources_are_told),
		cmocka_unit_test(lists_are_told_once),
		cmocka_unit_test(allocations_are_told),
		cmocka_unit_test(callbacks_may_be_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
