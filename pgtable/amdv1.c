/* SPDX-License-Identifier: MIT */
#include "pgtable/amdv1.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_amdv1 = PT_OPS;
