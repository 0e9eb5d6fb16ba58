/* SPDX-License-Identifier: MIT */
#define PT_NAME         arm64_s1_64k
#define ARM_NAME        "arm64-s1-64k"
#define ARM_GRANULE     "64K"
#define ARM_GRANULE_LG2 16

#include "pgtable/arm64_s1.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_arm64_s1_64k = PT_OPS;
