/* SPDX-License-Identifier: MIT */
/*
 * What queues have in common that a program reads from a file: page requests
 * (fault.c) and events of a vIOMMU (veventq.c).
 *
 * A queue belongs to its object and to its file; the last one frees it. Its lock
 * is the only one that the file operations take, and is taken under ctx->lock
 * elsewhere.
 */
#ifndef IOMMUFD_EVENTQ_H
#define IOMMUFD_EVENTQ_H

#include "iommufd/iommufd.h"

/* The first member of every queue. */
struct iommufd_eventq {
	pthread_mutex_t lock;
	struct list_head deliver;   /* what is to be read */
	struct iommufd_object *obj; /* its object, NULL when that is gone */
	struct iommufd_ctx *ctx;    /* while the object is there */
	enum iommufd_file_kind kind;
	bool open;                                  /* it has a file */
	void (*drop)(struct iommufd_eventq *queue); /* what is in it, when nothing needs it */
};

/* A zeroed queue of @size for @obj, which is charged to the context's owner, or NULL. */
void *iommufd_eventq_alloc(struct iommufd_ctx *ctx, size_t size, struct iommufd_object *obj,
			   enum iommufd_file_kind kind);
/* Its object goes. Without a file it is freed. */
void iommufd_eventq_orphan(struct iommufd_eventq *queue);
/*
 * Give it a file, put its descriptor in @fd, which is in the caller's struct, and answer
 * the caller. The file is a user of the object.
 */
int iommufd_eventq_publish(struct iommufd_ucmd *ucmd, struct iommufd_eventq *queue, __u32 *fd,
			   size_t cmd_len);
/* Tell the host if there is something to read, or nothing, as there was not before. Locked. */
void iommufd_eventq_tell(struct iommufd_eventq *queue, bool was_empty);
/* File operations. */
short iommufd_eventq_poll(struct iommufd_eventq *queue, short events);
void iommufd_eventq_release(struct iommufd_eventq *queue);

#endif
