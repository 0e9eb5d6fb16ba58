/* SPDX-License-Identifier: MIT */
#ifndef BENCH_IOVA_H
#define BENCH_IOVA_H

#include <uiommu/memcontrol.h>

/* Used in place of a format's name. */
#define IOVA_ROWS "iova"

/* Measure the IOVA allocator; @cpu as for pin_to(), and the next one. */
void bench_iova(struct mem_cgroup *cg, double scale, unsigned int cpu);
void check_iova_aims(void);

#endif
