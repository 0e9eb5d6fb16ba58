/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU core: domains, mapping, unmapping, IOTLB gathers, faults.
 * The model is include/linux/iommu.h of the kernel after the series "Let
 * iommufd charge IOPTE allocations to the memory cgroup": one iommu_map() that
 * takes a gfp, and no atomic variants.
 */
#ifndef UIOMMU_IOMMU_H
#define UIOMMU_IOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if __STDC_HOSTED__
#include <sys/types.h>
#else
typedef ptrdiff_t ssize_t;
#endif

#include <uiommu/gfp.h>
#include <uiommu/memcontrol.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef uint64_t dma_addr_t;
typedef uint64_t phys_addr_t;

/* What a device may do with a mapping, as in include/linux/iommu.h. */
#define IOMMU_READ   (1 << 0)
#define IOMMU_WRITE  (1 << 1)
#define IOMMU_CACHE  (1 << 2) /* coherent with the CPU's caches */
#define IOMMU_NOEXEC (1 << 3)
#define IOMMU_MMIO   (1 << 4) /* device memory, not RAM */
#define IOMMU_PRIV   (1 << 5) /* privileged transactions only */

#define IOMMU_MAX_LEVELS 6

struct iommu_domain;

/* Pointers that carry a negative errno, as in include/linux/err.h. */
#define IOMMU_MAX_ERRNO 4095

/**
 * IS_ERR() - Tell whether a pointer carries an error.
 * @ptr: what a call returned
 *
 * Context: Any. Pure function.
 * Return: true when @ptr is a negative errno, false for a real pointer or NULL.
 */
static inline bool IS_ERR(const void *ptr)
{
	return (uintptr_t)ptr >= (uintptr_t)-IOMMU_MAX_ERRNO;
}

/**
 * PTR_ERR() - Take the error out of a pointer.
 * @ptr: a pointer for which IS_ERR() is true
 *
 * Context: Any. Pure function.
 * Return: the negative errno.
 */
static inline long PTR_ERR(const void *ptr)
{
	return (long)(intptr_t)ptr;
}

/**
 * ERR_PTR() - Put an error into a pointer.
 * @error: negative errno
 *
 * Context: Any. Pure function.
 * Return: a pointer for which IS_ERR() is true.
 */
static inline void *ERR_PTR(long error)
{
	return (void *)(intptr_t)error;
}

/**
 * enum iommu_domain_type - What a domain does with a device's accesses.
 * @IOMMU_DOMAIN_UNMANAGED: translates by mappings that the caller makes
 * @IOMMU_DOMAIN_DMA: the same, its mappings made by the DMA API
 * @IOMMU_DOMAIN_IDENTITY: lets every access through untranslated
 * @IOMMU_DOMAIN_BLOCKED: refuses every access
 */
enum iommu_domain_type {
	IOMMU_DOMAIN_UNMANAGED,
	IOMMU_DOMAIN_DMA,
	IOMMU_DOMAIN_IDENTITY,
	IOMMU_DOMAIN_BLOCKED,
};

/**
 * enum iommu_feature - What some hardware of a format can do and some cannot.
 * @IOMMU_FEATURE_BBML2: Arm, break-before-make level 2 (SMMU_IDR3.BBML = 2, and where
 *                       processors share the tables FEAT_BBML2): the size of an entry
 *                       may change while devices use it. Without it,
 *                       iommu_split_mapping() takes an entry out, has it flushed, and
 *                       then stores its parts.
 */
enum iommu_feature {
	IOMMU_FEATURE_BBML2 = 1 << 0,
};

/**
 * struct iommu_domain_params - What iommu_domain_alloc() is to make.
 * @type: what the domain does; the fields below count for the translating
 *        types only
 * @format: the hardware layout of its tables: a name that iommu_format_find()
 *          knows
 * @address_width: bits of input address, or 0 for the format's default
 * @pgsizes: leaf sizes it may use, bit n for 2^n bytes; 0 for those that hardware
 *           of the format usually has (iommu_format.pgsizes_default). What the
 *           format lacks is ignored; its smallest size must remain. Some sizes are
 *           optional in hardware, such as 2 MiB and 1 GiB in VT-d (CAP_REG.SSLPS):
 *           docs/formats.md has the register fields that tell.
 * @features: enum iommu_feature, those that the hardware has; what makes no
 *            difference to the format is ignored
 */
struct iommu_domain_params {
	enum iommu_domain_type type;
	const char *format;
	unsigned int address_width;
	uint64_t pgsizes;
	unsigned int features;
};

/**
 * iommu_domain_alloc() - Allocate a domain.
 * @params: what it is to be
 * @gfp: allocation context. With __GFP_ACCOUNT the calling thread's active
 *       memory cgroup becomes the domain's owner: the domain, its top table and
 *       all that is ever linked to it are charged there, whichever thread
 *       allocates it and whatever its gfp. Without, the domain has no owner and
 *       each allocation is charged as its own gfp says.
 *
 * Context: May block if @gfp does. Any thread.
 * Return: the domain; or as ERR_PTR(): -EINVAL for an unknown format or type,
 * an address width that the format does not have, page sizes without its
 * smallest, or a @gfp that iommu_map() would refuse; -ENOMEM when memory or the
 * owner's budget is short.
 */
struct iommu_domain *iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp);

/**
 * iommu_domain_free() - Free a domain with all its mappings and tables.
 * @domain: the domain; attached to nothing, or NULL
 *
 * Cannot fail and does not allocate. A domain that is still attached is
 * not freed, and reported once. The same holds in a callback of a call on @domain: a
 * shrinker, an IOTLB flush, a fault handler, a report of dirty ranges.
 *
 * Context: Does not block, unless the DMA API was set up on @domain. No
 * other call on @domain may be under way.
 */
void iommu_domain_free(struct iommu_domain *domain);

/**
 * iommu_map() - Map a range of physical memory into a domain.
 * @domain: a translating domain
 * @iova: first input address, a multiple of the smallest page size
 * @paddr: first physical address, a multiple of the smallest page size
 * @size: bytes, a multiple of the smallest page size, not 0
 * @prot: IOMMU_READ and/or IOMMU_WRITE, with any other IOMMU_* flags
 * @gfp: allocation context of the tables
 *
 * All or nothing: when it fails, no part of the range is mapped, no table that it
 * added remains, and the top table is the one that it was. Large leaves are used
 * wherever @iova, @paddr and @size allow. The mapping is visible to hardware
 * walkers on return.
 *
 * Where tables grow (amdv1), a range beyond what the top table spans puts a taller
 * one above it. The former top is a table like any other then, and goes when it is
 * empty; the taller one stays until the domain is freed, whatever is unmapped. The
 * hardware must be told of the new @root and @levels of iommu_domain_get_info().
 *
 * Context: May block if @gfp does; a blocking @gfp inside an atomic section is
 * reported once. Calls on disjoint ranges of one domain may run at the same
 * time, with each other and with unmaps and lookups.
 * Return: 0; -EINVAL for misaligned arguments, a size of 0, a range that
 * wraps, no access in @prot, a @gfp with __GFP_COMP, __GFP_DMA, __GFP_DMA32 or
 * __GFP_HIGHMEM (reported once), or a domain that does not translate; -ERANGE
 * when @iova or @paddr is too wide for the format; -EADDRINUSE when a part of
 * the range is mapped; -ENOMEM when memory or the cgroup's budget is short.
 */
int iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
	      int prot, gfp_t gfp);

/**
 * struct iommu_sg - One physically contiguous piece of a scatter list.
 * @paddr: where it begins, a multiple of the smallest page size
 * @length: bytes, a multiple of the smallest page size
 */
struct iommu_sg {
	phys_addr_t paddr;
	size_t length;
};

/**
 * iommu_map_sg() - Map a scatter list to one contiguous range of a domain.
 * @domain: a translating domain
 * @iova: first input address, a multiple of the smallest page size
 * @sg: the pieces, in order
 * @nents: how many
 * @prot: as for iommu_map()
 * @gfp: allocation context of the tables
 *
 * Physically adjoining pieces are mapped as one, with leaves as large as that
 * allows. Pieces of length 0 are skipped. All or nothing, as iommu_map().
 *
 * Context: As iommu_map().
 * Return: the bytes mapped, which is the sum of the lengths; or an error of
 * iommu_map(); -EINVAL also when the sum overflows or is 0.
 */
ssize_t iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
		     unsigned int nents, int prot, gfp_t gfp);

/**
 * iommu_unmap() - Unmap a range of a domain and wait for the IOTLB.
 * @domain: a translating domain
 * @iova: first input address
 * @size: bytes
 *
 * Never allocates. Goes on until @size bytes are unmapped or it meets an
 * address that is not mapped, as the kernel's does. A larger entry that reaches
 * over an end of the range is unmapped whole, and the return value says so,
 * unless iommu_split_mapping() has split it there. This holds for contiguous runs of
 * items, too (Arm, RISC-V, AMD): none is left with a part of its items. Tables that
 * became empty are gone on return; the top table stays, as tall as it has grown
 * (amdv1).
 *
 * Context: Does not block, except in an IOTLB flush callback. Calls on disjoint
 * ranges may run at the same time.
 * Return: the bytes unmapped: less than @size when part of it was not mapped,
 * more when a larger entry reached over an end; 0 for misaligned or out-of-range
 * arguments or a domain that does not translate.
 */
size_t iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size);

struct page;

/**
 * struct iommu_iotlb_gather - Unmapped ranges whose IOTLB flush is to come.
 * @start: first address to flush
 * @last: last address to flush; < @start when there is nothing
 * @freelist: tables that are freed after the flush (used by the library)
 * @tables: tables were unlinked, so the flush must reach table caches
 * @pending: which parts of the domain wait for this flush (used by the library)
 * @gone: tables in @freelist by their level, if @pending (used by the library)
 */
struct iommu_iotlb_gather {
	dma_addr_t start;
	dma_addr_t last;
	struct page *freelist;
	bool tables;
	uint16_t pending;
	unsigned int gone[IOMMU_MAX_LEVELS];
};

/**
 * iommu_iotlb_gather_init() - Make an empty gather.
 * @gather: where
 *
 * Context: Any.
 */
static inline void iommu_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	gather->start = ~(dma_addr_t)0;
	gather->last = 0;
	gather->freelist = NULL;
	gather->tables = false;
	gather->pending = 0;
}

/**
 * iommu_iotlb_gather_add_range() - Add a range to a gather.
 * @gather: the gather
 * @iova: first address
 * @size: bytes, not 0
 *
 * Context: Any. The gather belongs to one thread.
 */
static inline void iommu_iotlb_gather_add_range(struct iommu_iotlb_gather *gather, dma_addr_t iova,
						uint64_t size)
{
	dma_addr_t last = iova + size - 1;

	if (iova < gather->start)
		gather->start = iova;
	if (last > gather->last)
		gather->last = last;
}

/**
 * iommu_iotlb_gather_is_disjoint() - Tell whether a range lies apart.
 * @gather: the gather
 * @iova: first address
 * @size: bytes, not 0
 *
 * Context: Any.
 * Return: true when @gather has a range that neither overlaps nor adjoins it.
 */
static inline bool iommu_iotlb_gather_is_disjoint(const struct iommu_iotlb_gather *gather,
						  dma_addr_t iova, uint64_t size)
{
	dma_addr_t last = iova + size - 1;

	return gather->start <= gather->last &&
	       ((last < gather->start && gather->start - last > 1) ||
		(iova > gather->last && iova - gather->last > 1));
}

/**
 * iommu_unmap_fast() - Unmap a range, leaving the IOTLB flush for later.
 * @domain: a translating domain
 * @iova: first input address
 * @size: bytes
 * @gather: collects what is to be flushed and freed
 *
 * As iommu_unmap(), but translations may stay in the IOTLB, and tables that
 * became empty stay allocated and charged, until iommu_iotlb_sync(). Until then
 * the range must not be mapped again: devices might use the old translation, and on
 * Arm two sizes of one address in the IOTLB are a conflict.
 *
 * Context: Does not block. @gather belongs to one thread and one domain.
 * Return: as iommu_unmap().
 */
size_t iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			struct iommu_iotlb_gather *gather);

/**
 * iommu_iotlb_sync() - Flush what a gather holds, then free its tables.
 * @domain: the domain it was gathered in
 * @gather: the gather; empty again on return
 *
 * Context: Does not block, except in an IOTLB flush callback.
 */
void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);

/**
 * iommu_split_mapping() - Let a range be unmapped exactly.
 * @domain: a translating domain
 * @iova: first input address, a multiple of the smallest page size
 * @size: bytes, a multiple of the smallest page size, not 0
 * @gfp: allocation context of the tables that this needs
 *
 * Splits the entries that reach over either end of the range into smaller ones
 * of the same translation and rights, so that unmapping the range touches
 * nothing beside it. The addresses of a split entry are flushed.
 *
 * Devices see the same translation at every moment, unless
 * iommu_domain_info.split_breaks is set: Arm forbids to change the size of an entry
 * that is in use (break-before-make), so that on hardware without
 * IOMMU_FEATURE_BBML2 each split entry is first taken out whole and flushed, then its
 * parts are stored. In between, devices' accesses to any address of the entry fault,
 * and iommu_iova_to_phys() returns 0. A caller that cannot have this must map in
 * pieces that it can unmap whole.
 *
 * Context: May block if @gfp does, and in an IOTLB flush callback. Disjoint from
 * every other change under way, counting the whole of the entries that are split.
 * Return: 0, also when nothing had to be split; -EINVAL as iommu_map(); -ENOMEM
 * when memory or the cgroup's budget is short: the mappings are then unchanged
 * in effect, though one end may be split.
 */
int iommu_split_mapping(struct iommu_domain *domain, dma_addr_t iova, size_t size, gfp_t gfp);

/**
 * iommu_iova_to_phys() - Translate one input address.
 * @domain: the domain
 * @iova: input address, of any alignment
 *
 * Context: Any. May run at the same time as changes elsewhere in the domain.
 * Return: the physical address; 0 when @iova is not mapped, or the domain is a
 * blocked one. An identity domain returns @iova.
 */
phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);

/**
 * struct iommu_iotlb_ops - The hardware that caches a domain's translations.
 * @flush: forget every translation of @iova to @last (inclusive); with @tables
 *         also cached pointers to tables, without it leaf entries only. Called
 *         before the tables concerned are freed. From the caller's thread, also
 *         inside atomic sections. May call the library, also for @domain, which
 *         then flushes again; must not free it.
 */
struct iommu_iotlb_ops {
	void (*flush)(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		      bool tables);
};

/**
 * iommu_domain_set_iotlb_ops() - Set the callbacks of what caches a domain's translations.
 * @domain: a translating domain
 * @ops: the callbacks, or NULL for none; must outlive the domain or the next
 *       call
 * @context: handed to them
 *
 * Context: Any; no other call on @domain may be under way.
 */
void iommu_domain_set_iotlb_ops(struct iommu_domain *domain, const struct iommu_iotlb_ops *ops,
				void *context);

/* What the access was that report_iommu_fault() reports. */
#define IOMMU_FAULT_READ  0x0
#define IOMMU_FAULT_WRITE 0x1

struct iommu_device;

/**
 * typedef iommu_fault_handler_t - Told of an access that a domain refused.
 * @domain: the domain
 * @dev: the device that made the access, or NULL when that is not known
 * @iova: the address that it used
 * @flags: IOMMU_FAULT_READ or IOMMU_FAULT_WRITE
 * @token: as given to iommu_set_fault_handler()
 *
 * Context: That of report_iommu_fault(), which may be an atomic section. It may call
 * the library, also for @domain, but not free it.
 * Return: 0 when the fault was dealt with and the access may be tried again;
 * -ENOSYS for the default behaviour of the code that reports; another negative
 * errno when it could not be dealt with.
 */
typedef int (*iommu_fault_handler_t)(struct iommu_domain *domain, struct iommu_device *dev,
				     dma_addr_t iova, int flags, void *token);

/**
 * iommu_set_fault_handler() - Set the handler of a domain's faults.
 * @domain: the domain
 * @handler: the handler, or NULL for none
 * @token: handed to it
 *
 * Context: Any; no other call on @domain may be under way.
 */
void iommu_set_fault_handler(struct iommu_domain *domain, iommu_fault_handler_t handler,
			     void *token);

/**
 * report_iommu_fault() - Report an access that a domain refused.
 * @domain: the domain
 * @dev: the device that made the access, or NULL
 * @iova: the address that it used
 * @flags: IOMMU_FAULT_READ or IOMMU_FAULT_WRITE
 *
 * For hardware models and drivers, which find the faults.
 *
 * Context: Any; the handler runs on the calling thread. May run at the same
 * time as anything but iommu_set_fault_handler().
 * Return: what the handler returned; -ENOSYS when there is none.
 */
int report_iommu_fault(struct iommu_domain *domain, struct iommu_device *dev, dma_addr_t iova,
		       int flags);

/**
 * struct iommu_domain_info - What there is to know about a domain.
 * @type: what it does
 * @format: the layout of its tables; NULL if it does not translate, and the
 *          fields below are then 0
 * @address_width: bits of input address that it can take in all
 * @aperture_start: first input address that can be mapped
 * @aperture_last: last input address that can be mapped
 * @pgsizes: leaf sizes in use, bit n for 2^n bytes
 * @split_breaks: iommu_split_mapping() makes the addresses of an entry fault for a
 *                moment
 * @owner: the memory cgroup that it is charged to, without a reference, or NULL
 * @root: physical address of the top table; changes with @levels only
 * @levels: levels of tables at present; where tables grow, iommu_map() and
 *          iommu_map_sg() add some, and none goes before the domain is freed
 * @tables: tables per level, level 0 the lowest, those in gathers included
 * @table_bytes: bytes of all of them
 */
struct iommu_domain_info {
	enum iommu_domain_type type;
	const char *format;
	unsigned int address_width;
	dma_addr_t aperture_start;
	dma_addr_t aperture_last;
	uint64_t pgsizes;
	bool split_breaks;
	struct mem_cgroup *owner;
	phys_addr_t root;
	unsigned int levels;
	uint64_t tables[IOMMU_MAX_LEVELS];
	uint64_t table_bytes;
};

/**
 * iommu_domain_get_info() - Describe a domain.
 * @domain: the domain
 * @info: where the description goes
 *
 * Context: Any. Exact when no change is under way.
 */
void iommu_domain_get_info(struct iommu_domain *domain, struct iommu_domain_info *info);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
