/* SPDX-License-Identifier: MIT */
/*
 * Calls that threads make on one domain, and what must be true after any schedule of
 * them: the results of the calls, and of the domain what a list of leaves (model.h)
 * says of it.
 */
#ifndef TESTS_SCHEDULES_H
#define TESTS_SCHEDULES_H

#include <uiommu/dirty.h>
#include <uiommu/mm.h>

#include "tests/iotlb_world.h"
#include "tests/model.h"
#include "tests/schedule.h"

#include "core/domain.h"
#include "mm/rcu.h"

/* The threads of the calls that are made before, and after the others have ended. */
#define SETUP SCHEDULE_THREADS
#define LAST  (SCHEDULE_THREADS + 1)

#define MAX_CALLS    16
#define MAX_MAY_FAIL 4
#define SG_PIECES    3

enum kind {
	MAP,
	MAP_SG,
	UNMAP,
	SPLIT,
	LOOKUP,
	ACCESS,
	MARK,
	READ_DIRTY,
};

struct call {
	enum kind kind;
	unsigned int thread;
	uint64_t iova, size, paddr;
	unsigned int fail_nth; /* table's allocation; the call may need fewer, and succeed */
	long may_fail;         /* with this errno; then it does nothing */
	long expect;           /* result; of MARK and READ_DIRTY the dirty bytes */
	bool or_none;          /* or 0, as what it is about comes or goes meanwhile */
	const struct call *of; /* READ_DIRTY: or 0, if this one has found nothing to mark */
	long also;             /* if not 0: another right result */
	long result;           /* of this run */
};

struct scenario {
	const char *name;
	struct model shape;              /* of the domain when it is new */
	uint64_t page, table, big, base; /* bytes under an item of level 0, 1 and 2 */
	struct call calls[MAX_CALLS];
	unsigned int nr_calls;
	unsigned int features;    /* of the hardware */
	bool breaks;              /* what is split is not there for a moment */
	bool tracks;              /* dirty pages */
	bool has_device;          /* behind an IOTLB */
	bool any_leaves;          /* of what size the leaves are depends on the schedule */
	unsigned int preemptions; /* if not 2 */

	/* What there is in the end, by which calls failed. */
	struct model *models[1 << MAX_MAY_FAIL];
	struct mem_cgroup *memcg;
	struct iommu_domain *domain;
	struct cached_domain device;
	uint64_t objects; /* bytes charged beside tables */
};

static struct scenario *current; /* that schedule.h runs */

/* ---- what a scenario consists of ---- */

static inline struct call *add_call(struct scenario *s, unsigned int thread, enum kind kind,
				    uint64_t iova, uint64_t size)
{
	struct call *call = &s->calls[s->nr_calls++];

	assert_true(s->nr_calls <= MAX_CALLS);
	assert_true(thread <= LAST);
	*call = (struct call){.kind = kind, .thread = thread, .iova = iova, .size = size};
	return call;
}

/* With the largest leaves. No two calls have a physical address in common. */
static inline struct call *map(struct scenario *s, unsigned int thread, uint64_t iova,
			       uint64_t size)
{
	struct call *call = add_call(s, thread, MAP, iova, size);
	const uint64_t window = 1ULL << 42;

	call->paddr = s->nr_calls * window + iova % window;
	return call;
}

/* In pages. */
static inline struct call *map_pages(struct scenario *s, unsigned int thread, uint64_t iova,
				     uint64_t size)
{
	struct call *call = map(s, thread, iova, size);

	call->paddr += s->page;
	return call;
}

/* Let a call fail by its nth table, if it needs so many. */
static inline void fail_nth(struct call *call, unsigned int nth)
{
	call->fail_nth = nth;
	call->may_fail = -ENOMEM;
}

/* In pieces that do not adjoin. */
static inline struct call *map_sg(struct scenario *s, unsigned int thread, uint64_t iova,
				  uint64_t size)
{
	struct call *call = map(s, thread, iova, size);

	call->kind = MAP_SG;
	call->expect = (long)size;
	return call;
}

static inline struct call *unmap(struct scenario *s, unsigned int thread, uint64_t iova,
				 uint64_t size)
{
	struct call *call = add_call(s, thread, UNMAP, iova, size);

	call->expect = (long)size;
	return call;
}

static inline struct call *split(struct scenario *s, unsigned int thread, uint64_t iova,
				 uint64_t size)
{
	return add_call(s, thread, SPLIT, iova, size);
}

static inline struct call *mark(struct scenario *s, unsigned int thread, uint64_t iova)
{
	struct call *call = add_call(s, thread, MARK, iova, s->page);

	call->expect = true;
	s->tracks = true;
	return call;
}

static inline struct call *read_dirty(struct scenario *s, unsigned int thread, uint64_t iova,
				      uint64_t size, uint64_t expect)
{
	struct call *call = add_call(s, thread, READ_DIRTY, iova, size);

	call->expect = (long)expect;
	s->tracks = true;
	return call;
}

static inline void pieces_of(const struct scenario *s, const struct call *call,
			     struct iommu_sg sg[SG_PIECES])
{
	uint64_t offset = 0;

	for (unsigned int i = 0; i < SG_PIECES; i++) {
		uint64_t rest = call->size - offset;

		sg[i].length = i + 1 < SG_PIECES ? rest / 2 & -s->page : rest;
		sg[i].paddr = call->paddr + offset + ((uint64_t)i << 39);
		offset += sg[i].length;
	}
}

/* What the calls of a scenario do to a list of leaves. */
static inline void model_call(const struct scenario *s, struct model *model,
			      const struct call *call)
{
	struct iommu_sg sg[SG_PIECES] = {{call->paddr, call->size}};
	uint64_t iova = call->iova;

	switch (call->kind) {
	case MAP_SG:
		pieces_of(s, call, sg);
		/* fall through */
	case MAP:
		model_grow(model, call->iova + (call->size - 1));
		for (unsigned int i = 0; i < SG_PIECES && sg[i].length; i++) {
			model_map(model, iova, sg[i].paddr, sg[i].length);
			iova += sg[i].length;
		}
		break;
	case UNMAP:
		assert_int_equal(model_unmap(model, iova, call->size), call->size);
		break;
	case SPLIT:
		model_split(model, iova);
		model_split(model, iova + call->size);
		break;
	default:
		break;
	}
}

/* Of what is mapped before the threads begin. */
static inline uint64_t paddr_before(const struct scenario *s, uint64_t iova)
{
	struct model model = s->shape;
	uint64_t paddr;

	for (unsigned int i = 0; i < s->nr_calls; i++)
		if (s->calls[i].thread == SETUP)
			model_call(s, &model, &s->calls[i]);
	paddr = model_lookup(&model, iova);
	model_fini(&model);
	return paddr;
}

/* Of an address whose translation does not change. */
static inline struct call *lookup(struct scenario *s, unsigned int thread, uint64_t iova)
{
	struct call *call = add_call(s, thread, LOOKUP, iova, 0);

	call->expect = (long)paddr_before(s, iova);
	return call;
}

/* The same by a device. */
static inline struct call *access_before(struct scenario *s, unsigned int thread, uint64_t iova)
{
	struct call *call = lookup(s, thread, iova);

	call->kind = ACCESS;
	s->has_device = true;
	return call;
}

/* By a device, of what a call of the same thread has mapped. */
static inline struct call *access_mapped(struct scenario *s, const struct call *map)
{
	struct call *call = add_call(s, map->thread, ACCESS, map->iova, 0);

	call->expect = (long)map->paddr;
	s->has_device = true;
	return call;
}

/* ---- a run ---- */

/* Tables until one is not to be had; 0: all are. By threads, and by one call each. */
static unsigned int fail_table[LAST + 1];

static inline bool should_fail_table(void)
{
	unsigned int *left = &fail_table[schedule.running < 0 ? SETUP : schedule.running];

	return *left && !--*left;
}

struct page *__wrap_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *owner,
				enum page_use use);
struct page *__real_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *owner,
				enum page_use use);
struct page *__wrap_alloc_table_object(unsigned int lg2, gfp_t gfp, struct mem_cgroup *owner);
struct page *__real_alloc_table_object(unsigned int lg2, gfp_t gfp, struct mem_cgroup *owner);

struct page *__wrap_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *owner,
				enum page_use use)
{
	if (use == PAGE_TABLE && should_fail_table())
		return NULL;
	return __real_alloc_pages(gfp, order, owner, use);
}

struct page *__wrap_alloc_table_object(unsigned int lg2, gfp_t gfp, struct mem_cgroup *owner)
{
	return should_fail_table() ? NULL : __real_alloc_table_object(lg2, gfp, owner);
}

/* Between the unlinking of tables and their freeing. */
static inline void flush(void *context, struct iommu_domain *domain, dma_addr_t iova,
			 dma_addr_t last, bool tables)
{
	schedule_step();
	hw_iotlb_ops.flush(context, domain, iova, last, tables);
	schedule_step();
}

static const struct iommu_iotlb_ops flush_ops = {.flush = flush};

/* Where a device gets to; 0 if nowhere. */
static inline long make_access(uint64_t iova)
{
	struct hw_translation got;
	enum hw_fault fault;

	schedule_step();
	fault = device_access(&current->device, iova, HW_READ | HW_WRITE, &got);
	if (fault)
		return fault == HW_FAULT_NOT_PRESENT ? 0 : -1;
	return (long)got.paddr;
}

static inline void add_dirty(void *context, dma_addr_t iova, dma_addr_t last)
{
	*(long *)context += (long)(last - iova + 1);
}

static inline long read_dirty_bytes(uint64_t iova, uint64_t size)
{
	struct iommu_iotlb_gather gather;
	long bytes = 0;
	struct iommu_dirty_bitmap dirty = {add_dirty, &bytes, &gather};
	int ret;

	iommu_iotlb_gather_init(&gather);
	ret = iommu_read_and_clear_dirty(current->domain, iova, size, 0, &dirty);
	iommu_iotlb_sync(current->domain, &gather);
	return ret ? ret : bytes;
}

static inline long make_call(const struct call *call)
{
	struct iommu_domain *domain = current->domain;
	struct iommu_sg sg[SG_PIECES];

	switch (call->kind) {
	case MAP:
		return iommu_map(domain, call->iova, call->paddr, call->size, RW, GFP_KERNEL);
	case MAP_SG:
		pieces_of(current, call, sg);
		return iommu_map_sg(domain, call->iova, sg, SG_PIECES, RW, GFP_KERNEL);
	case UNMAP:
		return (long)iommu_unmap(domain, call->iova, call->size);
	case SPLIT:
		return iommu_split_mapping(domain, call->iova, call->size, GFP_KERNEL);
	case LOOKUP:
		return (long)iommu_iova_to_phys(domain, call->iova);
	case ACCESS:
		return make_access(call->iova);
	case MARK:
		return iommu_mark_dirty(domain, call->iova);
	case READ_DIRTY:
		return read_dirty_bytes(call->iova, call->size);
	}
	return -1;
}

static inline void run_calls(unsigned int thread)
{
	for (unsigned int i = 0; i < current->nr_calls; i++) {
		struct call *call = &current->calls[i];

		if (call->thread != thread)
			continue;
		fail_table[thread] = call->fail_nth;
		call->result = make_call(call);
		fail_table[thread] = 0;
		/* What was freed is used again as soon as it may. */
		rcu_poll(mm_thread_self());
	}
}

static inline void begin_run(void)
{
	const struct iommu_domain_params params = {
		.format = current->shape.format->name,
		.address_width = current->shape.width,
		.features = current->features,
	};

	current->domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	current->device.domain = current->domain;
	if (current->has_device) {
		hw_iotlb_invalidate_all(current->device.cached.iotlb);
		iommu_domain_set_iotlb_ops(current->domain, &flush_ops, &current->device.cached);
	}
	if (current->tracks)
		iommu_set_dirty_tracking(current->domain, true);
	run_calls(SETUP);
}

/* ---- what must be true after it ---- */

static inline bool is_equal(const char *what, uint64_t is, uint64_t right)
{
	if (is != right)
		printf("# %s is 0x%llx, not 0x%llx\n", what, (unsigned long long)is,
		       (unsigned long long)right);
	return is == right;
}

/* Was each result right? *failed: which of those that may have failed did. */
static inline bool results_are_right(unsigned int *failed)
{
	unsigned int may_fail = 0;

	*failed = 0;
	for (unsigned int i = 0; i < current->nr_calls; i++) {
		const struct call *call = &current->calls[i];

		if (call->may_fail) {
			assert_true(may_fail < MAX_MAY_FAIL);
			*failed |= (unsigned int)(call->result == call->may_fail) << may_fail++;
			if (call->result == call->may_fail)
				continue;
		}
		if (!call->result && (call->or_none || (call->of && !call->of->result)))
			continue;
		if (call->also && call->result == call->also)
			continue;
		if (!is_equal("a result", (uint64_t)call->result, (uint64_t)call->expect)) {
			printf("# of call %u\n", i);
			return false;
		}
	}
	return true;
}

static inline const struct model *model_of(unsigned int failed)
{
	struct model *model = current->models[failed];
	unsigned int may_fail = 0;

	if (model)
		return model;
	model = malloc(sizeof(*model));
	*model = current->shape;
	/* Those of SETUP come first in the list, and the others are about ranges of their own. */
	for (unsigned int i = 0; i < current->nr_calls; i++) {
		const struct call *call = &current->calls[i];
		bool did_fail = call->may_fail && failed >> may_fail++ & 1;

		if (!did_fail && call->expect >= 0)
			model_call(current, model, call);
	}
	current->models[failed] = model;
	return model;
}

static inline bool tables_are_right(const struct model *model)
{
	struct iommu_domain_info info = domain_info(current->domain);
	uint64_t tables[IOMMU_MAX_LEVELS];
	char what[32];

	model_tables(model, tables);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++) {
		snprintf(what, sizeof(what), "number of tables of level %u", level);
		if (!is_equal(what, info.tables[level], tables[level]))
			return false;
	}
	return is_equal("number of levels", info.levels, model->levels) &&
	       is_equal("charge", mem_cgroup_usage(current->memcg),
			current->objects + model_bytes(model));
}

static inline bool is_translated(const struct model *model, uint64_t iova)
{
	bool right = is_equal("translation", iommu_iova_to_phys(current->domain, iova),
			      model_lookup(model, iova));

	if (!right)
		printf("# of 0x%llx\n", (unsigned long long)iova);
	return right;
}

/* At both ends of each leaf and beside them, of a long row of leaves some. */
static inline bool translations_are_right(const struct model *model)
{
	size_t step = model->count / 16 + 1;

	for (size_t i = 0; i < model->count; i += step) {
		const struct leaf *leaf = &model->leaves[i];
		uint64_t last = leaf->iova + (leaf->size - 1);

		if (!is_translated(model, leaf->iova) || !is_translated(model, last) ||
		    (leaf->iova && !is_translated(model, leaf->iova - 1)) ||
		    (last < model->last && !is_translated(model, last + 1)))
			return false;
	}
	for (unsigned int i = 0; i < current->nr_calls; i++)
		if (!is_translated(model, current->calls[i].iova))
			return false;
	return true;
}

/* Leaves that adjoin in one call. */
static inline bool unmap_all(const struct model *model)
{
	for (size_t i = 0; i < model->count;) {
		uint64_t iova = model->leaves[i].iova, size = 0;

		for (; i < model->count && model->leaves[i].iova == iova + size; i++)
			size += model->leaves[i].size;
		if (!is_equal("what is unmapped in the end",
			      iommu_unmap(current->domain, iova, size), size))
			return false;
	}
	return true;
}

static inline bool nothing_is_left(void)
{
	for (unsigned int part = 0; part <= PGTABLE_PARTS; part++)
		if (!is_equal("a count of pending flushes",
			      atomic_load(&current->domain->pt.unflushed[part].count), 0))
			return false;
	if (current->has_device &&
	    !is_equal("number of stale translations", count_stale(&current->device), 0))
		return false;
	return is_equal("number of tables in the end", count_tables(current->domain), 1) &&
	       is_equal("charge in the end", mem_cgroup_usage(current->memcg),
			current->objects + domain_info(current->domain).table_bytes);
}

static inline bool end_run(void)
{
	const struct model *model;
	unsigned int failed;
	bool right;

	run_calls(LAST);
	if (!results_are_right(&failed))
		return false;
	model = model_of(failed);
	right = translations_are_right(model) && (current->any_leaves || tables_are_right(model)) &&
		unmap_all(model) && nothing_is_left();
	iommu_domain_free(current->domain);
	return right && is_equal("charge without a domain", mem_cgroup_usage(current->memcg), 0);
}

#endif
