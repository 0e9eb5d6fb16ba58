/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/generic_pt/fmt/iommu_riscv64.c"

#define NAME   "riscv64"
#define FORMAT riscv_64
/* Sv48. */
#define CONFIG                                                                               \
	{                                                                                    \
		.common = {.features = BIT(PT_FEAT_SIGN_EXTEND) | BIT(PT_FEAT_FLUSH_RANGE) | \
				       BIT(PT_FEAT_DETAILED_GATHER),                         \
			   .hw_max_vasz_lg2 = 48,                                            \
			   .hw_max_oasz_lg2 = 56},                                           \
	}

#include "bench/peers/generic.h"
