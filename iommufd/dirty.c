/* SPDX-License-Identifier: MIT */
/*
 * What devices have written to, as a bitmap in the program's memory.
 *
 * A dirty entry may cover far more than the part of the bitmap that is at hand,
 * and is clean once it is read. So the tables are walked once per area, and the
 * bitmap follows the walk, a window of it at a time, through a copy of ours.
 */
#include <uiommu/dirty.h>

#include "iommufd/pages.h"

#define WINDOW_BYTES 1024u

struct bitmap {
	struct iommufd_ctx *ctx;
	uint64_t iova;      /* of bit 0 */
	unsigned int shift; /* log2 of the bytes per bit */
	uint64_t data;      /* the program's bitmap */
	uint64_t nr_bytes;  /* of it */
	uint64_t at;        /* the window begins at this byte */
	size_t len;         /* bytes in the window; 0 when there is none */
	int error;
	uint8_t window[WINDOW_BYTES];
};

static void bitmap_flush(struct bitmap *bitmap)
{
	if (bitmap->len && iommufd_copy_to_user(bitmap->ctx, bitmap->data + bitmap->at,
						bitmap->window, bitmap->len))
		bitmap->error = -EFAULT;
	bitmap->len = 0;
}

/* Bring the window to a byte. */
static void bitmap_seek(struct bitmap *bitmap, uint64_t byte)
{
	if (bitmap->len && byte - bitmap->at < bitmap->len)
		return;
	bitmap_flush(bitmap);
	bitmap->at = byte - byte % WINDOW_BYTES;
	bitmap->len = MIN(bitmap->nr_bytes - bitmap->at, WINDOW_BYTES);
	if (iommufd_copy_from_user(bitmap->ctx, bitmap->window, bitmap->data + bitmap->at,
				   bitmap->len)) {
		bitmap->error = -EFAULT;
		bitmap->len = 0;
	}
}

/* Set bits within the window from one on; returns how many of @n fitted. */
static uint64_t bitmap_fill(struct bitmap *bitmap, uint64_t bit, uint64_t n)
{
	uint64_t in = bit - bitmap->at * 8;

	n = MIN(n, bitmap->len * 8 - in);
	for (uint64_t end = in + n; in < end; in++) {
		if (!(in % 8) && end - in >= 8) {
			bitmap->window[in / 8] = 0xff;
			in += 7;
		} else {
			bitmap->window[in / 8] |= 1u << in % 8;
		}
	}
	return n;
}

static void record(void *context, dma_addr_t iova, dma_addr_t last)
{
	struct bitmap *bitmap = context;
	uint64_t bit = (iova - bitmap->iova) >> bitmap->shift;
	uint64_t end = ((last - bitmap->iova) >> bitmap->shift) + 1;

	while (bit < end && !bitmap->error) {
		bitmap_seek(bitmap, bit / 8);
		if (!bitmap->error)
			bit += bitmap_fill(bitmap, bit, end - bit);
	}
}

static int check_range(const struct io_pagetable *iopt,
		       const struct iommu_hwpt_get_dirty_bitmap *cmd)
{
	uint64_t mask = (iopt->iova_alignment - 1) | (cmd->page_size - 1), last;

	/* Linux 7.3's answer, for a caller that is known to expect it. */
	if (!cmd->length && (iopt->ctx->config.abi >= IOMMUFD_ABI_7_3 || iopt->ctx->knows_7_3))
		return -EINVAL;
	/* Thus for others nothing at all is -EOVERFLOW too, unless it is at 0. */
	if (__builtin_add_overflow(cmd->iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	if (!cmd->page_size || ((cmd->iova | (last + 1)) & mask))
		return -EINVAL;
	return 0;
}

/*
 * As in the kernel nobody hears of a hole: what comes before it is read. Nor of
 * tracking that is off. But a bitmap that cannot be written is an error here,
 * which the kernel forgets.
 */
int iommufd_dirty_read(struct iommufd_hwpt *hwpt, const struct iommu_hwpt_get_dirty_bitmap *cmd)
{
	struct io_pagetable *iopt = &hwpt->ioas->iopt;
	uint64_t iova = cmd->iova, last = cmd->iova + (cmd->length - 1);
	bool no_clear = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	struct bitmap bitmap = {.ctx = iopt->ctx, .iova = iova, .data = cmd->data};
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {record, &bitmap, &gather};
	struct iopt_area *area;
	int rc = check_range(iopt, cmd);

	if (rc)
		return rc;
	if (!hwpt->dirty_tracking)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return 0;
	iommu_iotlb_gather_init(&gather);
	bitmap.shift = ffs64_index(cmd->page_size);
	bitmap.nr_bytes = ((cmd->length - 1) >> bitmap.shift) / 8 + 1;
	while (!bitmap.error && (area = iopt_area_at(iopt, iova))) {
		uint64_t end = MIN(last, area->node.last);

		if (iommu_read_and_clear_dirty(hwpt->domain, iova, end - iova + 1,
					       no_clear ? IOMMU_DIRTY_NO_CLEAR : 0, &dirty))
			break;
		if (end == last)
			break;
		iova = end + 1;
	}
	bitmap_flush(&bitmap);
	iommu_iotlb_sync(hwpt->domain, &gather);
	return bitmap.error;
}

int iommufd_dirty_track(struct iommufd_hwpt *hwpt, bool enable)
{
	if (!hwpt->dirty_tracking)
		return -EOPNOTSUPP;
	return iommu_set_dirty_tracking(hwpt->domain, enable);
}
