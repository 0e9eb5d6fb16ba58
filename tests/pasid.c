/* SPDX-License-Identifier: MIT */
/*
 * PASID tables against an array, as the hardware's side reads them: which domain a PASID
 * has, where the translation begins, and that of it which tables remain. Their sizes are
 * those of the specifications.
 */
#include <uiommu/pasid.h>

#include "hw/pasid.h"
#include "tests/hw.h"

#define SEED    0x70617369ULL
#define DOMAINS 3
#define PASIDS  64 /* that a test uses, spread over all there are */

/* A layout and the domains it has. */
static const struct kind {
	enum iommu_pasid_layout layout;
	enum hw_pasid_layout hw;
	const char *format[DOMAINS];
	unsigned int width[DOMAINS];
} kinds[] = {
	{IOMMU_PASID_VTD, HW_PASID_VTD, {"vtd", "x86_64", "vtd"}, {48, 57, 39}},
	{IOMMU_PASID_ARM, HW_PASID_ARM, {"arm64-s1", "arm64-s1-64k", "arm64-s1-16k"}, {48, 42, 47}},
	{IOMMU_PASID_AMD, HW_PASID_AMD, {"x86_64", "x86_64", "x86_64"}, {48, 48, 48}},
};

struct pasids {
	const struct kind *kind;
	struct iommu_pasid_table *table;
	unsigned int bits, flushes, table_flushes;
	struct iommu_domain *domain[DOMAINS];
	uint32_t pasid[PASIDS];
	int set[PASIDS]; /* the domain's number, or -1 */
	uint16_t id[PASIDS];
};

static struct hw_pasid_tables tables_of(const struct pasids *p)
{
	struct iommu_pasid_info info;

	iommu_pasid_get_info(p->table, &info);
	return (struct hw_pasid_tables){p->kind->hw, &hw_arena, info.root, info.pasid_bits,
					info.form};
}

/* When the hardware is told, the entry is gone, and no table is used for anything else. */
static void flush(void *context, uint32_t pasid, bool tables)
{
	struct pasids *p = context;
	const struct hw_pasid_tables hw = tables_of(p);
	struct hw_pasid_entry entry;

	assert_int_equal(hw_pasid_find(&hw, pasid, &entry), HW_FAULT_NOT_PRESENT);
	p->flushes++;
	p->table_flushes += tables;
}

static struct iommu_domain *new_domain_for(const struct kind *kind, unsigned int nth)
{
	const struct iommu_domain_params params = {.type = IOMMU_DOMAIN_UNMANAGED,
						   .format = kind->format[nth],
						   .address_width = kind->width[nth]};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	assert_int_equal(iommu_map(domain, 1 << 20, (nth + 1) << 24, 1 << 16, RW, GFP_KERNEL), 0);
	return domain;
}

static void begin(struct pasids *p, const struct kind *kind, unsigned int bits)
{
	struct iommu_pasid_params params = {kind->layout, bits, flush, p};

	*p = (struct pasids){.kind = kind, .bits = bits};
	for (unsigned int i = 0; i < DOMAINS; i++)
		p->domain[i] = new_domain_for(kind, i);
	p->table = iommu_pasid_table_alloc(&params, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(p->table));
	for (unsigned int i = 0; i < PASIDS; i++) {
		p->pasid[i] = (uint32_t)(((uint64_t)i << bits) / PASIDS);
		p->set[i] = -1;
	}
}

static void end(struct pasids *p)
{
	iommu_pasid_table_free(p->table);
	for (unsigned int i = 0; i < DOMAINS; i++)
		iommu_domain_free(p->domain[i]);
}

/* Translate by what the entry says. */
static void check_stage(const struct pasids *p, const struct hw_pasid_stage *stage,
			unsigned int nth)
{
	const struct hw_tables tables = {
		.format = hw_format_find(stage->format),
		.memory = &hw_arena,
		.root = stage->root,
		.address_width = stage->width ? stage->width : p->kind->width[nth],
		.granule_lg2 = stage->granule_lg2,
	};
	struct hw_translation got;

	hw_translate(&tables, (1 << 20) + 5, HW_READ, &got);
	assert_int_equal(got.fault, HW_FAULT_NONE);
	assert_int_equal(got.paddr, ((nth + 1) << 24) + 5);
}

static void check_pasid(const struct pasids *p, const struct hw_pasid_tables *hw, unsigned int i)
{
	struct hw_pasid_entry entry;
	enum hw_fault fault = hw_pasid_find(hw, p->pasid[i], &entry);

	if (p->set[i] < 0) {
		assert_int_equal(fault, HW_FAULT_NOT_PRESENT);
		return;
	}
	assert_int_equal(fault, HW_FAULT_NONE);
	assert_int_equal(!entry.first.format + !entry.second.format, 1);
	if (p->kind->hw != HW_PASID_AMD)
		assert_int_equal(entry.id, p->id[i]);
	check_stage(p, entry.first.format ? &entry.first : &entry.second, (unsigned int)p->set[i]);
}

static void set(struct pasids *p, unsigned int i, unsigned int domain, uint16_t id)
{
	assert_int_equal(
		iommu_pasid_set(p->table, p->pasid[i], p->domain[domain], NULL, id, GFP_KERNEL), 0);
	/* Of few bits several numbers are one PASID. */
	for (unsigned int j = 0; j < PASIDS; j++)
		if (p->pasid[j] == p->pasid[i]) {
			p->set[j] = (int)domain;
			p->id[j] = id;
		}
}

static void clear(struct pasids *p, unsigned int i)
{
	iommu_pasid_clear(p->table, p->pasid[i]);
	for (unsigned int j = 0; j < PASIDS; j++)
		if (p->pasid[j] == p->pasid[i])
			p->set[j] = -1;
}

static void assert_same(const struct iommu_pasid_info *a, const struct iommu_pasid_info *b)
{
	assert_int_equal(a->root, b->root);
	assert_int_equal(a->tables, b->tables);
	assert_int_equal(a->table_bytes, b->table_bytes);
}

static void agrees_with_an_array(void **state)
{
	static const unsigned int widths[] = {1, 6, 9, 10, 11, 13, 18, 19, 20};
	uint64_t seed = SEED;

	for (unsigned int k = 0; k < ARRAY_SIZE(kinds) * ARRAY_SIZE(widths); k++) {
		struct mem_cgroup *memcg = enter_cgroup(NULL);
		struct iommu_pasid_info empty, info;
		struct hw_pasid_tables hw;
		uint64_t domains;
		struct pasids p;

		begin(&p, &kinds[k / ARRAY_SIZE(widths)], widths[k % ARRAY_SIZE(widths)]);
		hw = tables_of(&p);
		iommu_pasid_get_info(p.table, &empty);
		assert_int_equal(empty.tables, 1);
		domains = cgroup_stat(memcg, "sec_pagetables") - empty.table_bytes;
		for (unsigned int round = 0; round < 400; round++) {
			unsigned int i = (unsigned int)random_below(&seed, PASIDS);

			if (random_below(&seed, 2))
				set(&p, i, (unsigned int)random_below(&seed, DOMAINS),
				    (uint16_t)random_below(&seed, 65536));
			else
				clear(&p, i);
			check_pasid(&p, &hw, i);
			iommu_pasid_get_info(p.table, &info);
			assert_int_equal(cgroup_stat(memcg, "sec_pagetables"),
					 domains + info.table_bytes);
		}
		for (unsigned int i = 0; i < PASIDS; i++)
			check_pasid(&p, &hw, i);
		for (unsigned int i = 0; i < PASIDS; i++)
			clear(&p, i);
		iommu_pasid_get_info(p.table, &info);
		assert_same(&info, &empty);
		end(&p);
		leave_cgroup(memcg);
	}
}

/* Bytes of the top table, and of those that one PASID needs more. */
static void sizes_are_the_specifications(void **state)
{
	static const struct {
		unsigned int kind, bits;
		uint64_t top, more;
		unsigned int form;
	} cases[] = {
		{0, 20, 128 << 10, 4096, 0}, {0, 6, 4096, 4096, 0},  {1, 10, 64 << 10, 0, 0},
		{1, 20, 8192, 64 << 10, 2},  {1, 4, 4096, 0, 0},     {2, 9, 4096, 0, 0},
		{2, 18, 4096, 4096, 1},      {2, 20, 4096, 8192, 2},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_pasid_info info;
		struct pasids p;

		begin(&p, &kinds[cases[i].kind], cases[i].bits);
		iommu_pasid_get_info(p.table, &info);
		assert_int_equal(info.table_bytes, cases[i].top);
		assert_int_equal(info.form, cases[i].form);
		set(&p, 1, 0, 7);
		iommu_pasid_get_info(p.table, &info);
		assert_int_equal(info.table_bytes, cases[i].top + cases[i].more);
		set(&p, 1, 1, 8);
		assert_int_equal(p.flushes, 1);
		clear(&p, 1);
		assert_int_equal(p.flushes, 2);
		assert_int_equal(p.table_flushes, cases[i].more ? 1 : 0);
		end(&p);
	}
}

/* VT-d alone: the program's first stage above our second. */
static void two_stages(void **state)
{
	struct iommu_pasid_first first = {.root = 0x123000, .address_width = 57};
	struct hw_pasid_entry entry;
	struct hw_pasid_tables hw;
	struct pasids p;

	begin(&p, &kinds[0], 20);
	hw = tables_of(&p);
	assert_int_equal(iommu_pasid_set(p.table, 9, p.domain[0], &first, 5, GFP_KERNEL), 0);
	assert_int_equal(hw_pasid_find(&hw, 9, &entry), HW_FAULT_NONE);
	assert_int_equal(entry.first.root, 0x123000);
	assert_int_equal(entry.first.width, 57);
	check_stage(&p, &entry.second, 0);
	first.address_width = 39;
	assert_int_equal(iommu_pasid_set(p.table, 9, p.domain[0], &first, 5, GFP_KERNEL), -EINVAL);
	first.address_width = 48;
	assert_int_equal(iommu_pasid_set(p.table, 9, p.domain[1], &first, 5, GFP_KERNEL), -EINVAL);
	first.root++;
	assert_int_equal(iommu_pasid_set(p.table, 9, p.domain[0], &first, 5, GFP_KERNEL), -EINVAL);
	assert_int_equal(hw_pasid_find(&hw, 9, &entry), HW_FAULT_NONE);
	end(&p);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct iommu_pasid_params params = {.layout = IOMMU_PASID_ARM, .pasid_bits = 21};
	struct pasids p;

	assert_int_equal(PTR_ERR(iommu_pasid_table_alloc(&params, GFP_KERNEL)), -EINVAL);
	params.pasid_bits = 0;
	assert_int_equal(PTR_ERR(iommu_pasid_table_alloc(&params, GFP_KERNEL)), -EINVAL);
	params = (struct iommu_pasid_params){.layout = IOMMU_PASID_AMD + 1, .pasid_bits = 8};
	assert_int_equal(PTR_ERR(iommu_pasid_table_alloc(&params, GFP_KERNEL)), -EINVAL);
	iommu_pasid_table_free(NULL);
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct iommu_domain *other;

		begin(&p, &kinds[k], 8);
		other = new_domain_for(&kinds[k == 1 ? 0 : 1], 0);
		assert_int_equal(iommu_pasid_set(p.table, 256, p.domain[0], NULL, 1, GFP_KERNEL),
				 -EINVAL);
		assert_int_equal(iommu_pasid_set(p.table, 1, other, NULL, 1, GFP_KERNEL), -EINVAL);
		iommu_pasid_clear(p.table, 256);
		iommu_pasid_clear(p.table, 1);
		assert_int_equal(p.flushes, 0);
		iommu_domain_free(other);
		end(&p);
	}
}

/* The n-th allocation fails: all is as before. */
static void every_failure(void **state)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned int nth = 0;
		bool hit = true;

		while (hit) {
			struct mem_cgroup *memcg = enter_cgroup(NULL);
			struct iommu_pasid_info before, after;
			struct pasids p;
			uint64_t usage;
			int rc;

			begin(&p, &kinds[k], 20);
			set(&p, 0, 0, 1);
			iommu_pasid_get_info(p.table, &before);
			usage = mem_cgroup_usage(memcg);
			uiommu_fail_nth(++nth, false);
			rc = iommu_pasid_set(p.table, p.pasid[40], p.domain[1], NULL, 2,
					     GFP_KERNEL);
			hit = uiommu_fail_nth(0, false);
			assert_int_equal(rc, hit ? -ENOMEM : 0);
			iommu_pasid_get_info(p.table, &after);
			if (rc) {
				assert_same(&before, &after);
				assert_int_equal(mem_cgroup_usage(memcg), usage);
			}
			end(&p);
			leave_cgroup(memcg);
		}
		assert_true(nth > 1);
	}
}

/* A program that attaches PASIDs without end meets its memory.max. */
static void a_budget_ends(void **state)
{
	const uint64_t budget = 1 << 20;

	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct mem_cgroup *memcg = enter_cgroup(NULL);
		struct pasids p;
		uint32_t pasid = 0;
		int rc;

		begin(&p, &kinds[k], 20);
		cgroup_limit(memcg, budget);
		do {
			rc = iommu_pasid_set(p.table, pasid, p.domain[0], NULL, 1, GFP_KERNEL);
			assert_true(mem_cgroup_usage(memcg) <= budget);
			pasid += 512;
		} while (!rc);
		assert_int_equal(rc, -ENOMEM);
		assert_in_range(pasid, 512 * (budget / 65536 / 2), 512 * (budget / 4096));
		/* Where there is a table there is room. */
		assert_int_equal(iommu_pasid_set(p.table, 1, p.domain[0], NULL, 1, GFP_KERNEL), 0);
		end(&p);
		leave_cgroup(memcg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(sizes_are_the_specifications),
		cmocka_unit_test(two_stages),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(every_failure),
		cmocka_unit_test(a_budget_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
