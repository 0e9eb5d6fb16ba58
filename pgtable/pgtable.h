/* SPDX-License-Identifier: MIT */
/*
 * One set of I/O page tables of any format. The core embeds a struct pgtable in its
 * domains and calls the functions in ops.
 */
#ifndef PGTABLE_PGTABLE_H
#define PGTABLE_PGTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uiommu/dirty.h>
#include <uiommu/format.h>
#include <uiommu/iommu.h>

#include "mm/thread.h"
#include "plat/compiler.h"

struct pgtable;

/*
 * The functions of one format. The core checks arguments for alignment, wrapping and
 * emptiness; the format checks what only it knows. All functions may run at the same
 * time on disjoint ranges.
 */
struct pgtable_ops {
	const struct iommu_format *format;

	/*
	 * Allocate the top table. pt->owner and pt->pgsizes are set. Sets the aperture
	 * and pt->iova_to_phys. Returns 0, -EINVAL for an address width that the format
	 * lacks, or -ENOMEM.
	 */
	int (*init)(struct pgtable *pt, unsigned int address_width, gfp_t gfp);

	/* Free every table. The tables must not be in use. */
	void (*fini)(struct pgtable *pt);

	/*
	 * Map all of [iova, iova + size) or nothing. When it returns, @gather may hold
	 * tables that its own failure or a race made unused, and a range that must be
	 * flushed before a device may use the new mappings. Returns 0, -ERANGE,
	 * -EADDRINUSE or -ENOMEM.
	 */
	int (*map)(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, int prot,
		   gfp_t gfp, struct iommu_iotlb_gather *gather);

	/* Map pieces of physical memory, whose lengths add up to @size; otherwise as map(). */
	int (*map_sg)(struct pgtable *pt, uint64_t iova, const struct iommu_sg *sg,
		      unsigned int nents, uint64_t size, int prot, gfp_t gfp,
		      struct iommu_iotlb_gather *gather);

	/* As iommu_unmap_fast(). */
	uint64_t (*unmap)(struct pgtable *pt, uint64_t iova, uint64_t size,
			  struct iommu_iotlb_gather *gather);

	/*
	 * Split an entry that begins before @iova and extends beyond it. Returns 0 or
	 * -ENOMEM.
	 */
	int (*split)(struct pgtable *pt, uint64_t iova, gfp_t gfp,
		     struct iommu_iotlb_gather *gather);

	/*
	 * Report what is dirty in [iova, last], as iommu_read_and_clear_dirty(). This
	 * and mark_dirty are NULL for a format without dirty bits.
	 */
	void (*read_dirty)(struct pgtable *pt, uint64_t iova, uint64_t last, bool clear,
			   const struct iommu_dirty_bitmap *dirty);

	/* As iommu_mark_dirty(). */
	bool (*mark_dirty)(struct pgtable *pt, uint64_t iova);
};

/* Tables per level, sharded by thread. Only the sums have a meaning. */
#define PGTABLE_STAT_SHARDS 8

struct pgtable_stat {
	atomic_long tables[IOMMU_MAX_LEVELS];
} __aligned_cache;

/*
 * Counts of gathers with tables that hardware may still have cached, by the addresses
 * that the tables were for: threads that work far apart use separate counters.
 */
#define PGTABLE_PARTS 4

struct pgtable_unflushed {
	__aligned_cache atomic_uint count;
};

struct pgtable {
	const struct pgtable_ops *ops;
	/*
	 * As iommu_iova_to_phys(). Not in ops, because there is one for each number of
	 * levels.
	 */
	uint64_t (*iova_to_phys)(struct pgtable *pt, uint64_t iova);
	_Atomic uint64_t top;                   /* address of the top table | number of levels */
	uint64_t pgsizes;                       /* leaf sizes in use */
	uint64_t aperture_bias, aperture_span;  /* iova + bias <= span if it is in the aperture */
	uint64_t aperture_start, aperture_last; /* input addresses */
	uint32_t table_bytes[IOMMU_MAX_LEVELS]; /* size of a table at each level */
	unsigned int wide_level,
		wide_items; /* PT_WIDE_TOP: the top level, and the items of its table */
	unsigned int address_width;
	bool sign_extended;       /* input addresses are sign-extended */
	unsigned int features;    /* IOMMU_FEATURE_* of the hardware */
	struct mem_cgroup *owner; /* the cgroup that every table is charged to, or NULL */
	/*
	 * iommu_iotlb_sync(), which is in the core. Not to be called in a read-side
	 * critical section.
	 */
	void (*sync)(struct pgtable *pt, struct iommu_iotlb_gather *gather);
	atomic_bool track_dirty; /* mappings begin clean */
	/* Each is in its own cache lines. The last part stands for the whole address space. */
	struct pgtable_unflushed unflushed[PGTABLE_PARTS + 1];
	struct pgtable_stat stat[PGTABLE_STAT_SHARDS];
};

/* The formats, in the order of their listing, followed by NULL. */
extern const struct pgtable_ops *const pgtable_formats[];
const struct pgtable_ops *pgtable_find(const char *name);

/*
 * Take the next piece off a list, joined with all pieces after it that adjoin it in
 * physical memory. Its length is 0 if only empty pieces are left.
 */
struct iommu_sg pgtable_next_piece(const struct iommu_sg **sg, const struct iommu_sg *end);

/* Tables at each level now. */
void pgtable_count(struct pgtable *pt, uint64_t tables[IOMMU_MAX_LEVELS]);

/* Count tables that the calling thread made; levels is a bit mask of the levels with any. */
static inline void pgtable_count_add(struct pgtable *pt, const struct mm_thread *self,
				     const unsigned int tables[IOMMU_MAX_LEVELS],
				     unsigned int levels)
{
	struct pgtable_stat *stat = &pt->stat[self->index % PGTABLE_STAT_SHARDS];

	for (; levels; levels &= levels - 1) {
		unsigned int level = ffs64_index(levels);

		atomic_fetch_add_explicit(&stat->tables[level], (long)tables[level],
					  memory_order_relaxed);
	}
}

/* Count tables that the calling thread freed. */
static inline void pgtable_count_sub(struct pgtable *pt, const struct mm_thread *self,
				     const unsigned int tables[IOMMU_MAX_LEVELS])
{
	struct pgtable_stat *stat = &pt->stat[self->index % PGTABLE_STAT_SHARDS];

	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		if (tables[level])
			atomic_fetch_sub_explicit(&stat->tables[level], (long)tables[level],
						  memory_order_relaxed);
}

/* Free the tables in a gather that was flushed. Called by iommu_iotlb_sync() in the core. */
void pgtable_free_gathered(struct pgtable *pt, struct iommu_iotlb_gather *gather);

#endif
