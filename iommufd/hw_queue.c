/* SPDX-License-Identifier: MIT */
/*
 * Queues in a virtual machine's memory that the hardware reads by itself, by physical
 * address. Their pages stay pinned and mapped as long as the queue is there.
 */
#include "iommufd/pages.h"
#include "iommufd/viommu.h"
#include "plat/compiler.h"

static struct iommufd_hw_queue *queue_of(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hw_queue, obj);
}

static struct iommufd_hw_queue *find(const struct iommufd_viommu *viommu, uint32_t index)
{
	struct iommufd_hw_queue *queue;

	list_for_each_entry(queue, &viommu->hw_queues, link)
	{
		if (queue->index == index)
			return queue;
	}
	return NULL;
}

static struct io_pagetable *iopt_of(const struct iommufd_viommu *viommu)
{
	return &viommu->hwpt->ioas->iopt;
}

void iommufd_hw_queue_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_queue *queue = queue_of(obj);

	if (queue->made)
		queue->viommu->ops->hw_queue_free(queue->made);
	if (queue->iova <= queue->last)
		iopt_unpin_range(iopt_of(queue->viommu), queue->iova, queue->last, IOPT_PIN_LOCK);
	if (queue->previous)
		queue->previous->obj.users--;
	list_del(&queue->link);
	queue->viommu->obj.users--;
}

/* ---- physical addresses ---- */

struct phys_range {
	uint64_t start, end; /* equal: nothing yet */
};

static int adjoin(void *arg, uint64_t paddr, uint64_t npages)
{
	struct phys_range *range = arg;

	if (range->start == range->end)
		range->start = range->end = paddr;
	if (paddr != range->end)
		return -EFAULT;
	range->end += npages << IOPT_PAGE_SHIFT;
	return 0;
}

/* Where [iova, last], whole pages that are pinned, lies in memory. -EFAULT: in pieces. */
static int find_phys(struct io_pagetable *iopt, uint64_t iova, uint64_t last, uint64_t *paddr)
{
	struct phys_range range = {0};
	int rc = 0;

	while (!rc) {
		const struct iopt_area *area = iopt_area_at(iopt, iova);
		struct iopt_pages *pages = area->pages;
		uint64_t end = MIN(last, area->node.last);

		rc = iommufd_phys_runs(pages->ctx, iopt_pages_mm(pages),
				       iopt_pages_uaddr(pages) + iopt_area_byte(area, iova),
				       (end - iova + 1) >> IOPT_PAGE_SHIFT, adjoin, &range);
		if (end == last)
			break;
		iova = end + 1;
	}
	*paddr = range.start;
	return rc;
}

/* ---- the object ---- */

static int pin(struct iommufd_hw_queue *queue, const struct iommu_hw_queue_alloc *cmd,
	       uint64_t *paddr)
{
	struct io_pagetable *iopt = iopt_of(queue->viommu);
	uint64_t iova = cmd->nesting_parent_iova & ~IOPT_PAGE_MASK;
	uint64_t last = (cmd->nesting_parent_iova + cmd->length - 1) | IOPT_PAGE_MASK;
	int rc = iopt_pin_range(iopt, iova, last, NULL, IOMMUFD_ACCESS_RW_READ | IOPT_PIN_LOCK);

	if (rc)
		return rc;
	queue->iova = iova;
	queue->last = last;
	rc = find_phys(iopt, iova, last, paddr);
	*paddr += cmd->nesting_parent_iova & IOPT_PAGE_MASK;
	return rc;
}

/* Queues are made from index 0 on, and go the other way round. */
static int take_index(struct iommufd_hw_queue *queue, uint32_t index)
{
	const struct iommufd_viommu *viommu = queue->viommu;
	struct iommufd_hw_queue *previous = index ? find(viommu, index - 1) : NULL;

	if (index >= viommu->ops->hw_queues)
		return -EINVAL;
	if (find(viommu, index))
		return -EEXIST;
	if (index && (!previous || !previous->obj.live))
		return -EIO;
	if (previous)
		previous->obj.users++;
	queue->previous = previous;
	queue->index = index;
	return 0;
}

/* An object with no index yet, and nothing pinned. ERR_PTR. */
static struct iommufd_hw_queue *queue_alloc(struct iommufd_ctx *ctx, struct iommufd_viommu *viommu)
{
	struct iommufd_hw_queue *queue =
		iommufd_object_alloc(ctx, sizeof(*queue), IOMMUFD_OBJ_HW_QUEUE);

	if (IS_ERR(queue))
		return queue;
	queue->viommu = viommu;
	viommu->obj.users++;
	queue->index = UINT32_MAX;
	queue->iova = 1;
	list_add_tail(&queue->link, &viommu->hw_queues);
	return queue;
}

static int make(struct iommufd_ucmd *ucmd, struct iommufd_hw_queue *queue)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	const struct iommufd_viommu_ops *ops = queue->viommu->ops;
	uint64_t paddr = 0;
	int rc = pin(queue, cmd, &paddr);

	if (!rc)
		rc = take_index(queue, cmd->index);
	if (!rc)
		rc = ops->hw_queue_alloc(queue->viommu->context, cmd->index, paddr, cmd->length,
					 &queue->made);
	if (rc)
		return rc;
	cmd->out_hw_queue_id = queue->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_hw_queue *queue;
	uint64_t last;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->nesting_parent_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	viommu = iommufd_get_viommu(ucmd->ctx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	if (!viommu->ops->hw_queue_alloc || viommu->ops->hw_queue_type != cmd->type)
		return -EOPNOTSUPP;
	queue = queue_alloc(ucmd->ctx, viommu);
	if (IS_ERR(queue))
		return (int)PTR_ERR(queue);
	rc = make(ucmd, queue);
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &queue->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &queue->obj);
	return 0;
}
