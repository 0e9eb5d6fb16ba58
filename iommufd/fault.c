/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices, which a program reads from a file and
 * answers by writing to it.
 *
 * A group of requests waits in ->deliver to be read, then in ->response to be
 * answered; it gets its cookie in between. What a device has in either list is
 * answered with INVALID when it is detached, so a group's device is always
 * there.
 *
 * A queue belongs to its object and to its file; the last one frees it. Its lock
 * is the only one that the file operations take, and is taken under ctx->lock
 * elsewhere.
 */
#include <poll.h>
#include <string.h>

#include "iommufd/iommufd.h"

struct fault_group {
	struct list_head link;
	struct iommufd_device *idev;
	uint32_t cookie;
	unsigned int nr;
	struct iommu_hwpt_pgfault requests[];
};

struct iommufd_fault_queue {
	pthread_mutex_t lock;
	struct list_head deliver;
	struct list_head response;   /* by cookie */
	struct iommufd_fault *fault; /* its object, NULL when that is gone */
	struct iommufd_ctx *ctx;     /* while the object is there */
	bool open;                   /* it has a file */
};

static struct iommufd_fault_queue *queue_alloc(struct iommufd_ctx *ctx)
{
	struct iommufd_fault_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT, ctx->owner);

	if (!queue)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	INIT_LIST_HEAD(&queue->deliver);
	INIT_LIST_HEAD(&queue->response);
	queue->ctx = ctx;
	return queue;
}

static void queue_free(struct iommufd_fault_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	kfree(queue);
}

/* Tell the host that there is something to read, or nothing any more. */
static void tell_host(struct iommufd_fault_queue *queue, bool was_empty)
{
	const struct iommufd_host *host = queue->fault ? queue->ctx->config.host : NULL;
	bool empty = list_empty(&queue->deliver);

	if (host && host->file_changed && queue->open && empty != was_empty)
		host->file_changed(queue->ctx->config.host_context, IOMMUFD_FILE_FAULT, queue,
				   !empty);
}

static void respond(struct fault_group *group, uint32_t code)
{
	const struct iommufd_device *idev = group->idev;
	const struct iommu_hwpt_pgfault *last = &group->requests[group->nr - 1];

	list_del(&group->link);
	if (idev->ops->page_response)
		idev->ops->page_response(idev->ops_context, last->pasid, last->grpid, code);
	kfree(group);
}

/* ---- in: what devices ask ---- */

static struct fault_group *group_alloc(struct iommufd_device *idev,
				       const struct iommu_hwpt_pgfault *requests, unsigned int nr)
{
	struct fault_group *group = kzalloc(sizeof(*group) + nr * sizeof(group->requests[0]),
					    GFP_KERNEL_ACCOUNT, idev->ctx->owner);

	if (!group)
		return NULL;
	group->idev = idev;
	group->nr = nr;
	memcpy(group->requests, requests, nr * sizeof(group->requests[0]));
	for (unsigned int i = 0; i < nr; i++) {
		group->requests[i].flags &= ~(uint32_t)IOMMU_PGFAULT_FLAGS_LAST_PAGE;
		group->requests[i].dev_id = idev->obj.id;
		group->requests[i].__reserved = 0;
	}
	group->requests[nr - 1].flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	return group;
}

static int report(struct iommufd_device *idev, const struct iommu_hwpt_pgfault *requests,
		  unsigned int nr)
{
	struct iommufd_hwpt *hwpt = idev->igroup->hwpt;
	struct iommufd_fault_queue *queue;
	struct fault_group *group;
	bool was_empty;

	if (!nr || list_empty(&idev->group_item) || !hwpt->fault)
		return -EINVAL;
	queue = hwpt->fault->queue;
	group = group_alloc(idev, requests, nr);
	if (!group)
		return -ENOMEM;
	pthread_mutex_lock(&queue->lock);
	was_empty = list_empty(&queue->deliver);
	list_add_tail(&group->link, &queue->deliver);
	tell_host(queue, was_empty);
	pthread_mutex_unlock(&queue->lock);
	return 0;
}

int iommufd_device_report_iopf(struct iommufd_device *idev,
			       const struct iommu_hwpt_pgfault *requests, unsigned int nr)
{
	struct mem_cgroup *before = iommufd_lock(idev->ctx);
	int rc = report(idev, requests, nr);

	iommufd_unlock(idev->ctx, before);
	return rc;
}

static void auto_respond(struct list_head *groups, const struct iommufd_device *idev)
{
	struct fault_group *group, *next;

	list_for_each_entry_safe(group, next, groups, link)
	{
		if (!idev || group->idev == idev)
			respond(group, IOMMUFD_PAGE_RESP_INVALID);
	}
}

/* @idev NULL: of all devices. */
static void queue_auto_respond(struct iommufd_fault_queue *queue, struct iommufd_device *idev)
{
	bool was_empty;

	pthread_mutex_lock(&queue->lock);
	was_empty = list_empty(&queue->deliver);
	auto_respond(&queue->deliver, idev);
	auto_respond(&queue->response, idev);
	tell_host(queue, was_empty);
	pthread_mutex_unlock(&queue->lock);
}

void iommufd_fault_auto_respond(struct iommufd_fault *fault, struct iommufd_device *idev)
{
	queue_auto_respond(fault->queue, idev);
}

/* ---- out: the file ---- */

/* Move a group to those that wait for an answer, with the smallest free cookie. */
static void await_response(struct iommufd_fault_queue *queue, struct fault_group *group)
{
	struct fault_group *other;
	uint32_t cookie = 1;

	list_for_each_entry(other, &queue->response, link)
	{
		if (other->cookie != cookie)
			break;
		cookie++;
	}
	list_del(&group->link);
	group->cookie = cookie;
	list_add_tail(&group->link, &other->link);
}

static int copy_group(struct iommufd_fault_queue *queue, struct fault_group *group, uint64_t to)
{
	return iommufd_copy_to_user(queue->ctx, to, group->requests,
				    group->nr * sizeof(group->requests[0]));
}

/* Deliver one group, or put it back. Returns its bytes. */
static ssize_t read_group(struct iommufd_fault_queue *queue, uint64_t to, size_t room)
{
	struct fault_group *group = list_first_entry(&queue->deliver, struct fault_group, link);
	size_t bytes = group->nr * sizeof(group->requests[0]);

	if (bytes > room)
		return -EINVAL;
	await_response(queue, group);
	for (unsigned int i = 0; i < group->nr; i++)
		group->requests[i].cookie = group->cookie;
	if (copy_group(queue, group, to)) {
		list_del(&group->link);
		list_add(&group->link, &queue->deliver);
		return -EFAULT;
	}
	return (ssize_t)bytes;
}

ssize_t iommufd_fault_read(struct iommufd_fault_queue *queue, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t rc = 0;
	bool was_empty;

	if (len % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	pthread_mutex_lock(&queue->lock);
	was_empty = list_empty(&queue->deliver);
	while (!list_empty(&queue->deliver)) {
		rc = read_group(queue, (uintptr_t)buf + done, len - done);
		if (rc < 0)
			break;
		done += (size_t)rc;
	}
	tell_host(queue, was_empty);
	pthread_mutex_unlock(&queue->lock);
	return done ? (ssize_t)done : rc;
}

static int take_response(struct iommufd_fault_queue *queue, uint64_t from)
{
	struct iommu_hwpt_page_response response;
	struct fault_group *group;

	if (iommufd_copy_from_user(queue->ctx, &response, from, sizeof(response)))
		return -EFAULT;
	if (response.code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response.code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	list_for_each_entry(group, &queue->response, link)
	{
		if (group->cookie != response.cookie)
			continue;
		respond(group, response.code);
		return 0;
	}
	return -EINVAL;
}

ssize_t iommufd_fault_write(struct iommufd_fault_queue *queue, const void *buf, size_t len)
{
	size_t done = 0;
	int rc = 0;

	if (len % sizeof(struct iommu_hwpt_page_response))
		return -ESPIPE;
	pthread_mutex_lock(&queue->lock);
	while (done < len && !rc) {
		rc = take_response(queue, (uintptr_t)buf + done);
		if (!rc)
			done += sizeof(struct iommu_hwpt_page_response);
	}
	pthread_mutex_unlock(&queue->lock);
	return done ? (ssize_t)done : rc;
}

short iommufd_fault_poll(struct iommufd_fault_queue *queue, short events)
{
	short ready = POLLOUT;

	pthread_mutex_lock(&queue->lock);
	if (!list_empty(&queue->deliver))
		ready |= POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&queue->lock);
	return ready & events;
}

void iommufd_fault_release(struct iommufd_fault_queue *queue)
{
	struct iommufd_ctx *ctx = queue->fault ? queue->ctx : NULL;
	struct mem_cgroup *before;

	if (!ctx) {
		queue_free(queue);
		return;
	}
	before = iommufd_lock(ctx);
	pthread_mutex_lock(&queue->lock);
	queue->open = false;
	pthread_mutex_unlock(&queue->lock);
	queue->fault->obj.users--;
	iommufd_unlock(ctx, before);
}

/* ---- the object ---- */

void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault_queue *queue = container_of(obj, struct iommufd_fault, obj)->queue;
	bool open;

	if (!queue)
		return;
	queue_auto_respond(queue, NULL);
	pthread_mutex_lock(&queue->lock);
	queue->fault = NULL;
	queue->ctx = NULL;
	open = queue->open;
	pthread_mutex_unlock(&queue->lock);
	if (!open)
		queue_free(queue);
}

/* Give it a file, and tell the program. */
static int publish(struct iommufd_ucmd *ucmd, struct iommufd_fault *fault)
{
	const struct iommufd_config *config = &ucmd->ctx->config;
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	int fd, rc;

	if (!config->host || !config->host->install_file)
		return -EOPNOTSUPP;
	fd = config->host->install_file(config->host_context, IOMMUFD_FILE_FAULT, fault->queue);
	if (fd < 0)
		return fd;
	cmd->out_fault_id = fault->obj.id;
	cmd->out_fault_fd = (uint32_t)fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		config->host->remove_file(config->host_context, fd);
		return rc;
	}
	fault->queue->open = true;
	fault->obj.users++;
	return 0;
}

int iommufd_fault_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	int rc = -ENOMEM;

	if (cmd->flags)
		return -EOPNOTSUPP;
	fault = iommufd_object_alloc(ucmd->ctx, sizeof(*fault), IOMMUFD_OBJ_FAULT);
	if (IS_ERR(fault))
		return (int)PTR_ERR(fault);
	fault->queue = queue_alloc(ucmd->ctx);
	if (fault->queue) {
		fault->queue->fault = fault;
		rc = publish(ucmd, fault);
	}
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &fault->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &fault->obj);
	return 0;
}
