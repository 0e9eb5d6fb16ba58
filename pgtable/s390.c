/* SPDX-License-Identifier: MIT */
#include "pgtable/s390.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_s390 = PT_OPS;
