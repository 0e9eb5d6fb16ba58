/* SPDX-License-Identifier: MIT */
/*
 * The cost of calls where there is much of everything: addresses, domains, levels of
 * cgroups, pieces of a list, threads.
 */
#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include <uiommu/memcontrol.h>

/* Used in place of a format's name. */
#define SCALE_ROWS "scale"

/* Charged to @cg, on the cpu-th processor and the next one; @scale: of the number of rounds. */
void bench_scale(struct mem_cgroup *cg, double scale, unsigned int cpu);
/* Print how far the figures are from the aims. */
void check_scale_aims(void);

#endif
