/* SPDX-License-Identifier: MIT */
#ifndef BENCH_IOMMUFD_H
#define BENCH_IOMMUFD_H

#include <uiommu/memcontrol.h>

#define IOMMUFD "iommufd"

/*
 * Through ioctls: maps beside what the engine alone needs for the same, round
 * trips, calls on descriptors that are not ours, and bytes per area. @scale is
 * that of the number of rounds.
 */
void bench_iommufd(struct mem_cgroup *cg, double scale);
/* Prints them; false when one is missed. */
void check_iommufd_aims(void);

#endif
