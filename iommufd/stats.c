/* SPDX-License-Identifier: MIT */
#include "iommufd/stats.h"

/* The line of an ioctl, a new one if need be; the last one takes what is too much. */
static struct iommufd_ioctl_stat *stat_of(struct iommufd_stats *stats, unsigned int cmd)
{
	struct iommufd_ioctl_stat *op;
	const char *name;

	for (unsigned int n = 0; n < stats->nr; n++)
		if (stats->op[n].cmd == cmd)
			return &stats->op[n];
	name = iommufd_ioctl_name(cmd);
	if (!name && cmd)
		return stat_of(stats, 0);
	if (stats->nr == IOMMUFD_STAT_OPS)
		return &stats->op[IOMMUFD_STAT_OPS - 1];
	op = &stats->op[stats->nr++];
	op->cmd = cmd;
	op->name = name ? name : "unknown";
	return op;
}

static void count_failures(struct iommufd_ioctl_stat *op, int error, uint64_t count)
{
	unsigned int n = 0;

	while (n < IOMMUFD_STAT_ERRORS - 1 && op->failed[n].count && op->failed[n].error != error)
		n++;
	if (!op->failed[n].count)
		op->failed[n].error = error;
	op->failed[n].count += count;
}

void iommufd_stats_count(struct iommufd_stats *stats, unsigned int cmd, int result, uint64_t ns)
{
	struct iommufd_ioctl_stat *op = stat_of(stats, cmd);

	op->count++;
	op->ns += ns;
	if (result < 0)
		count_failures(op, -result, 1);
}

void iommufd_stats_add(struct iommufd_stats *sum, const struct iommufd_stats *stats)
{
	for (unsigned int n = 0; n < stats->nr; n++) {
		const struct iommufd_ioctl_stat *from = &stats->op[n];
		struct iommufd_ioctl_stat *op = stat_of(sum, from->cmd);

		op->count += from->count;
		op->ns += from->ns;
		for (unsigned int i = 0; i < IOMMUFD_STAT_ERRORS && from->failed[i].count; i++)
			count_failures(op, from->failed[i].error, from->failed[i].count);
	}
}

void iommufd_ctx_stats(struct iommufd_ctx *ctx, struct iommufd_stats *stats)
{
	struct mem_cgroup *before = iommufd_lock(ctx);

	*stats = *ctx->stats;
	iommufd_unlock(ctx, before);
}
