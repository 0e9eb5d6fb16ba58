/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the clients share: the calls that a client makes to the core,
 * recorded on their way (the linker's --wrap), what the walker of hw/ finds mapped
 * against a model of pages, and the failure of every allocation.
 */
#ifndef TESTS_CLIENTS_H
#define TESTS_CLIENTS_H

#include <uiommu/mm.h>

#include "tests/hw.h"

#define PAGES(n) ((uint64_t)(n) << PAGE_SHIFT)

struct map_call {
	uint64_t iova, paddr, size;
	int prot;
	gfp_t gfp;
};

#define MOST_CALLS 256

/* The first calls of this thread; all are counted. */
static _Thread_local struct {
	struct map_call map[MOST_CALLS];
	unsigned int nr_maps, nr_splits, nr_domains;
	gfp_t split_gfp, domain_gfp;
} recorded;

int __real_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
int __real_iommu_split_mapping(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       gfp_t gfp);
int __wrap_iommu_split_mapping(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       gfp_t gfp);
struct iommu_domain *__real_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp);
struct iommu_domain *__wrap_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp);

int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp)
{
	if (recorded.nr_maps < MOST_CALLS)
		recorded.map[recorded.nr_maps] = (struct map_call){iova, paddr, size, prot, gfp};
	recorded.nr_maps++;
	return __real_iommu_map(domain, iova, paddr, size, prot, gfp);
}

int __wrap_iommu_split_mapping(struct iommu_domain *domain, dma_addr_t iova, size_t size, gfp_t gfp)
{
	recorded.nr_splits++;
	recorded.split_gfp = gfp;
	return __real_iommu_split_mapping(domain, iova, size, gfp);
}

struct iommu_domain *__wrap_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp)
{
	recorded.nr_domains++;
	recorded.domain_gfp = gfp;
	return __real_iommu_domain_alloc(params, gfp);
}

static inline void record_begin(void)
{
	memset(&recorded, 0, sizeof(recorded));
}

/* Each call that was recorded had @gfp, and there were @count. */
static inline void assert_maps_recorded(unsigned int count, gfp_t gfp)
{
	assert_int_equal(recorded.nr_maps, count);
	assert_true(count && count <= MOST_CALLS);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(recorded.map[i].gfp, gfp);
}

static inline int enter_test(void **state)
{
	*state = enter_cgroup(NULL);
	return 0;
}

static inline int leave_test(void **state)
{
	leave_cgroup(*state);
	return 0;
}

/* A test with a cgroup, which must be empty at its end. */
#define in_cgroup(test) cmocka_unit_test_setup_teardown(test, enter_test, leave_test)

#define MODEL_PAGES (3 * 32768 + 1024)

/* What must be mapped: pages from @base on. */
struct page_model {
	uint64_t base;
	size_t mapped;
	struct model_page {
		uint64_t paddr;
		unsigned int access; /* 0: not mapped */
	} page[MODEL_PAGES];
};

static inline struct model_page *model_page(struct page_model *model, uint64_t iova)
{
	uint64_t index = (iova - model->base) >> PAGE_SHIFT;

	assert_true(iova >= model->base && index < MODEL_PAGES);
	return &model->page[index];
}

static inline void model_begin(struct page_model *model, uint64_t base)
{
	memset(model, 0, sizeof(*model));
	model->base = base;
}

/* @access 0 unmaps; a page that is mapped may not be mapped again. */
static inline void model_set(struct page_model *model, uint64_t iova, uint64_t paddr, size_t count,
			     unsigned int access)
{
	for (size_t i = 0; i < count; i++) {
		struct model_page *page = model_page(model, iova + PAGES(i));

		assert_true(!access || !page->access);
		model->mapped += (access != 0) - (page->access != 0);
		*page = (struct model_page){access ? paddr + PAGES(i) : 0, access};
	}
}

struct model_check {
	struct page_model *model;
	size_t seen;
};

static inline bool model_check_leaf(void *context, const struct hw_found *found)
{
	struct model_check *check = context;

	assert_int_equal(found->item.kind, HW_LEAF);
	for (uint64_t at = 0; at < found->size; at += PAGE_SIZE) {
		struct model_page *page = model_page(check->model, found->iova + at);

		assert_int_equal(found->access & (HW_READ | HW_WRITE), page->access);
		assert_int_equal(found->item.address + at, page->paddr);
		check->seen++;
	}
	return true;
}

/* The walker finds what the model has, and nothing else. */
static inline void assert_walker_finds(struct iommu_domain *domain, struct page_model *model)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct model_check check = {.model = model};
	struct hw_list_ops ops = {.found = model_check_leaf, .context = &check};

	assert_int_equal(hw_list(&tables, &ops), 0);
	assert_int_equal(check.seen, model->mapped);
}

/* The lowest item at an address, as a device would read it. */
static inline uint64_t leaf_item(struct iommu_domain *domain, uint64_t iova)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation got;

	assert_int_equal(hw_translate(&tables, iova, HW_READ, &got), HW_FAULT_NONE);
	return got.steps[got.nr_steps - 1].value;
}

static inline struct iommu_domain *domain_of(const char *format)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_UNMANAGED, .format = format};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	return domain;
}

/* A call of a client, and what the test has around it. */
struct failing {
	const char *name;
	int error; /* what it returns when an allocation failed */
	/* Something may stay until all is freed: a cut leaf, an empty bitmap. */
	bool may_leave;
	void (*begin)(void); /* from an empty cgroup on */
	int (*act)(void);    /* 0 or an error */
	void (*check)(bool done);
	struct iommu_domain *(*domain)(void); /* whose tables are counted, or NULL */
	void (*end)(void);                    /* frees everything */
};

static inline bool fail_once(const struct failing *f, unsigned int nth, bool sticky)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	uint64_t usage, tables;
	bool hit;
	int ret;

	f->begin();
	usage = mem_cgroup_usage(memcg);
	tables = f->domain ? count_tables(f->domain()) : 0;
	uiommu_fail_nth(nth, sticky);
	ret = f->act();
	hit = uiommu_fail_nth(0, false);
	assert_true(hit || !ret);
	if (ret) {
		assert_int_equal(ret, f->error);
		f->check(false);
		if (!f->may_leave) {
			assert_int_equal(mem_cgroup_usage(memcg), usage);
			assert_int_equal(f->domain ? count_tables(f->domain()) : 0, tables);
		}
		assert_int_equal(f->act(), 0);
	}
	f->check(true);
	f->end();
	leave_cgroup(memcg);
	return hit;
}

/* Fail the n-th allocation, for every n; once, and from then on. */
static inline void fail_each(const struct failing *f)
{
	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		unsigned int nth = 1;

		while (fail_once(f, nth, sticky))
			nth++;
		if (nth == 1)
			fail_msg("%s allocates nothing", f->name);
	}
}

#endif
