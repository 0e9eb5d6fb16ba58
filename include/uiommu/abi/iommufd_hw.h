/* SPDX-License-Identifier: MIT */
/*
 * The part of the ABI of /dev/iommu that each make of hardware has of its own: what
 * is known of it, tables that a program writes, and requests to invalidate. Include
 * <uiommu/abi/iommufd.h>, which includes this.
 */
#ifndef UIOMMU_ABI_IOMMUFD_HW_H
#define UIOMMU_ABI_IOMMUFD_HW_H

#include <linux/types.h>

/* ---- Intel VT-d ---- */

/** enum iommu_hwpt_vtd_s1_flags - Bits of a first-stage table of Intel VT-d. */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,  /* supervisor requests are allowed */
	IOMMU_VTD_S1_EAFE = 1 << 1, /* extended accessed flags are kept */
	IOMMU_VTD_S1_WPE = 1 << 2,  /* write protection holds for supervisor requests too */
};

/**
 * struct iommu_hwpt_vtd_s1 - A first-stage table of Intel VT-d.
 * @flags: of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: address of the top table, in the parent's address space
 * @addr_width: bits of input address
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/** enum iommu_hw_info_vtd_flags - Errata of an Intel VT-d unit. */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0, /* a nest parent must not map read-only */
};

/**
 * struct iommu_hw_info_vtd - What there is to know of an Intel VT-d unit.
 * @flags: of enum iommu_hw_info_vtd_flags
 * @cap_reg: its capability register (VT-d 11.4.2)
 * @ecap_reg: its extended capability register (VT-d 11.4.3)
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/** enum iommu_hwpt_vtd_s1_invalidate_flags - What to invalidate. */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0, /* entries of the last level only */
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - Invalidate translations of Intel VT-d.
 * @addr: first address, a multiple of 4096
 * @npages: pages of 4096 bytes; 2^64 - 1 from address 0 is everything
 * @flags: of enum iommu_hwpt_vtd_s1_invalidate_flags
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/* ---- Arm SMMUv3 (Linux 6.13) ---- */

/**
 * struct iommu_hwpt_arm_smmuv3 - A stage 1 of an SMMUv3.
 * @ste: the first half of the stream table entry (SMMUv3 5.2): V, Config, S1Fmt,
 *       S1ContextPtr, S1CDMax; EATS, S1DSS, S1CIR, S1COR, S1CSH, S1STALLD. EIO: others
 *       are set, or these make no sense
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/** enum iommu_hw_info_arm_smmuv3_flags - Errata of an SMMUv3. */
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0, /* commands take two */
};

/**
 * struct iommu_hw_info_arm_smmuv3 - What there is to know of an SMMUv3.
 * @flags: of enum iommu_hw_info_arm_smmuv3_flags
 * @idr: SMMU_IDR0 to SMMU_IDR5 (SMMUv3 6.3.1 to 6.3.6)
 * @iidr: who made it
 * @aidr: which version of the architecture it is
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - The same of Nvidia's command queues.
 * @flags: 0
 * @version: of the hardware
 * @log2vcmdqs: log2 of the number of queues
 * @log2vsids: log2 of the number of StreamIDs that can be replaced
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - A command of an SMMUv3 (4.3, 4.4).
 * @cmd: of TLBI_NSNH_ALL, TLBI_NH_ALL, TLBI_NH_ASID, TLBI_NH_VA, TLBI_NH_VAA, ATC_INV,
 *       CFGI_CD and CFGI_CD_ALL; any other is EIO
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/* ---- AMD (Linux 6.19 and later) ---- */

/**
 * struct iommu_hwpt_amd_guest - A guest table of an AMD IOMMU.
 * @dte: the virtual machine's device table entry
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * struct iommu_hw_info_amd - What there is to know of an AMD IOMMU.
 * @efr: its extended feature register (MMIO 0030h)
 * @efr2: the second one (MMIO 01A0h)
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

#endif
