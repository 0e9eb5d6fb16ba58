/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/generic_pt/fmt/iommu_amdv1.c"

#define NAME   "amdv1"
#define FORMAT amdv1
/* As in amd_iommu_domain_alloc_paging_v1(). */
#define CONFIG                                                                                    \
	{                                                                                         \
		.common = {.features =                                                            \
				   BIT(PT_FEAT_DYNAMIC_TOP) | BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) | \
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE) | BIT(PT_FEAT_FLUSH_RANGE), \
			   .hw_max_vasz_lg2 = 64,                                                 \
			   .hw_max_oasz_lg2 = 52},                                                \
		.starting_level = 2,                                                              \
	}

#include "bench/peers/generic.h"
