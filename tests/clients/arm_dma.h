/* SPDX-License-Identifier: MIT */
/*
 * The DMA API of 32-bit Arm behind an IOMMU (arch/arm/mm/dma-mapping.c of the
 * kernel): addresses out of bitmaps, first fit, and one iommu_map() for each run
 * of pages that is physically contiguous. All of its calls of iommu_map() have
 * GFP_KERNEL.
 *
 * The kernel's calls take a direction, which it turns into IOMMU_* flags; these
 * take the flags.
 */
#ifndef CLIENTS_ARM_DMA_H
#define CLIENTS_ARM_DMA_H

#include <uiommu/iommu.h>

/* What the calls return that could not map. */
#define ARM_MAPPING_ERROR (~(dma_addr_t)0)

struct dma_iommu_mapping;

/**
 * arm_iommu_create_mapping() - Make a window of addresses for devices.
 * @domain: what it maps in, with nothing in the window; stays the caller's, and
 *          must outlive the return value
 * @base: first address, a multiple of 4096, not 0, which stands for no address
 * @size: bytes, whole pages, at most 4 GiB
 *
 * All that it needs is charged to the domain's owner. There is a bitmap for each
 * 128 MiB of the window, made when those before it are full; no range goes from
 * one to the next.
 *
 * Context: May block.
 * Return: the window; as ERR_PTR(): -ERANGE for a size above 4 GiB; -EINVAL for
 * a size below a page, an address that is 0 or misaligned, or a window that
 * wraps; -ENOMEM.
 */
struct dma_iommu_mapping *arm_iommu_create_mapping(struct iommu_domain *domain, dma_addr_t base,
						   uint64_t size);

/**
 * arm_iommu_release_mapping() - Free a window.
 * @mapping: the window; what it gave out has been unmapped
 *
 * Context: Does not block. No other call on @mapping may be under way.
 */
void arm_iommu_release_mapping(struct dma_iommu_mapping *mapping);

/**
 * arm_iommu_map_pages() - Map the pages of a buffer, one behind another.
 * @mapping: the window
 * @pages: where they are, each a multiple of 4096
 * @count: how many
 * @prot: IOMMU_* flags
 *
 * What arm_iommu_alloc_attrs() does with its pages. All or nothing.
 *
 * Context: May block. Any number of threads.
 * Return: the first address, which is a multiple of the size rounded up to a
 * power of two, or of 1 MiB if that is less; ARM_MAPPING_ERROR when @count is 0,
 * there is no room, memory or the budget is short, or iommu_map() fails.
 */
dma_addr_t arm_iommu_map_pages(struct dma_iommu_mapping *mapping, const phys_addr_t *pages,
			       size_t count, int prot);

/**
 * arm_iommu_unmap_pages() - Unmap what arm_iommu_map_pages() mapped.
 * @mapping: the window
 * @dma_addr: the first address
 * @count: pages
 *
 * Never allocates. A range that the window has not given out is reported once
 * and left alone.
 *
 * Context: Any; does not block.
 */
void arm_iommu_unmap_pages(struct dma_iommu_mapping *mapping, dma_addr_t dma_addr, size_t count);

/**
 * arm_iommu_map_page() - Map memory of any alignment that is contiguous.
 * @mapping: the window
 * @paddr: where it is
 * @size: bytes
 * @prot: IOMMU_* flags
 *
 * Context: May block. Any number of threads.
 * Return: the address of the first byte; ARM_MAPPING_ERROR as
 * arm_iommu_map_pages(), and when @paddr + @size wraps.
 */
dma_addr_t arm_iommu_map_page(struct dma_iommu_mapping *mapping, phys_addr_t paddr, size_t size,
			      int prot);

/**
 * arm_iommu_map_resource() - Map the registers of another device.
 * @mapping: the window
 * @paddr: where they are
 * @size: bytes
 * @prot: IOMMU_* flags; IOMMU_MMIO is added
 *
 * Context: As arm_iommu_map_page().
 * Return: As arm_iommu_map_page().
 */
dma_addr_t arm_iommu_map_resource(struct dma_iommu_mapping *mapping, phys_addr_t paddr, size_t size,
				  int prot);

/**
 * arm_iommu_unmap_page() - Unmap what either of these two mapped.
 * @mapping: the window
 * @dma_addr: the address of the first byte
 * @size: bytes, as mapped
 *
 * Context: As arm_iommu_unmap_pages().
 */
void arm_iommu_unmap_page(struct dma_iommu_mapping *mapping, dma_addr_t dma_addr, size_t size);

/**
 * struct arm_dma_sg - A piece of a scatter list, for the CPU and for the device.
 * @paddr: where it is, of any alignment
 * @length: bytes, not 0
 * @dma_address: of a range of addresses for the device
 * @dma_length: bytes of that
 */
struct arm_dma_sg {
	phys_addr_t paddr;
	size_t length;
	dma_addr_t dma_address;
	size_t dma_length;
};

/**
 * arm_iommu_map_sg() - Map a scatter list to as few ranges as possible.
 * @mapping: the window
 * @sg: the pieces; the first few get the ranges, all others a @dma_length of 0
 * @nents: pieces
 * @max_seg: bytes that joined pieces may have at most, counted from the start of
 *           the first page
 * @prot: IOMMU_* flags
 *
 * Pieces are joined where one ends and the next begins at the edge of a page. All
 * or nothing.
 *
 * Context: May block. Any number of threads.
 * Return: the number of ranges; -EINVAL for no pieces, one that is empty or
 * wraps, or an error of iommu_map(); -ENOMEM when there is no room, or memory or
 * the budget is short.
 */
int arm_iommu_map_sg(struct dma_iommu_mapping *mapping, struct arm_dma_sg *sg, unsigned int nents,
		     size_t max_seg, int prot);

/**
 * arm_iommu_unmap_sg() - Unmap what arm_iommu_map_sg() mapped.
 * @mapping: the window
 * @sg: the pieces
 * @nents: pieces, as mapped
 *
 * Context: As arm_iommu_unmap_pages().
 */
void arm_iommu_unmap_sg(struct dma_iommu_mapping *mapping, const struct arm_dma_sg *sg,
			unsigned int nents);

#endif
