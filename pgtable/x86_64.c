/* SPDX-License-Identifier: MIT */
#include "pgtable/x86_64.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_x86_64 = PT_OPS;
