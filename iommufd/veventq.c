/* SPDX-License-Identifier: MIT */
/*
 * Events of a vIOMMU, which a program reads from a file.
 *
 * Every event has a number. An event that does not fit, into the queue or into the
 * owner's budget, is lost, and its number left out: so the next event tells. As long as
 * there is no next one, a header of its own stands at the end of the queue.
 */
#include <string.h>

#include "iommufd/eventq.h"
#include "iommufd/viommu.h"

#define DEPTH_MAX (1u << 19)

struct vevent {
	struct list_head link; /* in queue->q.deliver */
	struct iommufd_vevent_header header;
	uint32_t length;
	char data[];
};

struct iommufd_vevent_queue {
	struct iommufd_eventq q;
	uint32_t depth, nr; /* events that it can hold, and holds */
	uint32_t sequence;  /* of the next one */
	struct vevent lost; /* in the list where the last event is lost */
};

static struct iommufd_vevent_queue *queue_of(struct iommufd_eventq *q)
{
	return container_of(q, struct iommufd_vevent_queue, q);
}

/* ---- in ---- */

/* Put an event, or the one that stands for lost ones, at the end. Locked. */
static void append(struct iommufd_vevent_queue *queue, struct vevent *event)
{
	/* What comes after it tells the same. */
	if (queue->q.deliver.prev == &queue->lost.link)
		list_del_init(&queue->lost.link);
	event->header.sequence = queue->sequence;
	queue->sequence = (queue->sequence + 1) & 0x7fffffff;
	list_add_tail(&event->link, &queue->q.deliver);
}

/* Room for one more, or not. */
static bool reserve(struct iommufd_vevent_queue *queue)
{
	bool room;

	pthread_mutex_lock(&queue->q.lock);
	room = queue->nr < queue->depth;
	queue->nr += room;
	pthread_mutex_unlock(&queue->q.lock);
	return room;
}

/* Nothing is allocated with the lock held, which reading the file takes. NULL: it is lost. */
static struct vevent *event_alloc(struct iommufd_vevent_queue *queue, const void *data,
				  size_t length)
{
	struct vevent *event;

	if (!reserve(queue))
		return NULL;
	event = kzalloc(sizeof(*event) + length, GFP_KERNEL_ACCOUNT, queue->q.ctx->owner);
	if (!event) {
		pthread_mutex_lock(&queue->q.lock);
		queue->nr--;
		pthread_mutex_unlock(&queue->q.lock);
		return NULL;
	}
	memcpy(event->data, data, length);
	event->length = (uint32_t)length;
	return event;
}

static int report(struct iommufd_vevent_queue *queue, const void *data, size_t length)
{
	struct vevent *event = event_alloc(queue, data, length);
	bool was_empty;

	pthread_mutex_lock(&queue->q.lock);
	was_empty = list_empty(&queue->q.deliver);
	append(queue, event ? event : &queue->lost);
	iommufd_eventq_tell(&queue->q, was_empty);
	pthread_mutex_unlock(&queue->q.lock);
	return event ? 0 : -ENOSPC;
}

static struct iommufd_veventq *find(const struct iommufd_viommu *viommu, uint32_t type)
{
	struct iommufd_veventq *veventq;

	list_for_each_entry(veventq, &viommu->veventqs, link)
	{
		if (veventq->type == type)
			return veventq;
	}
	return NULL;
}

int iommufd_viommu_report_event(struct iommufd_viommu *viommu, uint32_t type, const void *data,
				size_t length)
{
	struct mem_cgroup *before = iommufd_lock(viommu->ctx);
	struct iommufd_veventq *veventq = find(viommu, type);
	int rc = -EOPNOTSUPP;

	if (veventq && veventq->obj.live)
		rc = length ? report(veventq->queue, data, length) : -EINVAL;
	iommufd_unlock(viommu->ctx, before);
	return rc;
}

/* ---- out: the file ---- */

/* Copy the first event. Returns its bytes. Locked. */
static ssize_t read_event(struct iommufd_vevent_queue *queue, uint64_t to, size_t room)
{
	struct vevent *event = list_first_entry(&queue->q.deliver, struct vevent, link);
	size_t bytes = sizeof(event->header) + event->length;

	if (bytes > room)
		return -EINVAL;
	if (iommufd_copy_to_user(queue->q.ctx, to, &event->header, sizeof(event->header)) ||
	    (event->length && iommufd_copy_to_user(queue->q.ctx, to + sizeof(event->header),
						   event->data, event->length)))
		return -EFAULT;
	list_del_init(&event->link);
	if (event != &queue->lost) {
		queue->nr--;
		kfree(event);
	}
	return (ssize_t)bytes;
}

ssize_t iommufd_veventq_read(struct iommufd_eventq *q, void *buf, size_t len)
{
	struct iommufd_vevent_queue *queue = queue_of(q);
	size_t done = 0;
	ssize_t rc = 0;
	bool was_empty;

	if (len < sizeof(struct iommufd_vevent_header))
		return -EINVAL;
	pthread_mutex_lock(&q->lock);
	was_empty = list_empty(&q->deliver);
	while (!list_empty(&q->deliver)) {
		rc = read_event(queue, (uintptr_t)buf + done, len - done);
		if (rc < 0)
			break;
		done += (size_t)rc;
	}
	iommufd_eventq_tell(q, was_empty);
	pthread_mutex_unlock(&q->lock);
	return done ? (ssize_t)done : rc;
}

/* ---- the object ---- */

static void drop(struct iommufd_eventq *q)
{
	struct iommufd_vevent_queue *queue = queue_of(q);
	struct vevent *event, *next;

	list_for_each_entry_safe(event, next, &q->deliver, link)
	{
		list_del_init(&event->link);
		if (event != &queue->lost)
			kfree(event);
	}
}

void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq = container_of(obj, struct iommufd_veventq, obj);

	list_del(&veventq->link);
	veventq->viommu->obj.users--;
	if (veventq->queue)
		iommufd_eventq_orphan(&veventq->queue->q);
}

/* An object without a queue yet. ERR_PTR. */
static struct iommufd_veventq *veventq_alloc(struct iommufd_ctx *ctx, struct iommufd_viommu *viommu,
					     uint32_t type)
{
	struct iommufd_veventq *veventq =
		iommufd_object_alloc(ctx, sizeof(*veventq), IOMMUFD_OBJ_VEVENTQ);

	if (IS_ERR(veventq))
		return veventq;
	veventq->type = type;
	veventq->viommu = viommu;
	viommu->obj.users++;
	list_add_tail(&veventq->link, &viommu->veventqs);
	return veventq;
}

static int publish(struct iommufd_ucmd *ucmd, struct iommufd_veventq *veventq)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_vevent_queue *queue = iommufd_eventq_alloc(
		ucmd->ctx, sizeof(*queue), &veventq->obj, IOMMUFD_FILE_VEVENTQ);

	if (!queue)
		return -ENOMEM;
	queue->q.drop = drop;
	queue->depth = cmd->veventq_depth;
	INIT_LIST_HEAD(&queue->lost.link);
	queue->lost.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	veventq->queue = queue;
	cmd->out_veventq_id = veventq->obj.id;
	return iommufd_eventq_publish(ucmd, &queue->q, &cmd->out_veventq_fd, sizeof(*cmd));
}

int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_veventq *veventq;
	int rc;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > DEPTH_MAX)
		return -EINVAL;
	viommu = iommufd_get_viommu(ucmd->ctx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	if (viommu->ops->veventq_type != cmd->type)
		return -EOPNOTSUPP;
	if (find(viommu, cmd->type))
		return -EEXIST;
	veventq = veventq_alloc(ucmd->ctx, viommu, cmd->type);
	if (IS_ERR(veventq))
		return (int)PTR_ERR(veventq);
	rc = publish(ucmd, veventq);
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &veventq->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &veventq->obj);
	return 0;
}
