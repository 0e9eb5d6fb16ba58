/* SPDX-License-Identifier: MIT */
/*
 * A Tegra's host1x, which fetches its commands through the IOMMU from a ring that
 * it may only read (drivers/gpu/host1x/cdma.c of the kernel).
 */
#ifndef CLIENTS_HOST1X_H
#define CLIENTS_HOST1X_H

#include <uiommu/iommu.h>
#include <uiommu/iova.h>

struct host1x {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	struct iova_domain *iova; /* in pages of the domain */
	dma_addr_t iova_end;      /* last address */
};

/* A circular array of commands, each of two words; full when @fence is @pos. */
struct host1x_pushbuffer {
	uint32_t *mapped;
	phys_addr_t phys;
	dma_addr_t dma;
	uint32_t fence; /* where no command may be put yet */
	uint32_t pos;   /* where the next one goes */
	uint32_t size;  /* of the array */
	uint32_t alloc_size;
};

/**
 * host1x_init() - Set the addresses of a host1x out.
 * @host: room
 * @domain: what it goes through; stays the caller's
 * @dma_mask: the addresses that it can use
 *
 * Context: May block.
 * Return: 0; -EINVAL for a domain that does not translate, whose pages are not 4 KiB
 * to 64 KiB, or that has no address under @dma_mask but those of its first page,
 * which is never used; -ENOMEM.
 */
int host1x_init(struct host1x *host, struct iommu_domain *domain, uint64_t dma_mask);

/**
 * host1x_exit() - End.
 * @host: a host1x without push buffers
 *
 * Context: Does not block.
 */
void host1x_exit(struct host1x *host);

/**
 * host1x_pushbuffer_init() - Make a push buffer.
 * @host: the host1x
 * @pb: room
 *
 * Its memory is charged to the domain's owner. All or nothing.
 *
 * Context: May block. Any number of threads.
 * Return: 0; -ENOMEM, also when no addresses are left; an error of iommu_map().
 */
int host1x_pushbuffer_init(struct host1x *host, struct host1x_pushbuffer *pb);

/**
 * host1x_pushbuffer_destroy() - Unmap a push buffer and free it.
 * @host: the host1x
 * @pb: the push buffer; may be destroyed already
 *
 * Context: Does not block.
 */
void host1x_pushbuffer_destroy(struct host1x *host, struct host1x_pushbuffer *pb);

/**
 * host1x_pushbuffer_push() - Add a command.
 * @pb: the push buffer
 * @op1: its first word
 * @op2: its second word
 *
 * Context: Any. One thread at a time.
 * Return: 0; -ENOSPC when it is full.
 */
int host1x_pushbuffer_push(struct host1x_pushbuffer *pb, uint32_t op1, uint32_t op2);

/**
 * host1x_pushbuffer_pop() - Say that commands have been carried out.
 * @pb: the push buffer
 * @slots: how many
 *
 * Context: Any. One thread at a time.
 */
void host1x_pushbuffer_pop(struct host1x_pushbuffer *pb, unsigned int slots);

#endif
