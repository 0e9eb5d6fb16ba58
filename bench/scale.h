/* SPDX-License-Identifier: MIT */
/*
 * What calls cost where there is much of everything: addresses, domains, levels of
 * cgroups, pieces of a list, threads.
 */
#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include <uiommu/memcontrol.h>

/* The rows' name in the place of a format's. */
#define SCALE_ROWS "scale"

/* Charged to @cg, on the cpu-th processor and the next; scale: of the number of rounds. */
void bench_scale(struct mem_cgroup *cg, double scale, unsigned int cpu);
/* Print how far from the aims. */
void check_scale_aims(void);

#endif
