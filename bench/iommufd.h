/* SPDX-License-Identifier: MIT */
#ifndef BENCH_IOMMUFD_H
#define BENCH_IOMMUFD_H

#include <uiommu/memcontrol.h>

#define IOMMUFD "iommufd"

/*
 * Through ioctls: maps compared with the engine only, round trips, calls on other
 * descriptors, and bytes per area. @scale is that of the number of rounds.
 */
void bench_iommufd(struct mem_cgroup *cg, double scale);
/* Prints them; returns false when one is missed. */
void check_iommufd_aims(void);

#endif
