/* SPDX-License-Identifier: MIT */
#include "pgtable/mock.h"

#include "pgtable/engine.h"

const struct pgtable_ops pgtable_mock = PT_OPS;
