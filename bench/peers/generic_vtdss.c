/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/generic_pt/fmt/iommu_vtdss.c"

#define NAME   "vtd"
#define FORMAT vtdss
/* Four levels. */
#define CONFIG                                                   \
	{                                                        \
		.common = {.features = BIT(PT_FEAT_FLUSH_RANGE), \
			   .hw_max_vasz_lg2 = 48,                \
			   .hw_max_oasz_lg2 = 52},               \
		.top_level = 3,                                  \
	}

#include "bench/peers/generic.h"
