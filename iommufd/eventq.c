/* SPDX-License-Identifier: MIT */
/*
 * The file of a queue, and who frees the queue.
 */
#include <poll.h>

#include "iommufd/eventq.h"

void *iommufd_eventq_alloc(struct iommufd_ctx *ctx, size_t size, struct iommufd_object *obj,
			   enum iommufd_file_kind kind)
{
	struct iommufd_eventq *queue = kzalloc(size, GFP_KERNEL_ACCOUNT, ctx->owner);

	if (!queue)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	INIT_LIST_HEAD(&queue->deliver);
	queue->obj = obj;
	queue->ctx = ctx;
	queue->kind = kind;
	return queue;
}

static void queue_free(struct iommufd_eventq *queue)
{
	if (queue->drop)
		queue->drop(queue);
	pthread_mutex_destroy(&queue->lock);
	kfree(queue);
}

void iommufd_eventq_orphan(struct iommufd_eventq *queue)
{
	bool open;

	pthread_mutex_lock(&queue->lock);
	queue->obj = NULL;
	queue->ctx = NULL;
	open = queue->open;
	pthread_mutex_unlock(&queue->lock);
	if (!open)
		queue_free(queue);
}

int iommufd_eventq_publish(struct iommufd_ucmd *ucmd, struct iommufd_eventq *queue, __u32 *fd,
			   size_t cmd_len)
{
	const struct iommufd_config *config = &ucmd->ctx->config;
	int number, rc;

	if (!config->host || !config->host->install_file)
		return -EOPNOTSUPP;
	number = config->host->install_file(config->host_context, queue->kind, queue);
	if (number < 0)
		return number;
	*fd = (__u32)number;
	rc = iommufd_ucmd_respond(ucmd, cmd_len);
	if (rc) {
		config->host->remove_file(config->host_context, number);
		return rc;
	}
	queue->open = true;
	queue->obj->users++;
	return 0;
}

void iommufd_eventq_tell(struct iommufd_eventq *queue, bool was_empty)
{
	const struct iommufd_host *host = queue->obj ? queue->ctx->config.host : NULL;
	bool empty = list_empty(&queue->deliver);

	if (host && host->file_changed && queue->open && empty != was_empty)
		host->file_changed(queue->ctx->config.host_context, queue->kind, queue, !empty);
}

short iommufd_eventq_poll(struct iommufd_eventq *queue, short events)
{
	short ready = queue->kind == IOMMUFD_FILE_FAULT ? POLLOUT : 0;

	pthread_mutex_lock(&queue->lock);
	if (!list_empty(&queue->deliver))
		ready |= POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&queue->lock);
	return ready & events;
}

void iommufd_eventq_release(struct iommufd_eventq *queue)
{
	struct iommufd_ctx *ctx = queue->obj ? queue->ctx : NULL;
	struct mem_cgroup *before;

	if (!ctx) {
		queue_free(queue);
		return;
	}
	before = iommufd_lock(ctx);
	pthread_mutex_lock(&queue->lock);
	queue->open = false;
	pthread_mutex_unlock(&queue->lock);
	queue->obj->users--;
	iommufd_unlock(ctx, before);
}
