/* SPDX-License-Identifier: MIT */
/*
 * What the s390 PCI code does with its translation tables
 * (arch/s390/pci/pci_dma.c and drivers/iommu/s390-iommu.c of the kernel): pages
 * become valid one by one, and all of them or none.
 */
#ifndef CLIENTS_S390_PCI_H
#define CLIENTS_S390_PCI_H

#include <uiommu/iommu.h>

/**
 * struct zpci_dev - A PCI function and its tables.
 * @domain: the tables, of format s390
 * @start_dma: first address that the function may use
 * @end_dma: last one
 * @refresh: make hardware look at translations that became valid: RPCIT, for a
 *           function that needs it (its tlb_refresh is 1). NULL for one that does
 *           not. Called from atomic sections; returns 0 or a negative errno.
 * @context: handed to @refresh
 */
struct zpci_dev {
	struct iommu_domain *domain;
	dma_addr_t start_dma;
	dma_addr_t end_dma;
	int (*refresh)(void *context, dma_addr_t dma_addr, size_t size);
	void *context;
};

/**
 * zpci_dma_init_device() - Give a function its tables.
 * @zdev: the function; its addresses and @zdev->refresh are set, @zdev->domain
 *        is set here
 * @gfp: GFP_KERNEL, or GFP_KERNEL_ACCOUNT to charge the active memory cgroup for
 *       them, now and later
 *
 * Context: May block.
 * Return: 0; -EINVAL for addresses that are not whole pages in the order of
 * their size, or not within what the tables can take; an error of
 * iommu_domain_alloc().
 */
int zpci_dma_init_device(struct zpci_dev *zdev, gfp_t gfp);

/**
 * zpci_dma_exit_device() - Take a function's tables away, with all translations.
 * @zdev: the function, also one without tables
 *
 * Context: Does not block.
 */
void zpci_dma_exit_device(struct zpci_dev *zdev);

/**
 * dma_update_trans() - Make translations valid or invalid, for the DMA API.
 * @zdev: the function
 * @pa: physical address, of any alignment; not used to invalidate
 * @dma_addr: first address for the device, a multiple of 4096
 * @size: bytes, rounded up to whole pages
 * @prot: IOMMU_READ, with IOMMU_WRITE unless the pages are protected; 0 to
 *        invalidate
 *
 * All or nothing, also when @zdev->refresh fails. Tables are allocated with
 * GFP_ATOMIC: dma_map_page() is called from interrupts.
 *
 * Context: Any.
 * Return: 0; -EINVAL for a size of 0, a range that wraps or is not the
 * function's, or a function without tables; -EADDRINUSE when a page is valid
 * already; -ENOMEM; an error of @zdev->refresh. Invalidating fails for -EINVAL
 * only.
 */
int dma_update_trans(struct zpci_dev *zdev, phys_addr_t pa, dma_addr_t dma_addr, size_t size,
		     int prot);

/**
 * s390_iommu_map_pages() - Make translations valid, for the IOMMU API.
 * @zdev: the function
 * @iova: first address for the device, a multiple of 4096
 * @paddr: physical address, a multiple of 4096
 * @pgcount: pages of 4096 bytes, not 0
 * @prot: IOMMU_READ and/or IOMMU_WRITE
 * @gfp: allocation context of the tables
 *
 * All or nothing.
 *
 * Context: May block if @gfp does.
 * Return: 0; -EINVAL for what is misaligned or not the function's; an error of
 * iommu_map().
 */
int s390_iommu_map_pages(struct zpci_dev *zdev, dma_addr_t iova, phys_addr_t paddr, size_t pgcount,
			 int prot, gfp_t gfp);

/**
 * s390_iommu_unmap_pages() - Make translations invalid, for the IOMMU API.
 * @zdev: the function
 * @iova: first address for the device, a multiple of 4096
 * @pgcount: pages
 *
 * Pages that are not valid are passed over. Never allocates: unlike the
 * kernel's, it makes no tables on its way to where there is nothing.
 *
 * Context: Does not block.
 * Return: the bytes that are invalid now, which is all; 0 for a range that is
 * misaligned or not the function's.
 */
size_t s390_iommu_unmap_pages(struct zpci_dev *zdev, dma_addr_t iova, size_t pgcount);

#endif
