/* SPDX-License-Identifier: MIT */
#define PT_NAME         arm64_s2_16k
#define ARM_NAME        "arm64-s2-16k"
#define ARM_GRANULE     "16K"
#define ARM_GRANULE_LG2 14

#include "pgtable/arm64_s2.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_arm64_s2_16k = PT_OPS;
