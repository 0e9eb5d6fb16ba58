/* SPDX-License-Identifier: MIT */
/*
 * Tracepoints: a program that wants to know what devices are given sets callbacks, once.
 * Without callbacks they cost a call of the DMA API one comparison. The arguments are
 * those of the kernel's tracepoints in include/trace/events/dma.h.
 */
#ifndef UIOMMU_TRACE_H
#define UIOMMU_TRACE_H

#include <uiommu/dma-mapping.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct dma_trace_ops - What is called when memory is mapped for a device.
 * @map: dma_map_page_attrs(), or with @resource dma_map_resource(), has mapped
 *       @size bytes at @paddr, and the device has them at @addr
 * @unmap: the counterpart of either is called
 * @map_sg: dma_map_sg_attrs() has mapped a list of @nents pieces in @ents segments
 * @unmap_sg: dma_unmap_sg_attrs() is called
 * @alloc: dma_alloc_attrs() has allocated memory
 * @free: dma_free_attrs() is called
 * @alloc_sgt: dma_alloc_noncontiguous() has allocated memory
 * @free_sgt: dma_free_noncontiguous() is called
 *
 * Each may be NULL. What maps is told of when it has succeeded, what unmaps before
 * it is done, so that no address is mapped twice in the order of the calls.
 *
 * Context: The caller's, also atomic sections. They may run at the same time in
 * several threads, and may call the library, which tells them of that, too.
 */
struct dma_trace_ops {
	void (*map)(struct iommu_device *dev, bool resource, phys_addr_t paddr, dma_addr_t addr,
		    size_t size, enum dma_data_direction dir, unsigned long attrs);
	void (*unmap)(struct iommu_device *dev, bool resource, dma_addr_t addr, size_t size,
		      enum dma_data_direction dir, unsigned long attrs);
	void (*map_sg)(struct iommu_device *dev, const struct scatterlist *sg, unsigned int nents,
		       unsigned int ents, enum dma_data_direction dir, unsigned long attrs);
	void (*unmap_sg)(struct iommu_device *dev, const struct scatterlist *sg, unsigned int nents,
			 enum dma_data_direction dir, unsigned long attrs);
	void (*alloc)(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr, size_t size,
		      gfp_t gfp, unsigned long attrs);
	void (*free)(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr, size_t size,
		     unsigned long attrs);
	void (*alloc_sgt)(struct iommu_device *dev, const struct sg_table *sgt,
			  enum dma_data_direction dir, gfp_t gfp, unsigned long attrs);
	void (*free_sgt)(struct iommu_device *dev, const struct sg_table *sgt);
};

/**
 * dma_set_trace() - Set the callbacks of the DMA API's tracepoints.
 * @ops: the callbacks, which stay as long as the program, or NULL for none
 *
 * Where the environment variable UIOMMU_TRACE names a file, as `uiommu run --trace`
 * does, the shared library sets its own when it is loaded; these then take their place.
 *
 * Context: Any. Calls that are under way may still use the former ones.
 */
void dma_set_trace(const struct dma_trace_ops *ops);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
