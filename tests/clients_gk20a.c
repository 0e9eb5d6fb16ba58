// SPDX-License-Identifier: MIT
/* Instance memory, page by page, on pages of every size. */
#include "tests/clients_ranges.h"

#include "tests/clients/gk20a.h"

#define SEED    0x6420aULL
#define OBJECTS 24
#define AREA    (UINT64_C(1) << GK20A_IOMMU_BIT)

static struct iommu_domain *domain;
static struct gk20a_instmem *imem;

static void begin_on(const char *format)
{
	domain = domain_of(format);
	imem = gk20a_instmem_new(domain);
	assert_false(IS_ERR(imem));
}

static void end(void)
{
	gk20a_instmem_del(imem);
	assert_nothing_mapped(domain);
	iommu_domain_free(domain);
}

static uint64_t iova_of(const struct gk20a_instobj *obj)
{
	assert_true(gk20a_instobj_addr(obj) & AREA);
	return gk20a_instobj_addr(obj) - AREA;
}

/* The pages of all objects, one range each; nobody maps two at once. */
static void check_objects(struct gk20a_instobj *objects[OBJECTS], uint64_t page)
{
	static struct mapped_range ranges[OBJECTS * 16];
	unsigned int count = 0;

	for (unsigned int i = 0; i < OBJECTS; i++) {
		for (uint64_t at = 0; objects[i] && at < gk20a_instobj_size(objects[i]); at += page)
			ranges[count++] = (struct mapped_range){
				iova_of(objects[i]) + at,
				virt_to_phys(gk20a_instobj_page(objects[i], (uint32_t)(at / page))),
				page, HW_RW};
	}
	assert_ranges(domain, ranges, count);
}

/* The lowest multiple of @align with room, tried one by one. */
static uint64_t lowest_room(struct gk20a_instobj *objects[OBJECTS], uint64_t size, uint64_t align)
{
	for (uint64_t at = 0;; at += align) {
		bool free = true;

		for (unsigned int i = 0; i < OBJECTS && free; i++)
			free = !objects[i] || at + size <= iova_of(objects[i]) ||
			       iova_of(objects[i]) + gk20a_instobj_size(objects[i]) <= at;
		if (free)
			return at;
	}
}

static void toggle(struct gk20a_instobj *objects[OBJECTS], uint64_t page, uint64_t *random)
{
	struct gk20a_instobj **obj = &objects[random_below(random, OBJECTS)];
	uint64_t align = page << random_below(random, 4), size, room;

	if (*obj) {
		gk20a_instobj_del(*obj);
		*obj = NULL;
		return;
	}
	size = 1 + random_below(random, 15 * page);
	room = lowest_room(objects, (size + page - 1) / page * page, align);
	record_begin();
	*obj = gk20a_instobj_new(imem, (uint32_t)size, (uint32_t)align);
	assert_false(IS_ERR(*obj));
	assert_int_equal(iova_of(*obj), room);
	assert_int_equal(gk20a_instobj_size(*obj), (size + page - 1) / page * page);
	assert_maps_recorded((unsigned int)((size + page - 1) / page), GFP_KERNEL);
	for (unsigned int i = 0; i < recorded.nr_maps; i++)
		assert_int_equal(recorded.map[i].size, page);
}

static void objects_have_the_lowest_addresses(void **state)
{
	const struct iommu_format *format = NULL;
	uint64_t random = SEED;

	print_message("# seed 0x%llx\n", SEED);
	while ((format = next_walked(format, 65536))) {
		struct gk20a_instobj *objects[OBJECTS] = {0};

		begin_on(format->name);
		for (unsigned int i = 0; i < SCALED(200); i++) {
			toggle(objects, smallest_page(format), &random);
			check_objects(objects, smallest_page(format));
		}
		for (unsigned int i = 0; i < OBJECTS; i++)
			if (objects[i])
				gk20a_instobj_del(objects[i]);
		end();
	}
}

static void bad_objects(void **state)
{
	struct gk20a_instobj *one, *two;

	begin_on("vtd");
	one = gk20a_instobj_new(imem, 0, 0);
	assert_false(IS_ERR(one));
	assert_int_equal(gk20a_instobj_size(one), 4096);
	assert_int_equal(PTR_ERR(gk20a_instobj_new(imem, 4096, 3 * 4096)), -EINVAL);
	assert_int_equal(PTR_ERR(gk20a_instobj_new(imem, ~0u, 4096)), -ENOMEM);
	/* Page 3 is in use already, by somebody else: what was mapped before it goes. */
	assert_int_equal(iommu_map(domain, 3 * 4096, 0, 4096, RW, GFP_KERNEL), 0);
	assert_int_equal(PTR_ERR(gk20a_instobj_new(imem, 5 * 4096, 0)), -EADDRINUSE);
	assert_int_equal(iommu_iova_to_phys(domain, 4096), 0);
	assert_int_equal(iommu_iova_to_phys(domain, 8192), 0);
	assert_int_equal(iommu_unmap(domain, 3 * 4096, 4096), 4096);
	/* Its addresses are free again. */
	two = gk20a_instobj_new(imem, 5 * 4096, 0);
	assert_int_equal(iova_of(two), 4096);
	gk20a_instobj_del(two);
	gk20a_instobj_del(one);
	end();
}

/* One page at each multiple of 2 GiB, and no other place is as aligned. */
static void area_is_full(void **state)
{
	struct gk20a_instobj *obj[AREA >> 31];

	begin_on("vtd");
	for (unsigned int i = 0; i < AREA >> 31; i++) {
		obj[i] = gk20a_instobj_new(imem, 4096, 1u << 31);
		assert_false(IS_ERR(obj[i]));
		assert_int_equal(iova_of(obj[i]), (uint64_t)i << 31);
	}
	assert_int_equal(PTR_ERR(gk20a_instobj_new(imem, 4096, 1u << 31)), -ENOSPC);
	gk20a_instobj_del(obj[3]);
	obj[3] = gk20a_instobj_new(imem, 4096, 1u << 31);
	assert_int_equal(iova_of(obj[3]), UINT64_C(3) << 31);
	for (unsigned int i = 0; i < AREA >> 31; i++)
		gk20a_instobj_del(obj[i]);
	end();
}

static void not_for_others(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_BLOCKED};

	domain = iommu_domain_alloc(&params, GFP_KERNEL);
	assert_int_equal(PTR_ERR(gk20a_instmem_new(domain)), -EINVAL);
	iommu_domain_free(domain);
}

static struct gk20a_instobj *made;

static void begin(void)
{
	made = NULL;
	begin_on("arm64-s2-16k");
}

static int act(void)
{
	struct gk20a_instobj *obj = gk20a_instobj_new(imem, 5 * 16384, 0);

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	made = obj;
	return 0;
}

static void check(bool done)
{
	struct gk20a_instobj *objects[OBJECTS] = {made};

	assert_int_equal(done, made != NULL);
	check_objects(objects, 16384);
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void end_with_object(void)
{
	gk20a_instobj_del(made);
	end();
}

static void begin_domain(void)
{
	domain = domain_of("vtd");
	imem = NULL;
}

static int act_instmem(void)
{
	struct gk20a_instmem *new = gk20a_instmem_new(domain);

	if (IS_ERR(new))
		return (int)PTR_ERR(new);
	imem = new;
	return 0;
}

static void check_instmem(bool done)
{
	assert_int_equal(done, imem != NULL);
}

static void every_failure(void **state)
{
	fail_each(&(struct failing){.name = "object",
				    .error = -ENOMEM,
				    .begin = begin,
				    .act = act,
				    .check = check,
				    .domain = the_domain,
				    .end = end_with_object});
	fail_each(&(struct failing){.name = "instance memory",
				    .error = -ENOMEM,
				    .begin = begin_domain,
				    .act = act_instmem,
				    .check = check_instmem,
				    .domain = the_domain,
				    .end = end});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(objects_have_the_lowest_addresses),
		in_cgroup(bad_objects),
		in_cgroup(area_is_full),
		in_cgroup(not_for_others),
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
