// SPDX-License-Identifier: MIT
#include "tests/clients/firmware.h"

#include "tests/clients/fw_elf.h"
#include "plat/compiler.h"

/* Bits of p_flags, as Qualcomm's tools set them. */
#define QCOM_MDT_TYPE_MASK   (7u << 24)
#define QCOM_MDT_TYPE_HASH   (2u << 24)
#define QCOM_MDT_RELOCATABLE (1u << 27)

/* ---- the image ---- */

static int next_segment(const struct elf_image *elf, unsigned int *index,
			struct elf_segment *segment)
{
	int ret;

	do
		ret = elf_next_load(elf, index, segment);
	while (ret > 0 && (segment->flags & QCOM_MDT_TYPE_MASK) == QCOM_MDT_TYPE_HASH);
	return ret;
}

/* The address that becomes the memory's first byte; -EINVAL for no segments at all. */
static int find_base(const struct elf_image *elf, const struct fw_memory *memory, uint64_t *base)
{
	uint64_t lowest = UINT64_MAX;
	bool relocatable = false, any = false;
	struct elf_segment segment;
	unsigned int index = 0;
	int ret;

	while ((ret = next_segment(elf, &index, &segment)) > 0) {
		relocatable |= (segment.flags & QCOM_MDT_RELOCATABLE) != 0;
		lowest = segment.paddr < lowest ? segment.paddr : lowest;
		any = true;
	}
	*base = relocatable ? lowest : memory->paddr;
	return ret || any ? ret : -EINVAL;
}

static int load_segments(const struct elf_image *elf, const struct fw_memory *memory, uint64_t base)
{
	struct elf_segment segment;
	unsigned int index = 0;
	int ret;

	while ((ret = next_segment(elf, &index, &segment)) > 0) {
		uint64_t offset = segment.paddr - base; /* below it: very large */

		if (offset > memory->size || segment.memsz > memory->size - offset)
			return -EINVAL;
		elf_load_segment(&segment, (char *)memory->va + offset);
	}
	return ret;
}

int qcom_mdt_load(const void *image, size_t size, const struct fw_memory *memory)
{
	struct elf_image elf;
	uint64_t base;
	int ret;

	ret = elf_open(&elf, image, size);
	if (!ret)
		ret = find_base(&elf, memory, &base);
	return ret ? ret : load_segments(&elf, memory, base);
}

/* ---- the mappings ---- */

void fw_stop(struct fw_iommu *fw)
{
	while (fw->nr_maps) {
		const struct fw_iova *map = &fw->maps[--fw->nr_maps];

		iommu_unmap(fw->domain, map->iova, map->size);
	}
	iommu_detach_device(fw->domain, fw->dev);
}

static int fw_begin(struct fw_iommu *fw, struct iommu_domain *domain, struct iommu_device *dev)
{
	*fw = (struct fw_iommu){.domain = domain, .dev = dev};
	return iommu_attach_device(domain, dev);
}

/* On failure all that was begun is ended. */
static int fw_map(struct fw_iommu *fw, dma_addr_t iova, const struct fw_memory *memory, int prot)
{
	int ret = iommu_map(fw->domain, iova, memory->paddr, memory->size, prot, GFP_KERNEL);

	if (ret)
		fw_stop(fw);
	else
		fw->maps[fw->nr_maps++] = (struct fw_iova){iova, memory->size};
	return ret;
}

int venus_boot(struct fw_iommu *fw, struct iommu_domain *domain, struct iommu_device *dev,
	       const void *image, size_t size, const struct fw_memory *memory)
{
	int ret = qcom_mdt_load(image, size, memory);

	if (!ret)
		ret = fw_begin(fw, domain, dev);
	if (ret)
		return ret;
	return fw_map(fw, VENUS_FW_START_ADDR, memory, IOMMU_READ | IOMMU_WRITE | IOMMU_PRIV);
}

int ath10k_fw_init(struct fw_iommu *fw, struct iommu_domain *domain, struct iommu_device *dev,
		   const struct fw_memory *msa)
{
	int ret = fw_begin(fw, domain, dev);

	return ret ? ret : fw_map(fw, msa->paddr, msa, IOMMU_READ | IOMMU_WRITE);
}

int ath11k_ahb_fw_resources_init(struct fw_iommu *fw, struct iommu_domain *domain,
				 struct iommu_device *dev, const struct fw_memory *msa,
				 const struct fw_memory *ce)
{
	int ret = fw_begin(fw, domain, dev);

	if (ret)
		return ret;
	ret = fw_map(fw, msa->paddr, msa, IOMMU_READ | IOMMU_WRITE);
	return ret ? ret : fw_map(fw, ce->paddr, ce, IOMMU_READ | IOMMU_WRITE);
}
