/* SPDX-License-Identifier: MIT */
/*
 * PASID tables: what a device's entry points to so that each of its PASIDs has a domain of
 * its own. VT-d's PASID directory and tables (scalable mode), Arm's context descriptors
 * (SMMUv3, linear or in two levels), AMD's GCR3 tables.
 *
 * Tables are allocated with the caller's gfp and charged to the owner. They come with the
 * first PASID that needs one and go with the last, but for the top one.
 */
#ifndef UIOMMU_PASID_H
#define UIOMMU_PASID_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/gfp.h>
#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iommu_pasid_table;

/**
 * enum iommu_pasid_layout - Whose tables they are.
 * @IOMMU_PASID_VTD: Intel VT-d's (9.5 and 9.6); domains are vtd or x86_64
 * @IOMMU_PASID_ARM: Arm SMMUv3's (5.3 and 5.4); domains are arm64-s1
 * @IOMMU_PASID_AMD: AMD's (IOMMU 2.2.6.3); domains are x86_64
 */
enum iommu_pasid_layout {
	IOMMU_PASID_VTD,
	IOMMU_PASID_ARM,
	IOMMU_PASID_AMD,
};

/**
 * struct iommu_pasid_params - What a PASID table is to be.
 * @layout: whose
 * @pasid_bits: bits of a PASID, from 1 to 20
 * @flush: forget what is cached of the entry of @pasid; with @tables also of the tables that
 *         led to it. Called before such tables are freed. May be NULL.
 * @context: handed to it
 */
struct iommu_pasid_params {
	enum iommu_pasid_layout layout;
	unsigned int pasid_bits;
	void (*flush)(void *context, uint32_t pasid, bool tables);
	void *context;
};

/**
 * iommu_pasid_table_alloc() - Allocate a PASID table in which no PASID is set.
 * @params: what it is to be
 * @gfp: allocation context. With __GFP_ACCOUNT the calling thread's active memory cgroup is
 *       the owner, which everything is charged to that is ever linked to the table.
 *
 * Context: May block if @gfp does. Any thread.
 * Return: the table; as ERR_PTR(): -EINVAL, also for a @gfp that iommu_map() would refuse;
 * -ENOMEM when memory or the owner's budget is short.
 */
struct iommu_pasid_table *iommu_pasid_table_alloc(const struct iommu_pasid_params *params,
						  gfp_t gfp);

/**
 * iommu_pasid_table_free() - Free a PASID table, whatever is set in it.
 * @table: the table, which no hardware uses any more; or NULL
 *
 * Context: Does not block. Cannot fail and does not allocate.
 */
void iommu_pasid_table_free(struct iommu_pasid_table *table);

/**
 * struct iommu_pasid_first - A first stage that a program has written, for VT-d.
 * @root: address of its top table, which the domain translates
 * @address_width: bits of its input address: 48 or 57
 */
struct iommu_pasid_first {
	uint64_t root;
	unsigned int address_width;
};

/**
 * iommu_pasid_set() - Let a PASID translate by a domain.
 * @table: the table
 * @pasid: the PASID
 * @domain: the domain, of a format that the layout has; must not be freed as long as this
 *          lasts
 * @first: a first stage above it, or NULL
 * @id: what hardware tags translations with: domain ID or ASID
 * @gfp: allocation context of tables
 *
 * A PASID that is set is replaced. Hardware sees the old entry, none, or the new one, and
 * never parts of two. When it fails everything is as before.
 *
 * Context: May block if @gfp does. Calls on one table one after another.
 * Return: 0; -EINVAL for a PASID that is too wide, a format or a first stage that the layout
 * does not have, a @gfp that iommu_map() would refuse; -ENOMEM when memory or the owner's budget is
 * short.
 */
int iommu_pasid_set(struct iommu_pasid_table *table, uint32_t pasid, struct iommu_domain *domain,
		    const struct iommu_pasid_first *first, uint16_t id, gfp_t gfp);

/**
 * iommu_pasid_clear() - Undo iommu_pasid_set().
 * @table: the table
 * @pasid: the PASID; nothing happens when it is not set
 *
 * Context: Does not block, except in flush. Cannot fail and does not allocate. Calls on one
 * table one after another.
 */
void iommu_pasid_clear(struct iommu_pasid_table *table, uint32_t pasid);

/**
 * struct iommu_pasid_info - What a device's entry says of a PASID table.
 * @root: physical address of the top table
 * @pasid_bits: bits of a PASID that it has room for: VT-d PDTS + 13, Arm S1CDMax
 * @form: Arm S1Fmt: 0 linear, 2 two levels; AMD GLX, levels less one; VT-d 0
 * @tables: tables there are, the top one included
 * @table_bytes: bytes of them
 */
struct iommu_pasid_info {
	phys_addr_t root;
	unsigned int pasid_bits;
	unsigned int form;
	unsigned int tables;
	uint64_t table_bytes;
};

/**
 * iommu_pasid_get_info() - Describe a PASID table.
 * @table: the table
 * @info: where the description goes
 *
 * Context: Any; no other call on @table may be under way.
 */
void iommu_pasid_get_info(const struct iommu_pasid_table *table, struct iommu_pasid_info *info);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
