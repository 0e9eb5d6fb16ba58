/* SPDX-License-Identifier: MIT */
/*
 * Qualcomm's video decoder and wireless chips, whose processors run firmware in
 * memory that is reserved for it, at addresses that are fixed
 * (drivers/media/platform/qcom/venus/firmware.c, drivers/net/wireless/ath/ath10k/snoc.c
 * and ath11k/ahb.c of the kernel, where no trusted zone does this for them).
 */
#ifndef CLIENTS_FIRMWARE_H
#define CLIENTS_FIRMWARE_H

#include <uiommu/device.h>
#include <uiommu/iommu.h>

/* Where Venus begins to run. */
#define VENUS_FW_START_ADDR 0x0

/**
 * struct fw_memory - Reserved memory.
 * @va: where this process sees it; NULL for memory that others fill
 * @paddr: its physical address
 * @size: bytes
 */
struct fw_memory {
	void *va;
	phys_addr_t paddr;
	size_t size;
};

/* What has been begun: fw_stop() ends it. */
struct fw_iommu {
	struct iommu_domain *domain;
	struct iommu_device *dev;
	struct fw_iova {
		dma_addr_t iova;
		size_t size;
	} maps[2];
	unsigned int nr_maps;
};

/**
 * qcom_mdt_load() - Load an image of Qualcomm's form into memory.
 * @image: the file: ELF, its segments where their headers say
 * @size: bytes
 * @memory: where it goes, with a va
 *
 * An image that is not relocatable must be made for @memory's address. The
 * segment of hashes is not loaded.
 *
 * Context: Any.
 * Return: 0; -EINVAL for what is no such image, or does not fit.
 */
int qcom_mdt_load(const void *image, size_t size, const struct fw_memory *memory);

/**
 * venus_boot() - Load the firmware of Venus and map it for it.
 * @fw: room
 * @domain: what the processor is to go through; stays the caller's
 * @dev: the processor; alone in its group
 * @image: the file
 * @size: bytes
 * @memory: where it goes; mapped as a whole at VENUS_FW_START_ADDR, for privileged
 *          accesses
 *
 * All or nothing, but for @memory's contents.
 *
 * Context: May block.
 * Return: 0; -EINVAL as qcom_mdt_load(); an error of iommu_attach_device() or
 * iommu_map().
 */
int venus_boot(struct fw_iommu *fw, struct iommu_domain *domain, struct iommu_device *dev,
	       const void *image, size_t size, const struct fw_memory *memory);

/**
 * ath10k_fw_init() - Map the firmware of a WCN3990 for it.
 * @fw: room
 * @domain: what the processor is to go through; stays the caller's
 * @dev: the processor; alone in its group
 * @msa: its memory, mapped 1:1
 *
 * Context: May block.
 * Return: 0; an error of iommu_attach_device() or iommu_map(), with nothing done.
 */
int ath10k_fw_init(struct fw_iommu *fw, struct iommu_domain *domain, struct iommu_device *dev,
		   const struct fw_memory *msa);

/**
 * ath11k_ahb_fw_resources_init() - Map the firmware of a WCN6750 for it.
 * @fw: room
 * @domain: what the processor is to go through; stays the caller's
 * @dev: the processor; alone in its group
 * @msa: its memory, mapped 1:1
 * @ce: the copy engine's, mapped 1:1
 *
 * Context: May block.
 * Return: 0; an error of iommu_attach_device() or iommu_map(), with nothing done.
 */
int ath11k_ahb_fw_resources_init(struct fw_iommu *fw, struct iommu_domain *domain,
				 struct iommu_device *dev, const struct fw_memory *msa,
				 const struct fw_memory *ce);

/**
 * fw_stop() - Take away what one of the calls above mapped.
 * @fw: what it has filled
 *
 * Context: May block.
 */
void fw_stop(struct fw_iommu *fw);

#endif
