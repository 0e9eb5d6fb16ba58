/* SPDX-License-Identifier: MIT */
/*
 * Scatter lists: all pieces in one range of addresses, joined where the device can take
 * it.
 *
 * The range is aligned to its size. So the place of a piece in it follows from the
 * lengths, before the range is allocated: a range that is not longer than the boundary
 * crosses none, and a longer range begins at one. A piece that would cross a boundary
 * is moved up to it, and the gap before it is not mapped.
 *
 * Segments begin and end at granules of their own, so unmapping needs nothing but the
 * segments: the limits of the device may have been changed meanwhile.
 */
#include "dma/dma.h"

#define CHUNK 16

struct layout {
	const struct iommu_dma_cookie *cookie;
	uint64_t boundary; /* mask */
	uint64_t end;      /* end of the pieces so far, from the start of the range */
};

/* One piece in whole granules; at is from the start of the range. */
struct placed {
	uint64_t at, bytes;
};

static struct placed place(struct layout *layout, const struct scatterlist *piece)
{
	uint64_t bytes = granule_bytes(layout->cookie, piece->paddr, piece->length);
	uint64_t to_boundary = -layout->end & layout->boundary;
	struct placed placed;

	if (to_boundary && to_boundary < bytes)
		layout->end += to_boundary;
	placed = (struct placed){layout->end, bytes};
	layout->end += bytes;
	return placed;
}

/* Bytes of the range for a list; 0 for an empty or invalid list. */
static uint64_t range_bytes(struct layout layout, const struct scatterlist *sg, unsigned int nents)
{
	for (unsigned int i = 0; i < nents; i++) {
		const struct scatterlist *piece = &sg[i];

		if (!piece->length)
			continue;
		if (piece->paddr + (piece->length - 1) < piece->paddr ||
		    piece->length > (uint64_t)PTRDIFF_MAX / 2 ||
		    layout.end > (uint64_t)PTRDIFF_MAX / 2)
			return 0;
		place(&layout, piece);
	}
	return layout.end;
}

/* May a piece that begins at @iova join the segment before it? */
static bool can_join(const struct iommu_device *dev, const struct iommu_dma_cookie *cookie,
		     const struct scatterlist *segment, dma_addr_t iova,
		     const struct scatterlist *piece)
{
	return segment->dma_address + segment->dma_length == iova && !(iova & cookie->mask) &&
	       (iova & dev->dma.seg_boundary) && segment->dma_length <= dev->dma.max_seg_size &&
	       dev->dma.max_seg_size - segment->dma_length >= piece->length;
}

/* Tell the caller the device addresses of each piece. Returns the number of segments. */
static unsigned int fill_segments(const struct iommu_device *dev, struct layout layout,
				  dma_addr_t start, struct scatterlist *sg, unsigned int nents)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < nents; i++) {
		const struct scatterlist *piece = &sg[i];
		dma_addr_t iova;

		if (!piece->length)
			continue;
		iova = start + place(&layout, piece).at + (piece->paddr & layout.cookie->mask);
		if (count && can_join(dev, layout.cookie, &sg[count - 1], iova, piece)) {
			sg[count - 1].dma_length += piece->length;
			continue;
		}
		sg[count].dma_address = iova;
		sg[count].dma_length = piece->length;
		count++;
	}
	if (count < nents)
		sg[count].dma_length = 0;
	return count;
}

/* Pieces that are mapped by one call, since there is no gap between their addresses. */
struct chunk {
	struct iommu_sg sg[CHUNK];
	unsigned int nents;
	uint64_t at, bytes;
};

static int map_chunk(struct iommu_dma_cookie *cookie, dma_addr_t start, struct chunk *chunk,
		     int prot)
{
	ssize_t ret = chunk->nents ? iommu_map_sg(cookie->domain, start + chunk->at, chunk->sg,
						  chunk->nents, prot, GFP_ATOMIC)
				   : 0;

	chunk->nents = 0;
	chunk->bytes = 0;
	return ret < 0 ? (int)ret : 0;
}

static void add_to_chunk(struct chunk *chunk, struct placed placed, phys_addr_t paddr)
{
	struct iommu_sg *last = chunk->nents ? &chunk->sg[chunk->nents - 1] : NULL;

	if (!last)
		chunk->at = placed.at;
	chunk->bytes += placed.bytes;
	if (last && last->paddr + last->length == paddr)
		last->length += placed.bytes;
	else
		chunk->sg[chunk->nents++] =
			(struct iommu_sg){.paddr = paddr, .length = placed.bytes};
}

static int map_pieces(struct layout layout, dma_addr_t start, const struct scatterlist *sg,
		      unsigned int nents, int prot, struct iommu_dma_cookie *cookie)
{
	struct chunk chunk = {.nents = 0};
	int ret = 0;

	for (unsigned int i = 0; i < nents && !ret; i++) {
		struct placed placed;

		if (!sg[i].length)
			continue;
		placed = place(&layout, &sg[i]);
		if (chunk.nents == CHUNK || chunk.at + chunk.bytes != placed.at)
			ret = map_chunk(cookie, start, &chunk, prot);
		if (!ret)
			add_to_chunk(&chunk, placed, granule_start(cookie, sg[i].paddr));
	}
	return ret ? ret : map_chunk(cookie, start, &chunk, prot);
}

/* Granules of consecutive addresses, over several segments. */
struct run {
	dma_addr_t start, end;
};

/* The run that begins with segment *i; moves *i behind it. */
static struct run next_run(const struct iommu_dma_cookie *cookie, const struct scatterlist *sg,
			   unsigned int nents, unsigned int *i)
{
	struct run run = {granule_start(cookie, sg[*i].dma_address), 0};

	run.end = run.start;
	for (; *i < nents && sg[*i].dma_length; (*i)++) {
		const struct scatterlist *segment = &sg[*i];

		if (granule_start(cookie, segment->dma_address) != run.end)
			break;
		run.end += granule_bytes(cookie, segment->dma_address, segment->dma_length);
	}
	return run;
}

/* Unmap the segments of a list. Returns false when not all of them were mapped. */
static bool unmap_segments(const struct iommu_dma_cookie *cookie, const struct scatterlist *sg,
			   unsigned int nents, struct run *all, struct iommu_iotlb_gather *gather)
{
	unsigned int i = 0;
	bool whole = true;

	*all = (struct run){granule_start(cookie, sg[0].dma_address), 0};
	while (i < nents && sg[i].dma_length) {
		struct run run = next_run(cookie, sg, nents, &i);

		whole &= iommu_unmap_fast(cookie->domain, run.start, run.end - run.start, gather) ==
			 run.end - run.start;
		all->end = run.end;
	}
	return whole;
}

static unsigned int map_sg(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			   struct scatterlist *sg, unsigned int nents, int prot)
{
	struct layout layout = {.cookie = cookie, .boundary = dev->dma.seg_boundary};
	uint64_t bytes = range_bytes(layout, sg, nents);
	struct iommu_iotlb_gather gather;
	unsigned int count;
	dma_addr_t start;
	struct run all;

	if (!bytes || !prot)
		return 0;
	start = iommu_dma_alloc_iova(dev, cookie, bytes, dev->dma.mask, GFP_ATOMIC);
	if (!start)
		return 0;
	count = fill_segments(dev, layout, start, sg, nents);
	if (likely(!map_pieces(layout, start, sg, nents, prot, cookie)))
		return count;
	iommu_iotlb_gather_init(&gather);
	unmap_segments(cookie, sg, nents, &all, &gather);
	iommu_dma_finish_unmap(cookie, start, bytes, &gather, false);
	sg[0].dma_length = 0;
	return 0;
}

static void unmap_each(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
		       enum dma_data_direction dir, unsigned long attrs)
{
	for (unsigned int i = 0; i < nents && sg[i].dma_length; i++)
		iommu_dma_unmap_page(dev, sg[i].dma_address, sg[i].dma_length, dir, attrs);
}

/* Each piece by itself, so that parts of pages can be copied. */
static unsigned int map_each(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			     enum dma_data_direction dir, unsigned long attrs)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < nents; i++) {
		dma_addr_t iova;

		if (!sg[i].length)
			continue;
		iova = iommu_dma_map_page(dev, sg[i].paddr, sg[i].length, dir, attrs);
		if (iova == DMA_MAPPING_ERROR) {
			unmap_each(dev, sg, count, dir, attrs | DMA_ATTR_SKIP_CPU_SYNC);
			sg[0].dma_length = 0;
			return 0;
		}
		sg[count].dma_address = iova;
		sg[count++].dma_length = sg[i].length;
	}
	if (count < nents)
		sg[count].dma_length = 0;
	return count;
}

unsigned int dma_map_sg_attrs(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			      enum dma_data_direction dir, unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	unsigned int ents;

	if (unlikely(!cookie))
		return 0;
	if (unlikely(dev->dma.untrusted))
		ents = map_each(dev, sg, nents, dir, attrs);
	else
		ents = map_sg(dev, cookie, sg, nents, dma_info_to_prot(dir, attrs));
	if (likely(ents))
		trace_dma(map_sg, dev, sg, nents, ents, dir, attrs);
	return ents;
}

void dma_unmap_sg_attrs(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	struct iommu_iotlb_gather gather;
	struct run all;

	if (unlikely(!cookie || !nents || !sg[0].dma_length))
		return;
	trace_dma(unmap_sg, dev, sg, nents, dir, attrs);
	if (unlikely(dev->dma.untrusted)) {
		unmap_each(dev, sg, nents, dir, attrs);
		return;
	}
	iommu_iotlb_gather_init(&gather);
	if (likely(unmap_segments(cookie, sg, nents, &all, &gather)))
		iommu_dma_finish_unmap(cookie, all.start, all.end - all.start, &gather, true);
	else
		iommu_dma_unmap_mismatch(dev, cookie, all.start, &gather);
}

void dma_sync_sg_for_cpu(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			 enum dma_data_direction dir)
{
	for (unsigned int i = 0; i < nents && sg[i].dma_length; i++)
		dma_sync_single_for_cpu(dev, sg[i].dma_address, sg[i].dma_length, dir);
}

void dma_sync_sg_for_device(struct iommu_device *dev, struct scatterlist *sg, unsigned int nents,
			    enum dma_data_direction dir)
{
	for (unsigned int i = 0; i < nents && sg[i].dma_length; i++)
		dma_sync_single_for_device(dev, sg[i].dma_address, sg[i].dma_length, dir);
}
