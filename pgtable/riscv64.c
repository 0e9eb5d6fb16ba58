/* SPDX-License-Identifier: MIT */
#include "pgtable/riscv64.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_riscv64 = PT_OPS;
