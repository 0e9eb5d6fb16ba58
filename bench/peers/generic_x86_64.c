/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/generic_pt/fmt/iommu_x86_64.c"

#define NAME   "x86_64"
#define FORMAT x86_64
/* VT-d's first stage, four levels. */
#define CONFIG                                                                              \
	{                                                                                   \
		.common = {.features = BIT(PT_FEAT_SIGN_EXTEND) | BIT(PT_FEAT_FLUSH_RANGE), \
			   .hw_max_vasz_lg2 = 48,                                           \
			   .hw_max_oasz_lg2 = 52},                                          \
		.top_level = 3,                                                             \
	}

#include "bench/peers/generic.h"
