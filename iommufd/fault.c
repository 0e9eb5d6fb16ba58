/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices, which a program reads from a file and
 * answers by writing to it.
 *
 * A group of requests waits in ->deliver to be read, then in ->response to be
 * answered; it gets its cookie in between. What a device has in either list is
 * answered with INVALID when it is detached, so a group's device is always
 * there.
 */
#include <string.h>

#include "iommufd/eventq.h"

struct fault_group {
	struct list_head link;
	struct iommufd_device *idev;
	const struct iommufd_pasid *pasid; /* what it came through, or NULL: the device's own */
	uint32_t cookie;
	unsigned int nr;
	struct iommu_hwpt_pgfault requests[];
};

struct iommufd_fault_queue {
	struct iommufd_eventq q;
	struct list_head response; /* by cookie */
};

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

/*
 * What the device is attached to for a request: a PASID of its own, or else the device's
 * HWPT, which may have a table of PASIDs of the program's.
 */
static struct iommufd_hwpt *attached_to(struct iommufd_device *idev,
					const struct iommu_hwpt_pgfault *request,
					const struct iommufd_pasid **pasid)
{
	*pasid = request->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID
			 ? iommufd_pasid_find(idev, request->pasid)
			 : NULL;
	if (*pasid)
		return (*pasid)->hwpt;
	return list_empty(&idev->group_item) ? NULL : idev->igroup->hwpt;
}

static int report(struct iommufd_device *idev, const struct iommu_hwpt_pgfault *requests,
		  unsigned int nr)
{
	const struct iommufd_pasid *pasid;
	struct iommufd_fault_queue *queue;
	struct iommufd_hwpt *hwpt;
	struct fault_group *group;
	bool was_empty;

	hwpt = nr ? attached_to(idev, &requests[nr - 1], &pasid) : NULL;
	if (!hwpt || !hwpt->fault)
		return -EINVAL;
	queue = hwpt->fault->queue;
	group = group_alloc(idev, requests, nr);
	if (!group)
		return -ENOMEM;
	group->pasid = pasid;
	pthread_mutex_lock(&queue->q.lock);
	was_empty = list_empty(&queue->q.deliver);
	list_add_tail(&group->link, &queue->q.deliver);
	iommufd_eventq_tell(&queue->q, was_empty);
	pthread_mutex_unlock(&queue->q.lock);
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

static void auto_respond(struct list_head *groups, const struct iommufd_device *idev,
			 const struct iommufd_pasid *pasid)
{
	struct fault_group *group, *next;

	list_for_each_entry_safe(group, next, groups, link)
	{
		if (!idev || (group->idev == idev && group->pasid == pasid))
			respond(group, IOMMUFD_PAGE_RESP_INVALID);
	}
}

/* @idev NULL: of all devices. */
static void queue_auto_respond(struct iommufd_fault_queue *queue, struct iommufd_device *idev,
			       const struct iommufd_pasid *pasid)
{
	bool was_empty;

	pthread_mutex_lock(&queue->q.lock);
	was_empty = list_empty(&queue->q.deliver);
	auto_respond(&queue->q.deliver, idev, pasid);
	auto_respond(&queue->response, idev, pasid);
	iommufd_eventq_tell(&queue->q, was_empty);
	pthread_mutex_unlock(&queue->q.lock);
}

void iommufd_fault_auto_respond(struct iommufd_fault *fault, struct iommufd_device *idev,
				const struct iommufd_pasid *pasid)
{
	queue_auto_respond(fault->queue, idev, pasid);
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
	return iommufd_copy_to_user(queue->q.ctx, to, group->requests,
				    group->nr * sizeof(group->requests[0]));
}

/* Deliver one group, or put it back. Returns its bytes. */
static ssize_t read_group(struct iommufd_fault_queue *queue, uint64_t to, size_t room)
{
	struct fault_group *group = list_first_entry(&queue->q.deliver, struct fault_group, link);
	size_t bytes = group->nr * sizeof(group->requests[0]);

	if (bytes > room)
		return -EINVAL;
	await_response(queue, group);
	for (unsigned int i = 0; i < group->nr; i++)
		group->requests[i].cookie = group->cookie;
	if (copy_group(queue, group, to)) {
		list_del(&group->link);
		list_add(&group->link, &queue->q.deliver);
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
	pthread_mutex_lock(&queue->q.lock);
	was_empty = list_empty(&queue->q.deliver);
	while (!list_empty(&queue->q.deliver)) {
		rc = read_group(queue, (uintptr_t)buf + done, len - done);
		if (rc < 0)
			break;
		done += (size_t)rc;
	}
	iommufd_eventq_tell(&queue->q, was_empty);
	pthread_mutex_unlock(&queue->q.lock);
	return done ? (ssize_t)done : rc;
}

static int take_response(struct iommufd_fault_queue *queue, uint64_t from)
{
	struct iommu_hwpt_page_response response;
	struct fault_group *group;

	if (iommufd_copy_from_user(queue->q.ctx, &response, from, sizeof(response)))
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
	pthread_mutex_lock(&queue->q.lock);
	while (done < len && !rc) {
		rc = take_response(queue, (uintptr_t)buf + done);
		if (!rc)
			done += sizeof(struct iommu_hwpt_page_response);
	}
	pthread_mutex_unlock(&queue->q.lock);
	return done ? (ssize_t)done : rc;
}

/* ---- the object ---- */

void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault_queue *queue = container_of(obj, struct iommufd_fault, obj)->queue;

	if (!queue)
		return;
	queue_auto_respond(queue, NULL, NULL);
	iommufd_eventq_orphan(&queue->q);
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
	fault->queue = iommufd_eventq_alloc(ucmd->ctx, sizeof(*fault->queue), &fault->obj,
					    IOMMUFD_FILE_FAULT);
	if (fault->queue) {
		INIT_LIST_HEAD(&fault->queue->response);
		cmd->out_fault_id = fault->obj.id;
		rc = iommufd_eventq_publish(ucmd, &fault->queue->q, &cmd->out_fault_fd,
					    sizeof(*cmd));
	}
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &fault->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &fault->obj);
	return 0;
}
