/* SPDX-License-Identifier: MIT */
/*
 * Qualcomm's IP accelerator, which uses two regions that it shares with the modem
 * by their physical addresses (drivers/net/ipa/ipa_mem.c of the kernel).
 */
#ifndef CLIENTS_IPA_H
#define CLIENTS_IPA_H

#include <uiommu/iommu.h>

/**
 * struct ipa_region - Memory, of any alignment.
 * @addr: its physical address
 * @size: bytes; 0 for a region that is not used
 */
struct ipa_region {
	phys_addr_t addr;
	size_t size;
};

/* What is mapped: pages, 1:1. A size of 0: nothing. */
struct ipa {
	struct iommu_domain *domain;
	dma_addr_t imem_iova, smem_iova;
	size_t imem_size, smem_size;
};

/**
 * ipa_mem_init() - Map both regions 1:1.
 * @ipa: room
 * @domain: what the accelerator goes through; NULL for none
 * @imem: the region in internal memory
 * @smem: the region in shared memory
 *
 * Each is mapped from the start of the page that it begins in to the end of the
 * page that it ends in.
 *
 * Context: May block.
 * Return: 0; -EINVAL for a region without a domain, or one that wraps; an error
 * of iommu_map(); with nothing mapped.
 */
int ipa_mem_init(struct ipa *ipa, struct iommu_domain *domain, const struct ipa_region *imem,
		 const struct ipa_region *smem);

/**
 * ipa_mem_exit() - Unmap both.
 * @ipa: the accelerator; may be called again
 *
 * Context: Does not block.
 */
void ipa_mem_exit(struct ipa *ipa);

#endif
