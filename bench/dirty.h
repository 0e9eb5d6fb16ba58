/* SPDX-License-Identifier: MIT */
/*
 * The cost of finding out what devices wrote to, and the delay of another thread while
 * large leaves are split for that.
 */
#ifndef BENCH_DIRTY_H
#define BENCH_DIRTY_H

#include <uiommu/memcontrol.h>

/* Used in place of a format's name. */
#define DIRTY_ROWS "dirty"

/* Charged to @cg, on the cpu-th processor and the next one; @scale: of the number of rounds. */
void bench_dirty(struct mem_cgroup *cg, double scale, unsigned int cpu);
/* Print how far the figures are from the aims. */
void check_dirty_aims(void);

#endif
