/* SPDX-License-Identifier: MIT */
/*
 * What /dev/vhost-vdpa-N does with the IOTLB messages that a VMM writes to it
 * (drivers/vhost/vdpa.c of the kernel), for a parent that is behind an IOMMU of
 * the platform and so has one address space.
 */
#ifndef CLIENTS_VDPA_H
#define CLIENTS_VDPA_H

#include <uiommu/iommu.h>

#include "tests/clients/page_runs.h"

/* The messages, as in linux/vhost_types.h. */
#define VDPA_IOTLB_MSG    0x1u
#define VDPA_IOTLB_MSG_V2 0x2u

#define VDPA_ACCESS_RO 0x1
#define VDPA_ACCESS_WO 0x2
#define VDPA_ACCESS_RW 0x3

enum vdpa_iotlb_type {
	VDPA_IOTLB_UPDATE = 2,
	VDPA_IOTLB_INVALIDATE = 3,
	VDPA_IOTLB_BATCH_BEGIN = 5,
	VDPA_IOTLB_BATCH_END = 6,
};

/* struct vhost_iotlb_msg */
struct vdpa_iotlb_msg {
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t type;
};

/* struct vhost_msg_v2; in struct vhost_msg the bytes of @asid are a hole. */
struct vdpa_msg {
	uint32_t type;
	uint32_t asid;
	union {
		struct vdpa_iotlb_msg iotlb;
		uint8_t padding[64];
	};
};

struct vhost_vdpa;

/**
 * vhost_vdpa_open() - Begin to take messages.
 * @domain: where they are carried out; stays the caller's, and must outlive the
 *          return value
 * @has_asid: the VMM has agreed to VHOST_BACKEND_F_IOTLB_ASID, so that the asid
 *            of messages of version 2 counts
 * @phys: tells where a page of the VMM's memory is
 * @context: handed to @phys
 *
 * All that this needs is charged to the domain's owner.
 *
 * Context: May block.
 * Return: what the other calls take; as ERR_PTR(): -EINVAL when @domain does not
 * translate; -ENOMEM.
 */
struct vhost_vdpa *vhost_vdpa_open(struct iommu_domain *domain, bool has_asid, page_phys_fn phys,
				   void *context);

/**
 * vhost_vdpa_write() - Carry out a message.
 * @v: what vhost_vdpa_open() returned
 * @bytes: the message, of any alignment
 * @length: how many
 *
 * UPDATE maps whole pages, one iommu_map() for each run that is physically
 * contiguous, and all of it or nothing. INVALIDATE takes away each run that it
 * touches, whole: nothing is mapped that was not asked for, but as with the
 * kernel's, more may go than was named. Its size may be 0: with iova 0 that is
 * everything.
 *
 * Between BATCH_BEGIN and BATCH_END each message has its effect at once, as on
 * every parent that leaves mapping to the platform: it gives up memory as soon
 * as the VMM says so.
 *
 * Context: May block. Any number of threads.
 * Return: the size of the message's structure, 72, as the kernel also does for
 * one that ends behind its last field; -EINVAL for a message that is too short,
 * of an unknown version, or an UPDATE of size 0; -EFAULT for one that cannot be
 * carried out, whatever the reason: an unknown type, an asid that is not 0, an
 * INVALIDATE or BATCH_END before the first UPDATE or BATCH_BEGIN, a range that
 * wraps, is not the domain's or is mapped in part, an unknown access, or an error
 * of @phys or iommu_map().
 */
ssize_t vhost_vdpa_write(struct vhost_vdpa *v, const void *bytes, size_t length);

/**
 * vhost_vdpa_release() - Take away all mappings, and end.
 * @v: what vhost_vdpa_open() returned
 *
 * Context: Does not block. No other call on @v may be under way.
 */
void vhost_vdpa_release(struct vhost_vdpa *v);

#endif
