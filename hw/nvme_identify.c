// SPDX-License-Identifier: MIT
/* What an NVMe controller tells of itself: Identify (5.15) and Get Log Page (5.14). */
#include <stdio.h>

#include "hw/nvme.h"

#define IDENTIFY_BYTES 4096

enum {
	CNS_NAMESPACE = 0x00,
	CNS_CONTROLLER = 0x01,
	CNS_ACTIVE_LIST = 0x02,
	CNS_DESCRIPTORS = 0x03,
};

enum {
	LOG_ERRORS = 0x01,
	LOG_HEALTH = 0x02,
	LOG_FIRMWARE = 0x03,
};

/* Text is padded with blanks. */
static void put_text(uint8_t *to, size_t length, const char *text)
{
	size_t have = strlen(text);

	memset(to, ' ', length);
	memcpy(to, text, have < length ? have : length);
}

/* Figure 247. */
static void identify_controller(const struct nvme *nvme, uint8_t *data)
{
	char name[256];

	hw_put16(data + 0, nvme->identity.vendor);
	hw_put16(data + 2, nvme->identity.subsystem_vendor);
	put_text(data + 4, 20, nvme->serial);
	put_text(data + 24, 40, "uiommu NVMe");
	put_text(data + 64, 8, "1");
	data[72] = 6; /* recommended arbitration burst */
	data[77] = NVME_MDTS;
	hw_put16(data + 78, 0);          /* CNTLID */
	hw_put32(data + 80, 0x00010400); /* VER */
	data[111] = 1;                   /* CNTRLTYPE: I/O controller */
	hw_put16(data + 256, 1 << 8);    /* OACS: doorbell buffer config */
	data[258] = 3;                   /* ACL */
	data[259] = NVME_NR_AERS - 1;    /* AERL */
	data[260] = 1 << 1 | 1;          /* FRMW: one slot, read-only */
	data[262] = 0;                   /* ELPE: one error log entry */
	hw_put16(data + 266, 343);       /* WCTEMP, kelvins */
	hw_put16(data + 268, 373);       /* CCTEMP */
	data[512] = 0x66;                /* SQES */
	data[513] = 0x44;                /* CQES */
	hw_put32(data + 516, nvme->nr_ns);
	hw_put16(data + 520, 1 << 0 | 1 << 2 | 1 << 3); /* ONCS: compare, DSM, write zeroes */
	data[525] = 1 | 3 << 1;            /* VWC: present; flush of all namespaces is supported */
	hw_put32(data + 536, 1 | 1 << 16); /* SGLS: of any alignment; bit bucket */
	/* 7.9: vendor, subsystem vendor, serial number */
	snprintf(name, sizeof(name), "nqn.2014.08.org.nvmexpress:%04x%04x%s", nvme->identity.vendor,
		 nvme->identity.subsystem_vendor, nvme->serial);
	memcpy(data + 768, name, strlen(name));
	hw_put16(data + 2048, 2500); /* power state 0: 25 W */
}

/* Figure 245. */
static uint16_t identify_namespace(struct nvme *nvme, uint32_t nsid, uint8_t *data)
{
	const struct nvme_ns *ns = nvme_find_ns(nvme, nsid);

	if (nsid != UINT32_MAX) {
		if (!ns)
			return NVME_INVALID_NAMESPACE;
		hw_put64(data + 0, ns->blocks);
		hw_put64(data + 8, ns->blocks);
		hw_put64(data + 16, ns->blocks);
		data[24] = 1 << 0;          /* NSFEAT: thin provisioning */
		data[33] = 1 | 1 << 3;      /* DLFEAT: deallocated blocks read as zeros */
		data[99] = nvme->read_only; /* NSATTR */
	}
	data[128 + 2] = (uint8_t)nvme->block_lg2; /* LBAF0 */
	return NVME_SUCCESS;
}

static uint16_t identify_list(const struct nvme *nvme, uint32_t after, uint8_t *data)
{
	if (after >= UINT32_MAX - 1)
		return NVME_INVALID_NAMESPACE;
	for (uint32_t nsid = after + 1, at = 0; nsid <= nvme->nr_ns; nsid++, at += 4)
		hw_put32(data + at, nsid);
	return NVME_SUCCESS;
}

/* Figure 249: a UUID made of the serial number and the namespace. */
static uint16_t identify_descriptors(struct nvme *nvme, uint32_t nsid, uint8_t *data)
{
	if (!nvme_find_ns(nvme, nsid))
		return NVME_INVALID_NAMESPACE;
	data[0] = 3; /* NIDT: UUID */
	data[1] = 16;
	for (unsigned int i = 0; nvme->serial[i]; i++)
		data[4 + i % 12] = (uint8_t)(data[4 + i % 12] * 31 + nvme->serial[i]);
	hw_put32(data + 4 + 12, nsid);
	data[4 + 6] = (data[4 + 6] & 0x0f) | 0x80; /* version 8: as the maker likes */
	data[4 + 8] = (data[4 + 8] & 0x3f) | 0x80;
	return NVME_SUCCESS;
}

uint16_t nvme_identify(struct nvme *nvme, const uint8_t *command)
{
	uint32_t nsid = nvme_nsid(command);
	uint8_t data[IDENTIFY_BYTES] = {0};
	uint16_t status = NVME_SUCCESS;

	switch (nvme_dword(command, 10) & 0xff) {
	case CNS_NAMESPACE:
		status = identify_namespace(nvme, nsid, data);
		break;
	case CNS_CONTROLLER:
		identify_controller(nvme, data);
		break;
	case CNS_ACTIVE_LIST:
		status = identify_list(nvme, nsid, data);
		break;
	case CNS_DESCRIPTORS:
		status = identify_descriptors(nvme, nsid, data);
		break;
	default:
		status = NVME_INVALID_FIELD;
	}
	if (!status)
		status = nvme_map(nvme, command, sizeof(data), true, false);
	return status ? status : nvme_to_host(nvme, data);
}

/* Figure 196; counters are of 128 bits, units of 1000 × 512 bytes. */
static void log_health(const struct nvme *nvme, uint8_t *data)
{
	unsigned int to_sectors = nvme->block_lg2 - 9;

	hw_put16(data + 1, 313); /* temperature, kelvins */
	data[3] = 100;           /* available spare */
	data[4] = 10;            /* its threshold */
	hw_put64(data + 32, ((nvme->stats.read_blocks << to_sectors) + 999) / 1000);
	hw_put64(data + 48, ((nvme->stats.written_blocks << to_sectors) + 999) / 1000);
	hw_put64(data + 64, nvme->stats.reads);
	hw_put64(data + 80, nvme->stats.writes);
}

uint16_t nvme_log_page(struct nvme *nvme, const uint8_t *command)
{
	uint32_t dword10 = nvme_dword(command, 10), dword11 = nvme_dword(command, 11);
	uint64_t length = 4 * ((uint64_t)(dword11 & 0xffff) << 16 | dword10 >> 16) + 4;
	uint64_t offset = hw_get64(command + 48);
	uint8_t page[512] = {0}, data[512];
	uint16_t status;

	switch (dword10 & 0xff) {
	case LOG_ERRORS:                  /* the one entry is empty: completions tell all */
		if (!(dword10 & 1 << 15)) /* retain asynchronous event */
			nvme->event_masked = false;
		break;
	case LOG_HEALTH:
		log_health(nvme, page);
		break;
	case LOG_FIRMWARE:
		page[0] = 1; /* slot 1 is active */
		put_text(page + 8, 8, "1");
		break;
	default:
		return NVME_INVALID_LOG;
	}
	/* Dwords beyond the page are undefined: they are left alone. */
	if (offset & 3 || offset > sizeof(page))
		return NVME_INVALID_FIELD;
	if (length > sizeof(page) - offset)
		length = sizeof(page) - offset;
	memcpy(data, page + offset, length);
	status = nvme_map(nvme, command, (uint32_t)length, true, false);
	return status ? status : nvme_to_host(nvme, data);
}
