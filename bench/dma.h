/* SPDX-License-Identifier: MIT */
#ifndef BENCH_DMA_H
#define BENCH_DMA_H

#include <uiommu/memcontrol.h>

/* Used in place of a format's name. */
#define DMA_ROWS "dma"

/* Measure the DMA API; @cpu as for pin_to(), and the next one. */
void bench_dma(struct mem_cgroup *cg, double scale, unsigned int cpu);
void check_dma_aims(void);

#endif
