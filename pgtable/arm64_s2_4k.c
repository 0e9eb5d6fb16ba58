/* SPDX-License-Identifier: MIT */
#define PT_NAME         arm64_s2_4k
#define ARM_NAME        "arm64-s2"
#define ARM_GRANULE     "4K"
#define ARM_GRANULE_LG2 12

#include "pgtable/arm64_s2.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_arm64_s2_4k = PT_OPS;
