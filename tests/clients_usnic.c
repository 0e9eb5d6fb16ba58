// SPDX-License-Identifier: MIT
/*
 * Memory that users of usNIC register: lists of intervals against bitmaps, and
 * what is mapped against who has registered what.
 */
#include "tests/clients.h"

#include "tests/clients/usnic.h"

#define VA    UINT64_C(0x7f0012345000) /* of the user's first page */
#define MOST  4096                     /* pages of the user */
#define SEED  0x05a1cULL
#define SPACE 48 /* pages of the lists */

static struct iommu_domain *domain;
static struct usnic_uiom_pd *pd;
static struct page_model model;
static uint64_t memory[MOST];
static unsigned int nr_asked;

static int phys(void *context, uint64_t address, bool writable, phys_addr_t *paddr)
{
	uint64_t page = (address - VA) >> PAGE_SHIFT;

	assert_ptr_equal(context, memory);
	assert_true(writable);
	if (address < VA || page >= MOST)
		return -EFAULT;
	*paddr = memory[page];
	nr_asked++;
	return 0;
}

static void begin_on(const char *format)
{
	uint64_t random = SEED, paddr = 0;

	for (unsigned int i = 0; i < MOST; i++) {
		if (!random_below(&random, 8) || !i)
			paddr = PAGES(random_below(&random, 1 << 26));
		memory[i] = paddr;
		paddr += PAGE_SIZE;
	}
	nr_asked = 0;
	domain = domain_of(format);
	pd = usnic_uiom_alloc_pd(domain, phys, memory);
	assert_false(IS_ERR(pd));
	model_begin(&model, VA);
}

static void begin(void)
{
	begin_on("vtd");
}

static void end(void)
{
	usnic_uiom_dealloc_pd(pd);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
}

static struct usnic_uiom_reg *get(uint64_t page, size_t count)
{
	struct usnic_uiom_reg *reg = usnic_uiom_reg_get(pd, VA + PAGES(page), PAGES(count));

	assert_false(IS_ERR(reg));
	return reg;
}

static void put(struct usnic_uiom_reg *reg)
{
	assert_int_equal(usnic_uiom_reg_release(pd, reg), 0);
}

static void expect(uint64_t page, size_t count, bool mapped)
{
	for (size_t i = page; i < page + count; i++)
		model_set(&model, VA + PAGES(i), memory[i], 1, mapped ? HW_READ | HW_WRITE : 0);
}

/* The intervals of a set of pages; neighbours apart where @cuts says so. */
static unsigned int fill_list(struct usnic_uiom_interval *list, uint64_t set, uint64_t cuts)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < SPACE; i++) {
		if (!(set >> i & 1))
			continue;
		if (nr && list[nr - 1].last + 1 == i && !(cuts >> i & 1))
			list[nr - 1].last = i;
		else
			list[nr++] = (struct usnic_uiom_interval){.start = i, .last = i};
	}
	for (unsigned int i = 0; i + 1 < nr; i++)
		list[i].next = &list[i + 1];
	return nr;
}

static void differences(void **state)
{
	struct usnic_uiom_interval a[SPACE], b[SPACE], *diff;
	uint64_t random = SEED;

	for (unsigned int round = 0; round < SCALED(20000); round++) {
		uint64_t mask = (UINT64_C(1) << SPACE) - 1, seen = 0;
		uint64_t set_a = random_next(&random) & mask, set_b = random_next(&random) & mask;
		unsigned int shape = (unsigned int)random_below(&random, 4);

		/* Also lists with long intervals, and empty ones. */
		if (shape == 1)
			set_a |= set_a << 1 | set_a << 2 | set_a << 3;
		if (shape == 2)
			set_b = 0;
		if (shape == 3)
			set_a &= mask >> 20 << 10;
		set_a &= mask;
		assert_int_equal(usnic_uiom_get_intervals_diff(
					 fill_list(a, set_a, random_next(&random)) ? a : NULL,
					 fill_list(b, set_b, random_next(&random)) ? b : NULL,
					 mem_cgroup_active(), &diff),
				 0);
		for (struct usnic_uiom_interval *at = diff; at; at = at->next) {
			assert_int_equal(at->ref_cnt, 1);
			assert_true(at->start <= at->last && at->last < SPACE);
			assert_true(!at->next || at->next->start > at->last);
			for (uint64_t i = at->start; i <= at->last; i++)
				seen |= UINT64_C(1) << i;
		}
		assert_int_equal(seen, set_a & ~set_b);
		usnic_uiom_put_interval_set(diff);
	}
}

/* Only what nobody has is asked for and mapped; only what nobody has goes. */
static void overlapping(void **state)
{
	struct usnic_uiom_reg *a, *b, *c;
	unsigned int runs = 1;

	begin();
	for (unsigned int i = 11; i < 40; i++)
		runs += memory[i] != memory[i - 1] + PAGE_SIZE;
	record_begin();
	a = get(10, 30);
	assert_int_equal(nr_asked, 30);
	assert_maps_recorded(runs, GFP_KERNEL);
	assert_int_equal(recorded.split_gfp, GFP_KERNEL);
	assert_int_equal(recorded.map[0].prot, RW | IOMMU_CACHE);
	expect(10, 30, true);
	assert_walker_finds(domain, &model);

	b = get(30, 30);
	assert_int_equal(nr_asked, 50);
	expect(40, 20, true);
	assert_walker_finds(domain, &model);

	record_begin();
	c = get(15, 40);
	assert_int_equal(nr_asked, 50);
	assert_int_equal(recorded.nr_maps, 0);
	put(a);
	expect(10, 5, false);
	assert_walker_finds(domain, &model);
	put(c);
	expect(15, 15, false);
	assert_walker_finds(domain, &model);
	put(b);
	assert_int_equal(count_tables(domain), 1);
	end();
}

/* The first registration's large leaf must not take the second's pages with it. */
static void large_leaves(void **state)
{
	uint64_t first = (-VA & ((1 << 21) - 1)) >> PAGE_SHIFT; /* begins 2 MiB */
	struct usnic_uiom_reg *a, *b, *inner;

	begin();
	for (unsigned int i = 0; i < MOST; i++)
		memory[i] = (UINT64_C(5) << 30) + PAGES(i) - PAGES(first);
	a = get(first, 512);
	assert_int_equal(domain_info(domain).tables[0], 0);
	expect(first, 512, true);
	b = get(first + 256, 512);
	inner = get(first + 100, 3);
	expect(first + 512, 256, true);
	assert_walker_finds(domain, &model);
	put(a);
	expect(first, 100, false);
	expect(first + 103, 153, false);
	assert_walker_finds(domain, &model);
	put(b);
	put(inner);
	assert_int_equal(count_tables(domain), 1);
	end();
}

static void bad_requests(void **state)
{
	static const struct {
		uint64_t addr, size;
		int error;
	} bad[] = {
		{VA, 0, -EINVAL},
		{UINT64_MAX, 1, -EINVAL},
		{UINT64_MAX, 2, -EINVAL},
		{VA, SIZE_MAX, -EINVAL},
		{VA, SIZE_MAX - VA, -EINVAL},
		{VA - 1, 2, -EFAULT},
		{VA + PAGES(MOST) - 1, 2, -EFAULT},
	};
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_IDENTITY};
	struct iommu_domain *identity = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	struct usnic_uiom_reg *reg;

	assert_int_equal(PTR_ERR(usnic_uiom_alloc_pd(identity, phys, memory)), -EINVAL);
	iommu_domain_free(identity);
	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *got = usnic_uiom_reg_get(pd, bad[i].addr, bad[i].size);

		assert_int_equal(PTR_ERR(got), bad[i].error);
	}
	/* Somebody else maps there. */
	assert_int_equal(iommu_map(domain, VA + PAGES(30), PAGES(7), PAGE_SIZE, RW, GFP_KERNEL), 0);
	assert_int_equal(PTR_ERR(usnic_uiom_reg_get(pd, VA, PAGES(100))), -EADDRINUSE);
	model_set(&model, VA + PAGES(30), PAGES(7), 1, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	assert_int_equal(iommu_unmap(domain, VA + PAGES(30), PAGE_SIZE), PAGE_SIZE);
	model_set(&model, VA + PAGES(30), 0, 1, 0);

	/* Bytes register the pages that they touch. */
	reg = usnic_uiom_reg_get(pd, VA + 4095, 2);
	assert_false(IS_ERR(reg));
	expect(0, 2, true);
	assert_walker_finds(domain, &model);
	put(reg);
	assert_int_equal(usnic_uiom_reg_release(pd, reg), -EINVAL);
	assert_int_equal(usnic_uiom_reg_release(pd, NULL), -EINVAL);
	end();
}

/* IOMMU_CACHE reaches the tables: AttrIndx, bits 4:2, names the cacheable kind. */
static void coherent(void **state)
{
	begin_on("arm64-s1");
	get(0, 1);
	assert_int_equal(leaf_item(domain, VA) >> 2 & 7, 1);
	end();
}

#define REGS 24

static void random_registrations(void **state)
{
	struct {
		struct usnic_uiom_reg *reg;
		uint64_t page;
		size_t count;
	} regs[REGS] = {0};
	static unsigned int refs[MOST];
	uint64_t random = SEED;

	begin();
	memset(refs, 0, sizeof(refs));
	for (unsigned int i = 1024; i < 2048; i++) /* some large leaves, too */
		memory[i] = VA + PAGES(i);
	for (unsigned int round = 0; round < SCALED(4000); round++) {
		size_t i = random_below(&random, REGS);
		bool is_new = !regs[i].reg;

		if (is_new) {
			regs[i].page = random_below(&random, 2048);
			regs[i].count = 1 + random_below(&random, round % 4 ? 60 : 1500);
			regs[i].reg = get(regs[i].page, regs[i].count);
		} else {
			put(regs[i].reg);
			regs[i].reg = NULL;
		}
		for (uint64_t page = regs[i].page; page < regs[i].page + regs[i].count; page++) {
			refs[page] += is_new ? 1 : -1;
			if (refs[page] == is_new)
				expect(page, 1, is_new);
		}
		if (round % 16 == 0)
			assert_walker_finds(domain, &model);
	}
	for (size_t i = 0; i < REGS / 2; i++) /* the others go with the domain */
		if (regs[i].reg)
			put(regs[i].reg);
	end();
}

static void two_registered(void)
{
	begin();
	get(100, 50);
	get(200, 50);
}

/* 25 pages of each of the two, and what lies between. */
static int get_act(void)
{
	struct usnic_uiom_reg *reg = usnic_uiom_reg_get(pd, VA + PAGES(125), PAGES(100));

	return IS_ERR(reg) ? (int)PTR_ERR(reg) : 0;
}

static void get_check(bool done)
{
	model_begin(&model, VA);
	expect(100, 50, true);
	expect(200, 50, true);
	if (done)
		expect(150, 50, true);
	assert_walker_finds(domain, &model);
}

static void large_registered(void)
{
	begin();
	for (unsigned int i = 0; i < MOST; i++)
		memory[i] = VA + PAGES(i);
	get(0, 2048);
}

/* Inside: nothing to map, two leaves to split. */
static int get_inner_act(void)
{
	struct usnic_uiom_reg *reg = usnic_uiom_reg_get(pd, VA + PAGES(700), PAGES(700));

	return IS_ERR(reg) ? (int)PTR_ERR(reg) : 0;
}

static void get_inner_check(bool done)
{
	model_begin(&model, VA);
	expect(0, 2048, true);
	assert_walker_finds(domain, &model);
}

static void alloc_begin(void)
{
	domain = domain_of("vtd");
}

static int alloc_act(void)
{
	pd = usnic_uiom_alloc_pd(domain, phys, memory);
	return IS_ERR(pd) ? (int)PTR_ERR(pd) : 0;
}

static void alloc_check(bool done)
{
	assert_int_equal(done, !IS_ERR(pd));
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void failures(void **state)
{
	static const struct failing all[] = {
		{"pd", -ENOMEM, false, alloc_begin, alloc_act, alloc_check, the_domain, end},
		{"get", -ENOMEM, false, two_registered, get_act, get_check, the_domain, end},
		{"get inner", -ENOMEM, true, large_registered, get_inner_act, get_inner_check,
		 the_domain, end},
	};
	struct mem_cgroup *memcg;
	struct usnic_uiom_reg *a, *b;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		fail_each(&all[i]);

	/* To release needs nothing. */
	memcg = enter_cgroup(NULL);
	large_registered();
	a = get(700, 700);
	b = get(500, 2000);
	uiommu_fail_nth(1, true);
	put(a);
	usnic_uiom_reg_release(pd, b);
	usnic_uiom_dealloc_pd(pd);
	assert_false(uiommu_fail_nth(0, false));
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(differences),     in_cgroup(overlapping), in_cgroup(large_leaves),
		in_cgroup(bad_requests),    in_cgroup(coherent),    in_cgroup(random_registrations),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
