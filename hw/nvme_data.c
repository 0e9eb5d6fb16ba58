// SPDX-License-Identifier: MIT
/* PRPs and SGLs: sections 4.3 and 4.4. */
#include "hw/nvme.h"

#define PRP_BYTES 8
#define SGL_BYTES 16

/* PRP entries are read in pieces of so many. */
#define PRP_PIECE 64

enum {
	SGL_DATA,
	SGL_BIT_BUCKET,
	SGL_SEGMENT,
	SGL_LAST_SEGMENT
};

/* False when there are too many. What goes on where the last one ends is part of it. */
static bool add(struct nvme *nvme, uint64_t iova, uint32_t length, bool discard)
{
	struct nvme_segment *last = &nvme->segments[nvme->nr_segments];

	if (!length)
		return true;
	if (nvme->nr_segments && last[-1].iova + last[-1].length == iova && !discard &&
	    !last[-1].discard) {
		last[-1].length += length;
		return true;
	}
	if (nvme->nr_segments == NVME_MAX_SEGMENTS)
		return false;
	*last = (struct nvme_segment){.iova = iova, .length = length, .discard = discard};
	nvme->nr_segments++;
	return true;
}

/* ---- PRPs ---- */

/* Entries of a list are read on in pieces; the last of a page may lead to the next page. */
struct prp_list {
	uint64_t at; /* of the next piece */
	unsigned int next, count;
	uint8_t piece[PRP_PIECE * PRP_BYTES];
};

static bool next_entry(struct nvme *nvme, struct prp_list *list, uint64_t *entry)
{
	uint64_t page = UINT64_C(1) << nvme->page_lg2;

	if (list->next == list->count) {
		uint64_t length = page - (list->at & (page - 1));

		if (length > sizeof(list->piece))
			length = sizeof(list->piece);
		if (nvme->ops->read(nvme->host, HW_NO_PASID, list->at, list->piece, length))
			return false;
		list->at += length;
		list->next = 0;
		list->count = (unsigned int)length / PRP_BYTES;
	}
	*entry = hw_get64(list->piece + PRP_BYTES * list->next++);
	return true;
}

static uint16_t map_list(struct nvme *nvme, uint64_t at, uint32_t length)
{
	uint64_t page = UINT64_C(1) << nvme->page_lg2, entry;
	struct prp_list list = {.at = at};

	if (at % PRP_BYTES)
		return NVME_INVALID_PRP_OFFSET;
	while (length) {
		uint32_t part = length < page ? length : (uint32_t)page;
		bool ends_page;

		if (!next_entry(nvme, &list, &entry))
			return NVME_TRANSFER_ERROR;
		if (entry & (page - 1))
			return NVME_INVALID_PRP_OFFSET;
		ends_page = list.next == list.count && !(list.at & (page - 1));
		/*
		 * The last entry of a page leads to the next page if more than itself is
		 * needed. That page begins at its start: each has room for more entries,
		 * so that no ring of pages goes on for ever.
		 */
		if (ends_page && length > page) {
			list = (struct prp_list){.at = entry};
			continue;
		}
		if (!add(nvme, entry, part, false))
			return NVME_INVALID_FIELD;
		length -= part;
	}
	return NVME_SUCCESS;
}

static uint16_t map_prps(struct nvme *nvme, uint64_t prp1, uint64_t prp2, uint32_t length)
{
	uint64_t page = UINT64_C(1) << nvme->page_lg2;
	uint64_t first = page - (prp1 & (page - 1));

	if (prp1 & 3)
		return NVME_INVALID_PRP_OFFSET;
	if (first > length)
		first = length;
	add(nvme, prp1, (uint32_t)first, false);
	length -= (uint32_t)first;
	if (length > page)
		return map_list(nvme, prp2, length);
	if (length && prp2 & (page - 1))
		return NVME_INVALID_PRP_OFFSET;
	add(nvme, prp2, length, false);
	return NVME_SUCCESS;
}

/* ---- SGLs ---- */

/* What is left to find of a command's data. */
struct sgl {
	uint32_t length;
	unsigned int budget; /* descriptors, so that segments in a ring come to an end */
	bool to_host;
};

static uint16_t add_descriptor(struct nvme *nvme, struct sgl *sgl, const uint8_t *descriptor)
{
	uint32_t length = hw_get32(descriptor + 8);
	uint8_t type = descriptor[15];

	/* The low half is a subtype: 0, an address. */
	if (type != SGL_DATA << 4 && type != SGL_BIT_BUCKET << 4)
		return type >> 4 == SGL_SEGMENT || type >> 4 == SGL_LAST_SEGMENT
			       ? NVME_INVALID_SGL_SEGMENT
			       : NVME_SGL_TYPE;
	/* A bit bucket is a target only; as a source it has no length. */
	if (type == SGL_BIT_BUCKET << 4 && !sgl->to_host)
		return NVME_SUCCESS;
	if (length > sgl->length)
		return NVME_SGL_LENGTH;
	sgl->length -= length;
	return add(nvme, hw_get64(descriptor), length, type == SGL_BIT_BUCKET << 4)
		       ? NVME_SUCCESS
		       : NVME_SGL_COUNT;
}

/* The descriptors of one segment but the last, which is left in @descriptor. */
static uint16_t add_segment(struct nvme *nvme, struct sgl *sgl, uint8_t *descriptor)
{
	uint64_t iova = hw_get64(descriptor);
	uint32_t length = hw_get32(descriptor + 8);
	uint16_t status;

	if (!length || length % SGL_BYTES)
		return NVME_INVALID_SGL_SEGMENT;
	for (;;) {
		if (!sgl->budget--)
			return NVME_SGL_COUNT;
		if (nvme->ops->read(nvme->host, HW_NO_PASID, iova, descriptor, SGL_BYTES))
			return NVME_TRANSFER_ERROR;
		length -= SGL_BYTES;
		iova += SGL_BYTES;
		if (!length)
			return NVME_SUCCESS;
		status = add_descriptor(nvme, sgl, descriptor);
		if (status)
			return status;
	}
}

static uint16_t map_sgl(struct nvme *nvme, const uint8_t *first, uint32_t length, bool to_host)
{
	struct sgl sgl = {.length = length, .budget = NVME_MAX_SEGMENTS, .to_host = to_host};
	uint8_t descriptor[SGL_BYTES];
	uint16_t status;

	memcpy(descriptor, first, sizeof(descriptor));
	for (;;) {
		uint8_t type = descriptor[15];

		if (type != SGL_SEGMENT << 4 && type != SGL_LAST_SEGMENT << 4)
			break;
		status = add_segment(nvme, &sgl, descriptor);
		if (status)
			return status;
		if (type == SGL_LAST_SEGMENT << 4)
			break;
	}
	status = add_descriptor(nvme, &sgl, descriptor);
	if (!status && sgl.length)
		status = NVME_SGL_LENGTH;
	return status;
}

/* ---- data ---- */

uint16_t nvme_map(struct nvme *nvme, const uint8_t *command, uint32_t length, bool to_host,
		  bool sgls)
{
	unsigned int psdt = command[1] >> 6;

	nvme->nr_segments = 0;
	if (psdt == 3 || (psdt && !sgls))
		return NVME_INVALID_FIELD;
	if (psdt)
		return map_sgl(nvme, command + 24, length, to_host);
	return map_prps(nvme, hw_get64(command + 24), hw_get64(command + 32), length);
}

uint16_t nvme_to_host(struct nvme *nvme, const void *from)
{
	const uint8_t *bytes = from;

	for (unsigned int i = 0; i < nvme->nr_segments; i++) {
		const struct nvme_segment *segment = &nvme->segments[i];

		if (!segment->discard && nvme->ops->write(nvme->host, HW_NO_PASID, segment->iova,
							  bytes, segment->length))
			return NVME_TRANSFER_ERROR;
		bytes += segment->length;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_from_host(struct nvme *nvme, void *to)
{
	uint8_t *bytes = to;

	for (unsigned int i = 0; i < nvme->nr_segments; i++) {
		const struct nvme_segment *segment = &nvme->segments[i];

		if (nvme->ops->read(nvme->host, HW_NO_PASID, segment->iova, bytes, segment->length))
			return NVME_TRANSFER_ERROR;
		bytes += segment->length;
	}
	return NVME_SUCCESS;
}
