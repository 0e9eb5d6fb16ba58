/* SPDX-License-Identifier: MIT */
#include "pgtable/vtd.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_vtd = PT_OPS;
