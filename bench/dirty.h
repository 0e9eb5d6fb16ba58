/* SPDX-License-Identifier: MIT */
/*
 * What it costs to find out what devices wrote to, and what another thread notices of
 * large leaves being split for it.
 */
#ifndef BENCH_DIRTY_H
#define BENCH_DIRTY_H

#include <uiommu/memcontrol.h>

/* The rows' name in the place of a format's. */
#define DIRTY_ROWS "dirty"

/* Charged to @cg, on the cpu-th processor and the next; scale: of the number of rounds. */
void bench_dirty(struct mem_cgroup *cg, double scale, unsigned int cpu);
/* Print how far from the aims. */
void check_dirty_aims(void);

#endif
