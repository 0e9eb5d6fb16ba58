/* SPDX-License-Identifier: MIT */
/*
 * Flush queues: addresses that were unmapped, but may not be used again before the next
 * flush of the IOTLB. One flush serves all of them.
 *
 * A range is queued with the number of flushes that had begun by then. It is free once
 * more flushes than that have ended, since one of these began after it was queued. So a
 * flush needs no lock, any thread may execute one, and it serves all queues.
 *
 * Each thread uses one of a few queues. Their locks are held for a few stores only, and
 * are only tried: a thread that does not get one flushes by itself. Age is counted in
 * calls that used a queue, as not every platform has a clock.
 */
#include "dma/dma.h"

#include <uiommu/mm.h>

#include "mm/slab.h"
#include "mm/thread.h"
#include "plat/spinlock.h"

#define FQ_QUEUES 8
#define FQ_SIZE   256
#define FQ_AGE    1024
#define FQ_BATCH  16
#define FQ_TRIES  8

struct fq_entry {
	dma_addr_t iova;
	uint64_t bytes;
	uint64_t flushes; /* flushes that had begun when it was queued */
};

/*
 * Which rule a field follows:
 *
 * (l) under lock (w) written under lock, read without it (a) atomic
 */
struct fq_queue {
	struct spinlock lock;
	unsigned int head; /* (l) index of the oldest entry */
	atomic_uint count; /* (w) number of entries from head on */
	atomic_uint since; /* (w) the tick that the age of the entries is counted from */
	atomic_uint tick;  /* (a) counts calls; some may not be counted */
	struct fq_entry entry[FQ_SIZE]; /* (l) */
} __aligned_cache;

struct iommu_dma_fq {
	struct iommu_dma_cookie *cookie;
	struct shrinker shrinker;
	_Atomic uint64_t begun, ended; /* flushes */
	struct fq_queue queue[FQ_QUEUES];
};

static struct fq_queue *own_queue(struct iommu_dma_fq *fq)
{
	return &fq->queue[mm_thread_self()->index % FQ_QUEUES];
}

static bool queue_trylock(struct fq_queue *queue)
{
	for (unsigned int tries = FQ_TRIES; tries; tries--) {
		if (spin_trylock(&queue->lock))
			return true;
		cpu_relax();
	}
	return false;
}

static unsigned int queue_count(const struct fq_queue *queue)
{
	return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

static void set_count(struct fq_queue *queue, unsigned int count)
{
	atomic_store_explicit(&queue->count, count, memory_order_relaxed);
}

/* The queue was empty, or the old entries are gone and the others came in since a flush. */
static void begin_age(struct fq_queue *queue)
{
	atomic_store_explicit(&queue->since,
			      atomic_load_explicit(&queue->tick, memory_order_relaxed),
			      memory_order_relaxed);
}

/* Another call has used the queue. Returns true when its oldest entry has become old. */
static bool grow_older(struct fq_queue *queue)
{
	unsigned int tick = atomic_load_explicit(&queue->tick, memory_order_relaxed) + 1;

	atomic_store_explicit(&queue->tick, tick, memory_order_relaxed);
	return queue_count(queue) &&
	       tick - atomic_load_explicit(&queue->since, memory_order_relaxed) >= FQ_AGE;
}

/* Take up to FQ_BATCH entries that a flush has covered. */
static unsigned int take_flushed(struct iommu_dma_fq *fq, struct fq_queue *queue,
				 struct fq_entry batch[FQ_BATCH])
{
	uint64_t ended = atomic_load(&fq->ended);
	unsigned int count, taken = 0;

	if (!queue_count(queue) || !queue_trylock(queue))
		return 0;
	count = queue_count(queue);
	while (taken < FQ_BATCH && taken < count && queue->entry[queue->head].flushes < ended) {
		batch[taken++] = queue->entry[queue->head];
		queue->head = (queue->head + 1) % FQ_SIZE;
	}
	set_count(queue, count - taken);
	begin_age(queue);
	spin_unlock(&queue->lock);
	return taken;
}

static unsigned long free_flushed(struct iommu_dma_fq *fq, struct fq_queue *queue)
{
	struct fq_entry batch[FQ_BATCH];
	unsigned long freed = 0;
	unsigned int taken;

	while ((taken = take_flushed(fq, queue, batch))) {
		for (unsigned int i = 0; i < taken; i++)
			iommu_dma_free_iova(fq->cookie, batch[i].iova, batch[i].bytes);
		freed += taken;
	}
	return freed;
}

unsigned long fq_flush(struct iommu_dma_fq *fq, struct iommu_iotlb_gather *gather)
{
	struct iommu_domain *domain = fq->cookie->domain;
	unsigned long freed = 0;

	/* Queues have no tables, so only leaves must be invalidated. */
	iommu_iotlb_gather_add_range(gather, domain->pt.aperture_start,
				     domain->pt.aperture_last - domain->pt.aperture_start + 1);
	atomic_fetch_add(&fq->begun, 1);
	iommu_iotlb_sync(domain, gather);
	atomic_fetch_add(&fq->ended, 1);
	for (unsigned int i = 0; i < FQ_QUEUES; i++)
		freed += free_flushed(fq, &fq->queue[i]);
	return freed;
}

static void flush_old(struct iommu_dma_fq *fq)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	fq_flush(fq, &gather);
}

void fq_tick(struct iommu_dma_fq *fq)
{
	if (unlikely(grow_older(own_queue(fq))))
		flush_old(fq);
}

/* Queue a range. Returns false when the queue is full or its lock is held by another thread. */
static bool push(struct iommu_dma_fq *fq, struct fq_queue *queue, dma_addr_t iova, uint64_t bytes)
{
	unsigned int count;
	bool has_room;

	if (!queue_trylock(queue))
		return false;
	count = queue_count(queue);
	has_room = count < FQ_SIZE;
	if (has_room) {
		queue->entry[(queue->head + count) % FQ_SIZE] = (struct fq_entry){
			.iova = iova,
			.bytes = bytes,
			.flushes = atomic_load(&fq->begun),
		};
		if (!count)
			begin_age(queue);
		set_count(queue, count + 1);
	}
	spin_unlock(&queue->lock);
	return has_room;
}

bool fq_put(struct iommu_dma_fq *fq, dma_addr_t iova, uint64_t bytes)
{
	struct fq_queue *queue = own_queue(fq);

	return !grow_older(queue) && push(fq, queue, iova, bytes);
}

static unsigned long fq_count_objects(struct shrinker *shrinker)
{
	struct iommu_dma_fq *fq = container_of(shrinker, struct iommu_dma_fq, shrinker);
	unsigned long count = 0;

	for (unsigned int i = 0; i < FQ_QUEUES; i++)
		count += queue_count(&fq->queue[i]);
	return count;
}

static unsigned long fq_scan_objects(struct shrinker *shrinker, unsigned long nr)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	return fq_flush(container_of(shrinker, struct iommu_dma_fq, shrinker), &gather);
}

int iommu_dma_init_fq(struct iommu_domain *domain, gfp_t gfp)
{
	struct iommu_dma_cookie *cookie = domain_dma_cookie(domain);
	struct iommu_dma_fq *fq, *first = NULL;

	might_sleep_if(mm_thread_self(), true);
	if (gfp_refused(gfp) || !cookie)
		return -EINVAL;
	if (atomic_load(&cookie->fq))
		return 0;
	fq = kzalloc(sizeof(*fq), gfp, domain->pt.owner);
	if (!fq)
		return -ENOMEM;
	fq->cookie = cookie;
	fq->shrinker.count_objects = fq_count_objects;
	fq->shrinker.scan_objects = fq_scan_objects;
	if (atomic_compare_exchange_strong(&cookie->fq, &first, fq))
		register_shrinker(&fq->shrinker);
	else
		kfree(fq); /* another thread was first */
	return 0;
}

/* Called when the domain is freed: the queued ranges are freed with its set of addresses. */
void fq_free(struct iommu_dma_fq *fq)
{
	if (!fq)
		return;
	unregister_shrinker(&fq->shrinker);
	kfree(fq);
}

void iommu_dma_flush_queues(struct iommu_domain *domain)
{
	struct iommu_dma_cookie *cookie = domain_dma_cookie(domain);
	struct iommu_dma_fq *fq = cookie ? atomic_load(&cookie->fq) : NULL;

	if (fq)
		flush_old(fq);
}
