/* SPDX-License-Identifier: MIT */
/*
 * Booting a processor behind an IOMMU from an ELF file that says in its section
 * .resource_table what memory and which peripherals it must find at which of its
 * addresses (drivers/remoteproc/remoteproc_core.c of the kernel, and its loader
 * of ELF files).
 */
#ifndef CLIENTS_REMOTEPROC_H
#define CLIENTS_REMOTEPROC_H

#include <uiommu/iommu.h>

/* The resource table, as in linux/remoteproc.h; in the processor's byte order. */

/* A carveout may be anywhere. */
#define FW_RSC_ADDR_ANY UINT32_MAX

struct resource_table {
	uint32_t ver; /* 1 */
	uint32_t num;
	uint32_t reserved[2]; /* 0 */
	uint32_t offset[];    /* of each entry's header from the table's start */
};

enum fw_resource_type {
	RSC_CARVEOUT = 0,
	RSC_DEVMEM = 1,
	RSC_TRACE = 2,
	RSC_VDEV = 3,
};

struct fw_rsc_hdr {
	uint32_t type; /* what follows */
};

struct fw_rsc_carveout {
	uint32_t da;
	uint32_t pa; /* told to the firmware */
	uint32_t len;
	uint32_t flags; /* IOMMU_* */
	uint32_t reserved;
	uint8_t name[32];
};

struct fw_rsc_devmem {
	uint32_t da;
	uint32_t pa;
	uint32_t len;
	uint32_t flags; /* IOMMU_* */
	uint32_t reserved;
	uint8_t name[32];
};

struct fw_rsc_trace {
	uint32_t da;
	uint32_t len;
	uint32_t reserved;
	uint8_t name[32];
};

struct fw_rsc_vdev_vring {
	uint32_t da;
	uint32_t align;
	uint32_t num;
	uint32_t notifyid;
	uint32_t pa;
};

struct fw_rsc_vdev {
	uint32_t id;
	uint32_t notifyid;
	uint32_t dfeatures;
	uint32_t gfeatures;
	uint32_t config_len; /* bytes of it, after the rings */
	uint8_t status;
	uint8_t num_of_vrings;
	uint8_t reserved[2];
	struct fw_rsc_vdev_vring vring[];
};

/**
 * struct rproc_ops - Where the memory of the processor comes from.
 * @alloc: physically contiguous memory of @size bytes, whole pages, what
 *         dma_alloc_coherent() is to the kernel's; its physical address goes to
 *         @paddr. NULL when there is none.
 * @free: give it back
 */
struct rproc_ops {
	void *(*alloc)(void *context, size_t size, phys_addr_t *paddr);
	void (*free)(void *context, void *va, size_t size);
};

struct rproc;

/**
 * rproc_boot() - Make everything that a firmware asks for, and load it.
 * @domain: what the processor's accesses go through; stays the caller's
 * @elf: the file, of any alignment; not used after the call
 * @size: bytes
 * @ops: where memory comes from; must outlive the return value
 * @context: handed to @ops
 *
 * DEVMEM entries are mapped with the rights that they ask for, and as in the
 * kernel any physical address is believed: firmware is trusted as its driver is.
 * CARVEOUT entries get memory, which is mapped at their address; one at
 * FW_RSC_ADDR_ANY is not mapped and has the address that the memory has. Where
 * they are is written into the table that is loaded. TRACE and VDEV entries are
 * held to their layout, and like those of vendors have no effect here.
 *
 * What this needs is charged to the domain's owner. All or nothing.
 *
 * Context: May block.
 * Return: what the other calls take; as ERR_PTR(): -EINVAL for a domain that
 * does not translate, a file that is no firmware, a table that is wrong or
 * missing, or a segment that lies in no carveout; an error of iommu_map() for a
 * DEVMEM entry; -ENOMEM for whatever keeps a carveout from being made: memory, an
 * error of iommu_map(), a name that another has; -ENOMEM also for a table of more
 * than 256 KiB.
 */
struct rproc *rproc_boot(struct iommu_domain *domain, const void *elf, size_t size,
			 const struct rproc_ops *ops, void *context);

/**
 * rproc_da_to_va() - Find the memory behind an address of the processor.
 * @rproc: what rproc_boot() returned
 * @da: the address
 * @len: bytes
 *
 * Context: Any.
 * Return: the memory; NULL when the range is not in a carveout as a whole.
 */
void *rproc_da_to_va(const struct rproc *rproc, uint64_t da, uint64_t len);

/**
 * rproc_shutdown() - Take away everything that rproc_boot() made.
 * @rproc: what it returned
 *
 * What was mapped is remembered here: the processor may have changed the table.
 *
 * Context: Does not block, except in @ops.
 */
void rproc_shutdown(struct rproc *rproc);

#endif
