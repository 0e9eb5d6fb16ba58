/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: which mappings a device has written through, as its IOMMU
 * notes it in the leaves. The model is struct iommu_dirty_ops of the kernel's
 * include/linux/iommu.h.
 */
#ifndef UIOMMU_DIRTY_H
#define UIOMMU_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Only look: the next read reports the same again. */
#define IOMMU_DIRTY_NO_CLEAR (1UL << 0)

/**
 * struct iommu_dirty_bitmap - Where dirty ranges are reported to.
 * @record: told of each range of addresses, @iova to @last (inclusive), that is
 *          dirty, in ascending order, adjoining ones as one; NULL to clear
 *          without a report. May call the library and change the domain, also in the
 *          range that is being read: what comes behind @last is read afterwards. What
 *          it makes dirty itself is reported by this call or the next. It must not free
 *          the domain, which is reported once and not done.
 * @context: handed to it
 * @gather: collects what must be flushed from the IOTLB, because a cached
 *          translation that is known to be dirty is not marked again
 */
struct iommu_dirty_bitmap {
	void (*record)(void *context, dma_addr_t iova, dma_addr_t last);
	void *context;
	struct iommu_iotlb_gather *gather;
};

/**
 * iommu_domain_tracks_dirty() - Tell whether a domain's format has dirty bits.
 * @domain: the domain
 *
 * Context: Any.
 * Return: true when iommu_set_dirty_tracking() can be switched on.
 */
bool iommu_domain_tracks_dirty(const struct iommu_domain *domain);

/**
 * iommu_set_dirty_tracking() - Begin or end the tracking of a device's writes.
 * @domain: a translating domain
 * @enable: begin with everything clean, also if it has begun before; or end
 *
 * Mappings made while tracking is on begin clean. One that another thread is
 * making while it is switched on may begin dirty, which errs to the safe side.
 * That the hardware writes dirty bits is up to its driver (for VT-d second
 * stage: scalable mode with SSADE in the PASID-table entry, which needs
 * ECAP.SLADS; for AMD: HAD in the device table entry).
 *
 * Context: Does not block, except in an IOTLB flush callback. Not at the same
 * time as another call of itself on @domain.
 * Return: 0; -EINVAL for a domain that does not translate; -EOPNOTSUPP when its
 * format has no dirty bits.
 */
int iommu_set_dirty_tracking(struct iommu_domain *domain, bool enable);

/**
 * iommu_read_and_clear_dirty() - Report what a device has written to.
 * @domain: a translating domain
 * @iova: first input address, of any alignment
 * @size: bytes, not 0
 * @flags: IOMMU_DIRTY_NO_CLEAR, or 0 to make it clean again
 * @dirty: where it is reported to; iommu_iotlb_sync() with its gather must
 *         follow, before what was cleared counts as clean
 *
 * Each bit is read and cleared by one atomic operation, so a write at the same
 * time is reported by this call or the next. An entry that reaches over an end
 * of the range is reported within the range only, yet cleared as a whole, as
 * the kernel does. Addresses that are not mapped are clean.
 *
 * Context: Does not block. May run at the same time as changes elsewhere in the
 * domain.
 * Return: 0; -EINVAL for a size of 0, a range that wraps, unknown flags, a
 * domain that does not translate, or one that is not being tracked while
 * @dirty has a record function; -EOPNOTSUPP when the format has no dirty bits.
 */
int iommu_read_and_clear_dirty(struct iommu_domain *domain, dma_addr_t iova, uint64_t size,
			       unsigned long flags, const struct iommu_dirty_bitmap *dirty);

/**
 * iommu_mark_dirty() - Do what hardware does that writes through a mapping.
 * @domain: the domain
 * @iova: input address, of any alignment
 *
 * For models of hardware. Whether the access was allowed is not checked.
 *
 * Context: Any. May run at the same time as changes elsewhere in the domain.
 * Return: true; false when @iova is not mapped, the format has no dirty bits, or
 * none for what may not be written (Arm).
 */
bool iommu_mark_dirty(struct iommu_domain *domain, dma_addr_t iova);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
