/* SPDX-License-Identifier: MIT */
/*
 * What the report says about ioctls: how many of each, how they failed, and how
 * long they took. Kept per context, under its lock; it belongs to the program
 * around the library and is charged to nobody.
 */
#ifndef IOMMUFD_STATS_H
#define IOMMUFD_STATS_H

#include <stdint.h>

#include "iommufd/iommufd.h"

#define IOMMUFD_STAT_OPS    40 /* different ioctls, the unknown together */
#define IOMMUFD_STAT_ERRORS 12 /* different errnos of each, the last for all others */

struct iommufd_ioctl_stat {
	unsigned int cmd;
	const char *name; /* "unknown" for one that is not in the tables */
	uint64_t count;   /* failures included */
	uint64_t ns;      /* time of all of them */
	struct {
		int error; /* positive */
		uint64_t count;
	} failed[IOMMUFD_STAT_ERRORS]; /* up to the first with count 0 */
};

struct iommufd_stats {
	unsigned int nr;
	struct iommufd_ioctl_stat op[IOMMUFD_STAT_OPS];
};

/* Count one; @result is what it returned. */
void iommufd_stats_count(struct iommufd_stats *stats, unsigned int cmd, int result, uint64_t ns);
/* Add those of a context that is about to close to a sum over several. */
void iommufd_stats_add(struct iommufd_stats *sum, const struct iommufd_stats *stats);
/* A consistent copy. */
void iommufd_ctx_stats(struct iommufd_ctx *ctx, struct iommufd_stats *stats);
/* For people: "IOAS", "HWPT", ... */
const char *iommufd_object_type_name(enum iommufd_object_type type);

#endif
