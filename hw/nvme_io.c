// SPDX-License-Identifier: MIT
/* The commands of the NVM command set: section 6. */
#include "hw/nvme.h"

enum {
	FLUSH = 0x00,
	WRITE = 0x01,
	READ = 0x02,
	COMPARE = 0x05,
	WRITE_ZEROES = 0x08,
	DATASET_MANAGEMENT = 0x09,
};

#define FORCE_UNIT_ACCESS (1u << 30) /* of dword 12 */
#define DSM_DEALLOCATE    (1u << 2)  /* of dword 11 */
#define DSM_RANGE         16

/* Blocks of a command, in bytes. */
struct extent {
	uint64_t at;
	uint32_t length;
};

/* 6.1.1: starting LBA and number of blocks, 0's based. */
static uint16_t read_extent(const struct nvme *nvme, const struct nvme_ns *ns,
			    const uint8_t *command, struct extent *extent)
{
	uint64_t first = hw_get64(command + 40);
	uint32_t blocks = (nvme_dword(command, 12) & 0xffff) + 1;

	if (first >= ns->blocks || blocks > ns->blocks - first)
		return NVME_LBA_RANGE;
	extent->at = first << nvme->block_lg2;
	extent->length = blocks << nvme->block_lg2;
	return NVME_SUCCESS;
}

static uint16_t map_extent(struct nvme *nvme, const struct nvme_ns *ns, const uint8_t *command,
			   bool to_host, struct extent *extent)
{
	uint32_t blocks = (nvme_dword(command, 12) & 0xffff) + 1;
	uint16_t status;

	if (blocks > NVME_MAX_TRANSFER >> nvme->block_lg2)
		return NVME_INVALID_FIELD;
	status = read_extent(nvme, ns, command, extent);
	return status ? status : nvme_map(nvme, command, extent->length, to_host, true);
}

static uint16_t do_read(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	struct extent extent;
	uint16_t status = map_extent(nvme, ns, command, true, &extent);
	const void *data;

	if (status)
		return status;
	data = nvme_read_store(ns, extent.at, extent.length, nvme->buffer);
	if (!data)
		return NVME_READ_ERROR;
	nvme->stats.reads++;
	nvme->stats.read_blocks += extent.length >> nvme->block_lg2;
	return nvme_to_host(nvme, data);
}

/* The volatile write cache is what the kernel has not written to the file yet. */
static bool finish_write(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	bool through = nvme_dword(command, 12) & FORCE_UNIT_ACCESS || !nvme->features[0x06];

	return !through || nvme_flush_store(ns);
}

static uint16_t do_write(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	struct extent extent;
	uint16_t status = map_extent(nvme, ns, command, false, &extent);
	void *place;

	if (status)
		return status;
	place = nvme_write_place(ns, extent.at, nvme->buffer);
	status = nvme_from_host(nvme, place);
	if (status)
		return status;
	nvme->stats.writes++;
	nvme->stats.written_blocks += extent.length >> nvme->block_lg2;
	if (!nvme_write_store(ns, extent.at, extent.length, place) ||
	    !finish_write(nvme, ns, command))
		return NVME_WRITE_FAULT;
	return NVME_SUCCESS;
}

/* A piece at a time: the buffer holds the program's data. */
static uint16_t compare(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	struct extent extent;
	uint16_t status = map_extent(nvme, ns, command, false, &extent);
	uint8_t block[4096];

	if (!status)
		status = nvme_from_host(nvme, nvme->buffer);
	if (status)
		return status;
	for (uint32_t done = 0; done < extent.length; done += 1u << nvme->block_lg2) {
		const void *data =
			nvme_read_store(ns, extent.at + done, 1u << nvme->block_lg2, block);

		if (!data)
			return NVME_READ_ERROR;
		if (memcmp(data, nvme->buffer + done, 1u << nvme->block_lg2))
			return NVME_COMPARE_FAILURE;
	}
	return NVME_SUCCESS;
}

static uint16_t write_zeroes(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	struct extent extent;
	uint16_t status = read_extent(nvme, ns, command, &extent);

	if (status)
		return status;
	if (!nvme_zero_store(ns, extent.at, extent.length) || !finish_write(nvme, ns, command))
		return NVME_WRITE_FAULT;
	return NVME_SUCCESS;
}

/* 6.7: all ranges are checked before the first is deallocated, so that all or none are. */
static uint16_t dataset_management(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	uint32_t count = (nvme_dword(command, 10) & 0xff) + 1;
	uint8_t ranges[256 * DSM_RANGE];
	uint16_t status = nvme_map(nvme, command, count * DSM_RANGE, false, true);

	if (!status)
		status = nvme_from_host(nvme, ranges);
	if (status || !(nvme_dword(command, 11) & DSM_DEALLOCATE))
		return status;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t first = hw_get64(ranges + DSM_RANGE * i + 8);

		if (first > ns->blocks || hw_get32(ranges + DSM_RANGE * i + 4) > ns->blocks - first)
			return NVME_LBA_RANGE;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t blocks = hw_get32(ranges + DSM_RANGE * i + 4);

		if (blocks &&
		    !nvme_zero_store(ns, hw_get64(ranges + DSM_RANGE * i + 8) << nvme->block_lg2,
				     blocks << nvme->block_lg2))
			return NVME_WRITE_FAULT;
	}
	return NVME_SUCCESS;
}

static uint16_t flush(struct nvme *nvme, uint32_t nsid)
{
	struct nvme_ns *ns = nvme_find_ns(nvme, nsid);

	if (nsid != UINT32_MAX)
		return !ns                    ? NVME_INVALID_NAMESPACE
		       : nvme_flush_store(ns) ? NVME_SUCCESS
					      : NVME_WRITE_FAULT;
	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		if (!nvme_flush_store(&nvme->ns[i]))
			return NVME_WRITE_FAULT;
	return NVME_SUCCESS;
}

static uint16_t change(struct nvme *nvme, struct nvme_ns *ns, const uint8_t *command)
{
	if (nvme->read_only)
		return NVME_WRITE_PROTECTED;
	switch (nvme_opcode(command)) {
	case WRITE:
		return do_write(nvme, ns, command);
	case WRITE_ZEROES:
		return write_zeroes(nvme, ns, command);
	default:
		return dataset_management(nvme, ns, command);
	}
}

uint16_t nvme_io(struct nvme *nvme, const uint8_t *command)
{
	struct nvme_ns *ns = nvme_find_ns(nvme, nvme_nsid(command));

	if (command[1] & 3) /* fused operations */
		return NVME_INVALID_FIELD;
	switch (nvme_opcode(command)) {
	case FLUSH:
		return flush(nvme, nvme_nsid(command));
	case READ:
		return ns ? do_read(nvme, ns, command) : NVME_INVALID_NAMESPACE;
	case COMPARE:
		return ns ? compare(nvme, ns, command) : NVME_INVALID_NAMESPACE;
	case WRITE:
	case WRITE_ZEROES:
	case DATASET_MANAGEMENT:
		return ns ? change(nvme, ns, command) : NVME_INVALID_NAMESPACE;
	default:
		return NVME_INVALID_OPCODE;
	}
}
