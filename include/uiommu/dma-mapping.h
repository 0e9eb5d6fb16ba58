/* SPDX-License-Identifier: MIT */
/*
 * The DMA API: memory is handed to a device, which gets an address for it, and
 * is taken back. The calls are those of include/linux/dma-mapping.h of the kernel
 * for a device behind an IOMMU; as the library has no struct page to show, what
 * is mapped is named by its physical address.
 *
 * A device can use these calls once its group's default domain is one of type
 * IOMMU_DOMAIN_DMA and iommu_setup_dma_ops() was called for the device.
 */
#ifndef UIOMMU_DMA_MAPPING_H
#define UIOMMU_DMA_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/device.h>
#include <uiommu/gfp.h>
#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What the calls that map return when they could not. */
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)

/* The addresses of n bits, 1 to 64. */
#define DMA_BIT_MASK(n) (((n) == 64) ? ~0ULL : ((1ULL << (n)) - 1))

/**
 * enum dma_data_direction - Whether the device reads or writes the memory.
 * @DMA_BIDIRECTIONAL: the device may do both
 * @DMA_TO_DEVICE: the device only reads
 * @DMA_FROM_DEVICE: the device only writes
 * @DMA_NONE: neither; no call accepts it
 */
enum dma_data_direction {
	DMA_BIDIRECTIONAL = 0,
	DMA_TO_DEVICE = 1,
	DMA_FROM_DEVICE = 2,
	DMA_NONE = 3,
};

/* Attributes, with the kernel's values; the others of the kernel have no effect. */
#define DMA_ATTR_SKIP_CPU_SYNC      (1UL << 5) /* the caller calls dma_sync_*() itself */
#define DMA_ATTR_ALLOC_SINGLE_PAGES (1UL << 7) /* do not try for larger blocks than pages */
#define DMA_ATTR_PRIVILEGED         (1UL << 9) /* for privileged transactions only */

/**
 * iommu_setup_dma_ops() - Let a device use the DMA API.
 * @dev: the device, in a group whose default domain is of type IOMMU_DOMAIN_DMA
 * @gfp: allocation context of what the domain needs for it
 *
 * The first device of a domain gives the domain a set of addresses, which is
 * freed with the domain. No device of the domain is ever given an address that
 * is reserved for @dev, whatever the reason: windows for message signalled
 * interrupts and where software may put one are left out too. Again after the
 * group got another default domain.
 *
 * All is charged to the domain's owner; without one, as @gfp says.
 *
 * Context: May block, whatever @gfp. No other call on @dev may be under way.
 * iommu_domain_free() of the domain may block from now on: it waits for a run of
 * the shrinkers.
 * Return: 0; -EINVAL when the default domain is of another type or there is
 * none, when the domain has no addresses, or for a @gfp that iommu_map() would
 * refuse; -EBUSY when an address that is reserved for @dev is in use for another
 * device already; -ENOMEM when memory or the budget is short; an error of
 * get_resv_regions(). What is reserved by then stays so.
 */
int iommu_setup_dma_ops(struct iommu_device *dev, gfp_t gfp);

/**
 * iommu_dma_init_fq() - Let a domain flush the IOTLB late.
 * @domain: a domain that iommu_setup_dma_ops() was called for
 * @gfp: allocation context of the queues, 64 KiB
 *
 * From now on what is unmapped is queued (lazy mode): devices may still reach it
 * until the next flush, and its addresses are not used again before that. A
 * flush comes when a queue is full, when what is in it is more than about 1000
 * calls old, when addresses or memory are short, when a table became empty, and
 * by iommu_dma_flush_queues(). Without this call each unmap flushes before it
 * returns (strict mode), as it does at all times for devices that are not
 * trusted and for memory that the library itself allocated.
 *
 * Context: May block, whatever @gfp. Other calls on the domain may be under way.
 * Return: 0, also when the domain is lazy already; -EINVAL for a domain that was
 * not set up, or a @gfp that iommu_map() would refuse; -ENOMEM when memory or
 * the budget of the domain's owner is short.
 */
int iommu_dma_init_fq(struct iommu_domain *domain, gfp_t gfp);

/**
 * iommu_dma_flush_queues() - Flush what a lazy domain has queued.
 * @domain: the domain
 *
 * For a timer, where unmapped memory must be out of reach after a bounded time:
 * the kernel flushes after 10 ms, the library has no clock.
 *
 * Context: Does not block, except in an IOTLB flush callback.
 */
void iommu_dma_flush_queues(struct iommu_domain *domain);

/**
 * iommu_dma_prepare_msi() - Give a device an address for its interrupts.
 * @dev: the device
 * @msi_addr: physical address that an interrupt is written to
 * @iova: where the address goes that the device is to write to instead
 *
 * An address in one of the device's IOMMU_RESV_MSI windows does not pass the
 * IOMMU and stays as it is. Else the page at @msi_addr is mapped, once per
 * domain: in the device's IOMMU_RESV_SW_MSI window if it has one, or where other
 * DMA is mapped. The mapping stays until the domain is freed.
 *
 * Context: May block.
 * Return: 0; -EINVAL for a device that was not set up; -ENOMEM when memory, the
 * budget of the domain's owner or addresses are short; an error of iommu_map()
 * or get_resv_regions().
 */
int iommu_dma_prepare_msi(struct iommu_device *dev, phys_addr_t msi_addr, dma_addr_t *iova);

/**
 * dma_set_mask() - Say which addresses a device can send.
 * @dev: the device
 * @mask: 2^n - 1; DMA_BIT_MASK(32) unless set
 *
 * Whatever the mask, addresses below 4 GiB are used until one could not be had.
 *
 * Context: Any. No other call on @dev may be under way, as for all that set
 * something here.
 * Return: 0; -EIO for a mask that is none, or that the device's domain has no
 * address for.
 */
int dma_set_mask(struct iommu_device *dev, uint64_t mask);

/**
 * dma_set_coherent_mask() - Say the same for memory that the library allocates.
 * @dev: the device
 * @mask: 2^n - 1; DMA_BIT_MASK(32) unless set
 *
 * Context: As dma_set_mask().
 * Return: as dma_set_mask().
 */
int dma_set_coherent_mask(struct iommu_device *dev, uint64_t mask);

/**
 * dma_set_mask_and_coherent() - Set both masks.
 * @dev: the device
 * @mask: 2^n - 1
 *
 * Context: As dma_set_mask().
 * Return: as dma_set_mask(), with neither changed when it fails.
 */
static inline int dma_set_mask_and_coherent(struct iommu_device *dev, uint64_t mask)
{
	int ret = dma_set_mask(dev, mask);

	return ret ? ret : dma_set_coherent_mask(dev, mask);
}

/**
 * dma_get_required_mask() - Tell which addresses a device should send.
 * @dev: the device
 *
 * Context: Any.
 * Return: DMA_BIT_MASK(32): behind an IOMMU no memory is out of its reach.
 */
uint64_t dma_get_required_mask(struct iommu_device *dev);

/**
 * dma_set_max_seg_size() - Say how long a segment of a list may be.
 * @dev: the device
 * @size: bytes, not 0; 65536 unless set
 *
 * Segments are not joined to longer ones; those that are longer as the caller
 * has them stay as they are.
 *
 * Context: As dma_set_mask().
 */
void dma_set_max_seg_size(struct iommu_device *dev, unsigned int size);

/**
 * dma_set_seg_boundary() - Say what a segment of a list may not cross.
 * @dev: the device
 * @mask: 2^n - 1; DMA_BIT_MASK(32) unless set
 *
 * No segment has addresses on both sides of a multiple of 2^n, unless a piece of it
 * is too long as the caller has it. What counts are the whole pages of the domain's
 * smallest size around a piece: where these are longer than 2^n they begin at a
 * multiple, and the segment crosses those that follow. So a piece of 2^n bytes or
 * less crosses one if it does not begin with its first page: it is then found at
 * its offset in that page behind a multiple.
 *
 * Context: As dma_set_mask().
 */
void dma_set_seg_boundary(struct iommu_device *dev, uint64_t mask);

/**
 * dev_set_untrusted() - Say whether a device may see only what it is given.
 * @dev: the device
 * @untrusted: true for a device that must not see what else lies in the pages
 *             that its buffers begin and end in; false unless set
 *
 * A part of a page is then copied: the device gets a page of the library's with
 * nothing else in it. The copy is made when the part is mapped and by
 * dma_sync_single_for_device(); it is copied back when it is unmapped and
 * by dma_sync_single_for_cpu(). Such pages are charged to the domain's owner, and only
 * the unmap frees them: what is mapped must be unmapped before the domain is freed. Every unmap
 * flushes the IOTLB before it returns.
 *
 * Context: As dma_set_mask(); while the device has nothing mapped.
 */
void dev_set_untrusted(struct iommu_device *dev, bool untrusted);

/**
 * typedef dma_phys_to_virt_t - Finds memory of the caller's.
 * @dev: the device that it is for
 * @paddr: physical address
 *
 * Context: That of the call on the device, which may be an atomic section.
 * Return: where the library can read and write the byte at @paddr and those
 * behind it in the same page of the domain.
 */
typedef void *(*dma_phys_to_virt_t)(struct iommu_device *dev, phys_addr_t paddr);

/**
 * dma_set_phys_to_virt() - Say where the memory of a device's buffers is.
 * @dev: the device; only needed for one that is not trusted
 * @find: the function; NULL for what is so unless set: the physical address less
 *        what those of the library's own memory are above its virtual ones,
 *        which is nothing with UIOMMU_PHYS_IS_VIRT
 *
 * Context: As dma_set_mask(); while the device has nothing mapped.
 */
void dma_set_phys_to_virt(struct iommu_device *dev, dma_phys_to_virt_t find);

/**
 * dma_map_page_attrs() - Hand memory to a device.
 * @dev: the device
 * @page: physical address of a page
 * @offset: bytes from there to the memory
 * @size: bytes, not 0
 * @dir: what the device may do
 * @attrs: DMA_ATTR_* flags
 *
 * Of any alignment; the device can reach the rest of the pages that it begins
 * and ends in, unless it is not trusted.
 *
 * Context: Any; does not block: what is needed is allocated with GFP_ATOMIC, for
 * which the library's memory does not grow. What it has is what a blocking call,
 * such as dma_alloc_noncontiguous(), has made it grow to, and the reserve of
 * uiommu_init(). Any number of threads.
 * Return: the address for the device; DMA_MAPPING_ERROR for a device that was
 * not set up, a size that is 0 or too large or a @dir that is none, or when
 * addresses, memory or the budget of the domain's owner are short.
 */
dma_addr_t dma_map_page_attrs(struct iommu_device *dev, phys_addr_t page, size_t offset,
			      size_t size, enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_unmap_page_attrs() - Take memory back from a device.
 * @dev: the device
 * @addr: what dma_map_page_attrs() returned
 * @size: as mapped
 * @dir: as mapped
 * @attrs: DMA_ATTR_* flags
 *
 * Never allocates and cannot fail. In strict mode the device has no access when
 * it returns. A range that is not mapped as a whole is reported once, and its
 * addresses are not used again.
 *
 * Context: Any; does not block, except in an IOTLB flush callback.
 */
void dma_unmap_page_attrs(struct iommu_device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_map_page() - Hand memory to a device.
 * @dev: the device
 * @page: physical address of a page
 * @offset: bytes from there to the memory
 * @size: bytes, not 0
 * @dir: what the device may do
 *
 * Context: As dma_map_page_attrs().
 * Return: as dma_map_page_attrs() without attributes.
 */
static inline dma_addr_t dma_map_page(struct iommu_device *dev, phys_addr_t page, size_t offset,
				      size_t size, enum dma_data_direction dir)
{
	return dma_map_page_attrs(dev, page, offset, size, dir, 0);
}

/**
 * dma_unmap_page() - Take memory back from a device.
 * @dev: the device
 * @addr: what dma_map_page() returned
 * @size: as mapped
 * @dir: as mapped
 *
 * Context: As dma_unmap_page_attrs().
 */
static inline void dma_unmap_page(struct iommu_device *dev, dma_addr_t addr, size_t size,
				  enum dma_data_direction dir)
{
	dma_unmap_page_attrs(dev, addr, size, dir, 0);
}

/**
 * dma_mapping_error() - Tell whether a call that maps has failed.
 * @dev: the device
 * @addr: what it returned
 *
 * Context: Any. Pure function.
 * Return: -ENOMEM when it has, else 0.
 */
int dma_mapping_error(struct iommu_device *dev, dma_addr_t addr);

/**
 * dma_sync_single_for_cpu() - Let the CPU see what a device wrote.
 * @dev: the device
 * @addr: an address in what is mapped
 * @size: bytes from there, within what is mapped
 * @dir: as mapped
 *
 * For a device that is not trusted; for others memory is the same for both.
 *
 * Context: Any; does not block.
 */
void dma_sync_single_for_cpu(struct iommu_device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir);

/**
 * dma_sync_single_for_device() - Let a device see what the CPU wrote.
 * @dev: the device
 * @addr: an address in what is mapped
 * @size: bytes from there, within what is mapped
 * @dir: as mapped
 *
 * Context: As dma_sync_single_for_cpu().
 */
void dma_sync_single_for_device(struct iommu_device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir);

/**
 * struct scatterlist - One piece of a list, as memory and as the device sees it.
 * @paddr: where it begins, of any alignment
 * @length: bytes; a piece of 0 is skipped
 * @dma_address: set by dma_map_sg_attrs(): where a segment begins
 * @dma_length: set by dma_map_sg_attrs(): its bytes; 0 behind the last segment
 *
 * Segments fill the list's dma_ fields from the first on, whatever piece they
 * come from: there may be fewer of them than pieces.
 */
struct scatterlist {
	phys_addr_t paddr;
	size_t length;
	dma_addr_t dma_address;
	size_t dma_length;
};

/**
 * dma_map_sg_attrs() - Hand a list of pieces to a device.
 * @dev: the device
 * @sg: the pieces, an array
 * @nents: how many
 * @dir: what the device may do
 * @attrs: DMA_ATTR_* flags
 *
 * All pieces get addresses in one range. Pieces of which one ends at a page's
 * end and the next begins at a page's begin are one segment, up to what
 * dma_set_max_seg_size() and dma_set_seg_boundary() allow. For a device that is
 * not trusted each piece is a segment. All or nothing.
 *
 * Context: As dma_map_page_attrs().
 * Return: the number of segments; 0 as dma_map_page_attrs() fails, or when all
 * pieces are empty.
 */
unsigned int dma_map_sg_attrs(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			      enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_unmap_sg_attrs() - Take a list of pieces back from a device.
 * @dev: the device
 * @sg: the list, as dma_map_sg_attrs() left it
 * @nents: as for dma_map_sg_attrs(), not what it returned
 * @dir: as mapped
 * @attrs: DMA_ATTR_* flags
 *
 * Context: As dma_unmap_page_attrs().
 */
void dma_unmap_sg_attrs(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_map_sg() - Hand a list of pieces to a device.
 * @dev: the device
 * @sg: the pieces, an array
 * @nents: how many
 * @dir: what the device may do
 *
 * Context: As dma_map_page_attrs().
 * Return: as dma_map_sg_attrs() without attributes.
 */
static inline unsigned int dma_map_sg(struct iommu_device *dev, struct scatterlist *sg,
				      unsigned int nents, enum dma_data_direction dir)
{
	return dma_map_sg_attrs(dev, sg, nents, dir, 0);
}

/**
 * dma_unmap_sg() - Take a list of pieces back from a device.
 * @dev: the device
 * @sg: the list, as dma_map_sg() left it
 * @nents: as for dma_map_sg(), not what it returned
 * @dir: as mapped
 *
 * Context: As dma_unmap_page_attrs().
 */
static inline void dma_unmap_sg(struct iommu_device *dev, struct scatterlist *sg,
				unsigned int nents, enum dma_data_direction dir)
{
	dma_unmap_sg_attrs(dev, sg, nents, dir, 0);
}

/**
 * dma_sync_sg_for_cpu() - Let the CPU see what a device wrote to a list.
 * @dev: the device
 * @sg: the list, as dma_map_sg_attrs() left it
 * @nents: as for dma_map_sg_attrs()
 * @dir: as mapped
 *
 * Context: As dma_sync_single_for_cpu().
 */
void dma_sync_sg_for_cpu(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			 enum dma_data_direction dir);

/**
 * dma_sync_sg_for_device() - Let a device see what the CPU wrote to a list.
 * @dev: the device
 * @sg: the list, as dma_map_sg_attrs() left it
 * @nents: as for dma_map_sg_attrs()
 * @dir: as mapped
 *
 * Context: As dma_sync_single_for_cpu().
 */
void dma_sync_sg_for_device(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			    enum dma_data_direction dir);

/**
 * dma_map_resource() - Let a device reach registers of another.
 * @dev: the device
 * @paddr: where they begin
 * @size: bytes, not 0
 * @dir: what the device may do
 * @attrs: DMA_ATTR_* flags
 *
 * Mapped with IOMMU_MMIO, and never copied.
 *
 * Context: As dma_map_page_attrs().
 * Return: as dma_map_page_attrs().
 */
dma_addr_t dma_map_resource(struct iommu_device *dev, phys_addr_t paddr, size_t size,
			    enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_unmap_resource() - End what dma_map_resource() began.
 * @dev: the device
 * @addr: what dma_map_resource() returned
 * @size: as mapped
 * @dir: as mapped
 * @attrs: DMA_ATTR_* flags
 *
 * Context: As dma_unmap_page_attrs().
 */
void dma_unmap_resource(struct iommu_device *dev, dma_addr_t addr, size_t size,
			enum dma_data_direction dir, unsigned long attrs);

/**
 * dma_alloc_attrs() - Allocate memory that the CPU and a device share.
 * @dev: the device
 * @size: bytes, 1 to 65536
 * @dma_handle: where the address for the device goes
 * @gfp: allocation context. __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM and __GFP_COMP
 *       concern only the memory, and all memory here is in the device's
 *       reach; the other flags apply to all allocations
 * @attrs: DMA_ATTR_* flags
 *
 * Whole pages, contiguous, every byte 0. Charged to the domain's owner; without
 * one, as @gfp says.
 *
 * Context: May block if @gfp does.
 * Return: the address for the CPU; NULL for a device that was not set up or a
 * size out of range, or when memory, the budget or addresses are short.
 */
void *dma_alloc_attrs(struct iommu_device *dev, size_t size, dma_addr_t *dma_handle, gfp_t gfp,
		      unsigned long attrs);

/**
 * dma_free_attrs() - Free memory of dma_alloc_attrs().
 * @dev: the device
 * @size: as allocated
 * @cpu_addr: what dma_alloc_attrs() returned, or NULL
 * @dma_handle: the address for the device
 * @attrs: as allocated
 *
 * Never allocates and cannot fail. The device has no access when it returns,
 * also in lazy mode.
 *
 * Context: Any; does not block, except in an IOTLB flush callback.
 */
void dma_free_attrs(struct iommu_device *dev, size_t size, void *cpu_addr, dma_addr_t dma_handle,
		    unsigned long attrs);

/**
 * struct sg_table - Memory of dma_alloc_noncontiguous().
 * @sgl: the pieces, which adjoin each other for the device only
 * @nents: how many
 * @dma_address: where they begin for the device
 * @size: bytes of all of them, whole pages
 */
struct sg_table {
	struct iommu_sg *sgl;
	unsigned int nents;
	dma_addr_t dma_address;
	size_t size;
};

/**
 * dma_alloc_noncontiguous() - Allocate memory that is contiguous for a device only.
 * @dev: the device
 * @size: bytes, not 0
 * @dir: what the device may do
 * @gfp: allocation context, as for dma_alloc_attrs()
 * @attrs: DMA_ATTR_* flags
 *
 * Made of blocks of up to 64 KiB, or what smaller ones there are when memory is
 * short, at most 4000 pieces. Every byte is 0. Charged as by dma_alloc_attrs().
 *
 * Context: May block if @gfp does.
 * Return: the memory; NULL as dma_alloc_attrs(), or for more than 4000 pieces.
 */
struct sg_table *dma_alloc_noncontiguous(struct iommu_device *dev, size_t size,
					 enum dma_data_direction dir, gfp_t gfp,
					 unsigned long attrs);

/**
 * dma_free_noncontiguous() - Free memory of dma_alloc_noncontiguous().
 * @dev: the device
 * @sgt: the memory, or NULL
 *
 * Context: As dma_free_attrs().
 */
void dma_free_noncontiguous(struct iommu_device *dev, struct sg_table *sgt);

/**
 * sg_virt() - Tell where the CPU finds a piece.
 * @sg: one of the pieces of a struct sg_table
 *
 * Context: Any.
 * Return: its address.
 */
void *sg_virt(const struct iommu_sg *sg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
