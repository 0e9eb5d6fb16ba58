/* SPDX-License-Identifier: MIT */
/*
 * IO address spaces against a model that knows no trees: lists of areas, searched
 * from end to end. Random calls on two of them, with domains and accesses that
 * come and go, bad memory, RLIMIT_MEMLOCK and failing allocations; after each
 * call every domain must translate, and every page be pinned, as the model says.
 */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/iommufd_model.h"

static void model_drop_pins(struct space *space, uint64_t iova, uint64_t length);

/* ---- map ---- */

static int expect_place(struct space *space, uint64_t iova, uint64_t length)
{
	uint64_t mask = model_alignment(space) - 1;

	if (!length || (length & mask) || (iova & mask))
		return -EINVAL;
	return overlaps(space, iova, length) ? -EEXIST : 0;
}

/* The lowest iova that is as aligned as the kernel makes it, by trying all. */
static int expect_auto(struct space *space, uint64_t uaddr, uint64_t length, uint64_t *iova)
{
	uint64_t alignment = 1, low = uaddr & -uaddr;

	if (length & (model_alignment(space) - 1))
		return -EINVAL;
	while (alignment < length)
		alignment *= 2;
	if (low < alignment)
		alignment = low;
	if (alignment < model_alignment(space))
		return -EINVAL;
	for (uint64_t at = IOVA_BASE; at + length - 1 <= IOVA_LAST; at += HALF) {
		/* the kernel aligns, then ORs the offset in: one of 0 may become one of HALF */
		if (at % alignment || (at | uaddr % PAGE) != at || overlaps(space, at, length))
			continue;
		*iova = at;
		return 0;
	}
	return -ENOSPC;
}

static unsigned int new_group(uint64_t uaddr, uint64_t length, bool writable)
{
	struct group *group = &world.groups[world.nr_groups];

	assert_true(world.nr_groups < MAX_GROUPS);
	*group = (struct group){user_index(uaddr), user_index(uaddr + length - 1), writable, {0}};
	return world.nr_groups;
}

static int expect_fill(struct space *space, unsigned int group, uint64_t uaddr, uint64_t length)
{
	unsigned int locked = model_locked();

	if (uaddr % PAGE & (model_alignment(space) - 1))
		return -EINVAL;
	return has_domain(space) ? model_pin(group, uaddr, length, &locked) : 0;
}

static void act_map(struct space *space)
{
	uint64_t unit = pick(4) ? PAGE : HALF;
	uint64_t uaddr =
		(uintptr_t)world.user + pick(USER_PAGES - 12) * PAGE + pick(PAGE / unit) * unit;
	uint64_t length = (1 + pick(10 * PAGE / unit)) * unit;
	uint64_t iova = IOVA_BASE + pick(IOVA_PAGES - 11) * PAGE + pick(PAGE / unit) * unit,
		 at = iova;
	bool fixed = !space->allowed || pick(2), writable = pick(3);
	int prot = IOMMU_CACHE | IOMMU_READ | (writable ? IOMMU_WRITE : 0);
	unsigned int group;
	int expected, got;

	if (space->nr_areas == MAX_AREAS || world.nr_groups == MAX_GROUPS)
		return;
	uaddr += pick(12) * PAGE;
	while (uaddr + length > (uintptr_t)world.user + USER_PAGES * PAGE)
		uaddr -= PAGE;
	group = new_group(uaddr, length, writable);
	expected = fixed ? expect_place(space, iova, length)
			 : expect_auto(space, uaddr, length, &iova);
	if (!expected)
		expected = expect_fill(space, group, uaddr, length);
	inject();
	got = iopt_map_user_pages(&space->ioas->iopt, &at, uaddr, length, prot,
				  fixed ? IOPT_FIXED : 0);
	if (!judge("map", got, expected))
		return;
	assert_int_equal(at, iova);
	world.nr_groups++;
	space->areas[space->nr_areas++] = (struct area){iova, length, uaddr, prot, group};
}

/* ---- copy ---- */

/* Cut what it takes of the areas of @from into @parts. */
static int expect_parts(struct space *from, uint64_t iova, uint64_t length, struct area *parts,
			unsigned int *nr)
{
	*nr = 0;
	while (length) {
		struct area *area = model_at(from, iova);
		uint64_t offset, take;

		if (!area)
			return -ENOENT;
		offset = iova - area->iova;
		take = area->length - offset < length ? area->length - offset : length;
		parts[*nr] = *area;
		parts[*nr].uaddr += offset;
		parts[(*nr)++].length = take;
		iova += take;
		length -= take;
	}
	return 0;
}

static int expect_copy(struct space *to, struct area *parts, unsigned int nr, uint64_t iova,
		       int prot)
{
	uint64_t mask = model_alignment(to) - 1;
	unsigned int locked = model_locked(), before = to->nr_areas;
	int ret = 0;

	for (unsigned int i = 0; i < nr; i++) {
		parts[i].iova = iova;
		parts[i].prot = prot;
		iova += parts[i].length;
		if ((prot & IOMMU_WRITE) && !world.groups[parts[i].group].writable)
			return -EPERM;
		if (parts[i].uaddr % PAGE & mask)
			return -EINVAL;
	}
	for (unsigned int i = 0; i < nr && !ret && has_domain(to); i++) {
		ret = model_pin(parts[i].group, parts[i].uaddr, parts[i].length, &locked);
		to->areas[to->nr_areas++] = parts[i]; /* the next may share its pages */
	}
	to->nr_areas = before;
	return ret;
}

/* Two areas that meet within a page of @to; the whole may be aligned all the same. */
static bool has_ragged_border(const struct space *to, const struct area *parts, unsigned int nr)
{
	for (unsigned int i = 0; i + 1 < nr; i++)
		if (parts[i].length & (model_alignment(to) - 1))
			return true;
	return false;
}

static void act_copy(struct space *to, struct space *from)
{
	struct area parts[MAX_AREAS], *start;
	uint64_t iova = IOVA_BASE + pick(IOVA_PAGES - 9) * PAGE, length = (1 + pick(16)) * HALF;
	uint64_t source = IOVA_BASE + pick(IOVA_PAGES) * PAGE, at = iova;
	int prot = IOMMU_CACHE | IOMMU_READ | (pick(2) ? IOMMU_WRITE : 0);
	unsigned int nr = 0;
	int expected, got;

	if (to->nr_areas + 17 > MAX_AREAS)
		return;
	if (from->nr_areas && pick(4)) {
		start = &from->areas[pick(from->nr_areas)];
		source = start->iova + pick(2) * (pick(start->length / HALF) * HALF);
	}
	expected = expect_parts(from, source, length, parts, &nr);
	if (has_ragged_border(to, parts, nr))
		return;
	if (!expected)
		expected = expect_place(to, iova, length);
	if (!expected)
		expected = expect_copy(to, parts, nr, iova, prot);
	inject();
	got = iopt_copy(&to->ioas->iopt, &at, &from->ioas->iopt, source, length, prot, IOPT_FIXED);
	if (!judge("copy", got, expected))
		return;
	memcpy(&to->areas[to->nr_areas], parts, nr * sizeof(*parts));
	to->nr_areas += nr;
}

/* ---- unmap ---- */

static void act_unmap(struct space *space)
{
	uint64_t iova = IOVA_BASE + pick(IOVA_PAGES) * PAGE, length = (1 + pick(12)) * PAGE;
	uint64_t expected_bytes = 0, unmapped = 0, cursor;
	int expected = 0;

	if (space->nr_areas && pick(2)) {
		struct area *area = &space->areas[pick(space->nr_areas)];

		iova = area->iova;
		length = area->length;
	} else if (!pick(20)) {
		iova = IOVA_BASE;
		length = IOVA_PAGES * PAGE;
	}
	for (cursor = iova; cursor < iova + length;) {
		struct area *area = model_at(space, cursor), gone;

		if (!area) {
			cursor += HALF / 4;
			continue;
		}
		if (area->iova < iova || area->iova + area->length > iova + length) {
			expected = -ENOENT;
			break;
		}
		gone = *area;
		cursor = gone.iova + gone.length;
		expected_bytes += gone.length;
		model_drop_pins(space, gone.iova, gone.length);
		*area = space->areas[--space->nr_areas];
	}
	uiommu_fail_nth(1, true);
	assert_int_equal(iopt_unmap_iova(&space->ioas->iopt, iova, length, &unmapped), expected);
	judge_no_allocation();
	assert_int_equal(unmapped, expected_bytes);
}

/* ---- accesses ---- */

/* The areas of one pin, as the pages see it. */
static void count_pin(struct space *space, const struct pin *pin, int sign)
{
	struct area parts[MAX_AREAS];
	unsigned int nr;

	assert_int_equal(expect_parts(space, pin->iova, pin->length, parts, &nr), 0);
	for (unsigned int i = 0; i < nr; i++)
		for (uint64_t index = user_index(parts[i].uaddr);
		     index <= user_index(parts[i].uaddr + parts[i].length - 1); index++)
			world.groups[parts[i].group].pins[index] += sign;
}

static void model_drop_pins(struct space *space, uint64_t iova, uint64_t length)
{
	for (unsigned int i = 0; i < space->nr_pins;) {
		struct pin *pin = &space->pins[i];

		if (pin->iova >= iova + length || iova >= pin->iova + pin->length) {
			i++;
			continue;
		}
		count_pin(space, pin, -1);
		*pin = space->pins[--space->nr_pins];
	}
}

/* The model has dropped some already; whatever it no longer has goes. */
static struct pin held[2][MAX_PINS];
static unsigned int nr_held[2];

static void unmap_callback(void *data, uint64_t iova, uint64_t length)
{
	struct space *space = data;
	unsigned int s = space - world.spaces;

	for (unsigned int i = 0; i < nr_held[s];) {
		struct pin *pin = &held[s][i];

		if (pin->iova - iova >= length && iova - pin->iova >= pin->length) {
			i++;
			continue;
		}
		iommufd_access_unpin_pages(space->access, pin->iova, pin->length);
		*pin = held[s][--nr_held[s]];
	}
}

static const struct iommufd_access_ops pin_ops = {.needs_pin_pages = true, .unmap = unmap_callback};

static int expect_pin(struct space *space, struct pin *pin, bool write)
{
	struct area parts[MAX_AREAS];
	unsigned int nr, locked = model_locked();
	int ret = expect_parts(space, pin->iova, pin->length, parts, &nr), order = 0;

	for (unsigned int i = 0; i < nr && !order; i++) {
		if (parts[i].uaddr % PAGE)
			return -EINVAL;
		if (write && !(parts[i].prot & IOMMU_WRITE))
			return -EPERM;
		/* Parts of one range with the same pages twice are left out below. */
		order = model_pin(parts[i].group, parts[i].uaddr, parts[i].length, &locked);
	}
	return order ? order : ret;
}

static bool shares_pages(struct space *space, const struct pin *pin)
{
	struct area parts[MAX_AREAS];
	unsigned int nr;

	expect_parts(space, pin->iova, pin->length, parts, &nr);
	for (unsigned int i = 0; i < nr; i++)
		for (unsigned int k = 0; k < i; k++)
			if (parts[i].group == parts[k].group)
				return true;
	return false;
}

static void act_pin(struct space *space)
{
	struct pin pin = {IOVA_BASE + pick(IOVA_PAGES) * PAGE, (1 + pick(6)) * PAGE};
	unsigned int s = space - world.spaces;
	void *pages[8] = {NULL};
	bool write = pick(2);
	int expected, got;

	if (!space->attached || space->nr_pins == MAX_PINS)
		return;
	if (space->nr_pins && !pick(3))
		pin = space->pins[pick(space->nr_pins)];
	else if (space->nr_areas)
		pin.iova = space->areas[pick(space->nr_areas)].iova;
	if (shares_pages(space, &pin))
		return;
	expected = expect_pin(space, &pin, write);
	inject();
	got = iommufd_access_pin_pages(space->access, pin.iova, pin.length, pages, write);
	if (!judge("pin", got, expected))
		return;
	for (uint64_t i = 0; i < pin.length / PAGE; i++) {
		struct area *area = model_at(space, pin.iova + i * PAGE);

		assert_int_equal((uintptr_t)pages[i],
				 area->uaddr + (pin.iova + i * PAGE - area->iova));
	}
	count_pin(space, &pin, 1);
	space->pins[space->nr_pins++] = pin;
	held[s][nr_held[s]++] = pin;
}

static void act_unpin(struct space *space)
{
	unsigned int s = space - world.spaces, i, k;
	struct pin pin;

	if (!space->nr_pins)
		return;
	i = pick(space->nr_pins);
	pin = space->pins[i];
	for (k = 0; held[s][k].iova != pin.iova || held[s][k].length != pin.length;)
		k++;
	iommufd_access_unpin_pages(space->access, pin.iova, pin.length);
	count_pin(space, &pin, -1);
	held[s][k] = held[s][--nr_held[s]];
	space->pins[i] = space->pins[--space->nr_pins];
}

/* Whether all areas are aligned to @alignment. */
static int expect_alignment(const struct space *space, uint64_t alignment)
{
	for (unsigned int i = 0; i < space->nr_areas; i++) {
		const struct area *area = &space->areas[i];

		if ((area->iova | area->length | (area->uaddr % PAGE)) & (alignment - 1))
			return -EADDRINUSE;
	}
	return 0;
}

static void act_attach(struct space *space)
{
	if (space->attached) {
		model_drop_pins(space, 0, UINT64_MAX);
		uiommu_fail_nth(1, true);
		iommufd_access_detach(space->access);
		judge_no_allocation();
		space->attached = false;
		return;
	}
	inject();
	space->attached = judge("attach", iommufd_access_attach(space->access, space->id),
				expect_alignment(space, PAGE));
}

/* ---- domains ---- */

static int expect_add(struct space *space)
{
	unsigned int locked = model_locked();
	struct area all[MAX_AREAS];
	unsigned int nr = space->nr_areas;
	int ret = 0;

	if (has_domain(space))
		return 0;
	/* In the order of iova: what one pins the next finds pinned. */
	memcpy(all, space->areas, sizeof(all));
	space->domains[0] = (void *)1;
	space->nr_areas = 0;
	for (uint64_t iova = IOVA_BASE; iova <= IOVA_LAST && !ret; iova += HALF / 4)
		for (unsigned int i = 0; i < nr && !ret; i++) {
			if (all[i].iova != iova)
				continue;
			ret = model_pin(all[i].group, all[i].uaddr, all[i].length, &locked);
			space->areas[space->nr_areas++] = all[i];
		}
	memcpy(space->areas, all, sizeof(all));
	space->nr_areas = nr;
	space->domains[0] = NULL;
	return ret;
}

static void act_domain(struct space *space)
{
	unsigned int i = pick(MAX_DOMAINS);
	struct iommu_domain_params params = {.format = pick(2) ? "mock" : "amdv1"};
	uint64_t pgsize = params.format[0] == 'm' ? HALF : PAGE;
	struct iommu_domain *domain;
	int expected;

	if (space->domains[i]) {
		uiommu_fail_nth(1, true);
		iopt_table_remove_domain(&space->ioas->iopt, space->domains[i]);
		for (uint64_t iova = IOVA_BASE; iova < IOVA_LAST; iova += HALF)
			assert_int_equal(iommu_iova_to_phys(space->domains[i], iova), 0);
		iommu_domain_free(space->domains[i]);
		judge_no_allocation();
		space->domains[i] = NULL;
		return;
	}
	domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(domain));
	expected = expect_alignment(space, pgsize > model_alignment(space) ? pgsize : 1);
	if (!expected)
		expected = expect_add(space);
	inject();
	if (judge("add domain", iopt_table_add_domain(&space->ioas->iopt, domain), expected)) {
		space->domains[i] = domain;
		space->pgsizes[i] = pgsize;
	} else {
		assert_int_equal(iommu_iova_to_phys(domain, IOVA_BASE), 0);
		iommu_domain_free(domain);
	}
}

static void act_small(struct space *space)
{
	int expected = expect_alignment(space, PAGE > model_alignment(space) ? PAGE : 1);

	if (space->small) {
		iopt_enable_large_pages(&space->ioas->iopt);
		space->small = false;
		return;
	}
	if (has_domain(space) && space->nr_areas)
		expected = -EINVAL;
	space->small = judge("small", iopt_disable_large_pages(&space->ioas->iopt), expected);
}

static void act_allow(struct space *space)
{
	struct iommu_iova_range range = {IOVA_BASE, IOVA_LAST};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = space->id,
		.num_iovas = !space->allowed,
		.allowed_iovas = (uintptr_t)&range,
	};

	inject();
	if (judge("allow", iommufd_ioctl(world.fd.ctx, IOMMU_IOAS_ALLOW_IOVAS, &cmd), 0))
		space->allowed = !space->allowed;
}

static void act(void)
{
	struct space *space = &world.spaces[pick(2)], *other = &world.spaces[pick(2)];
	uint64_t what = pick(100);

	if (what < 32)
		act_map(space);
	else if (what < 46)
		act_copy(space, other);
	else if (what < 64)
		act_unmap(space);
	else if (what < 76)
		act_domain(space);
	else if (what < 86)
		act_pin(space);
	else if (what < 90)
		act_unpin(space);
	else if (what < 94)
		act_attach(space);
	else if (what < 97)
		act_small(space);
	else
		act_allow(space);
}

/* ---- runs ---- */

/* Without CAP_IPC_LOCK the limit counts. */
static void drop_cap_ipc_lock(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = LIMIT_PAGES * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

static void world_begin(enum iommufd_phys_mode phys, uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	nr_held[0] = nr_held[1] = 0;
	world.seed = seed;
	fd_open_as(&world.fd, (struct iommufd_config){.format = "amdv1", .phys = phys});
	mem_cgroup_set_active(world.fd.memcg);
	world.user = map_aligned(pick(HUGE_PAGES));
	memset(world.user, 1, USER_PAGES * PAGE);
	mprotect(world.user + HOLE_PAGE * PAGE, 2 * PAGE, PROT_NONE);
	mprotect(world.user + CONST_PAGE * PAGE, 2 * PAGE, PROT_READ);
	for (unsigned int s = 0; s < 2; s++) {
		struct space *space = &world.spaces[s];
		uint32_t id;

		space->id = new_ioas(&world.fd);
		space->ioas = iommufd_get_object(world.fd.ctx, space->id, IOMMUFD_OBJ_IOAS);
		space->access = iommufd_access_create(world.fd.ctx, &pin_ops, space, &id);
		assert_false(IS_ERR(space->access));
	}
}

static void world_end(void)
{
	for (unsigned int s = 0; s < 2; s++) {
		struct space *space = &world.spaces[s];

		uiommu_fail_nth(1, true);
		iommufd_access_destroy(space->access);
		for (unsigned int i = 0; i < MAX_DOMAINS; i++)
			if (space->domains[i])
				iopt_table_remove_domain(&space->ioas->iopt, space->domains[i]);
		judge_no_allocation();
		for (unsigned int i = 0; i < MAX_DOMAINS; i++)
			iommu_domain_free(space->domains[i]);
	}
	for (uint64_t index = 0; index < USER_PAGES; index++)
		assert_int_equal(iopt_pages_pin_count((uintptr_t)world.user + index * PAGE), 0);
	mem_cgroup_set_active(NULL);
	fd_close(&world.fd);
	munmap(world.user, (USER_PAGES + 1) * PAGE);
}

static void run(enum iommufd_phys_mode phys, uint64_t seed, unsigned int rounds)
{
	print_message("seed %#lx\n", seed);
	for (unsigned int round = 0; round < rounds; round++) {
		world_begin(phys, seed + round);
		for (unsigned int i = 0; i < 400; i++) {
			act();
			check_world();
		}
		world_end();
	}
}

static void identity(void **state)
{
	run(IOMMUFD_PHYS_IDENTITY, 0x10fd1, 30);
}

static void scattered(void **state)
{
	run(IOMMUFD_PHYS_SCATTERED, 0x10fd2, 15);
}

static void automatic(void **state)
{
	run(IOMMUFD_PHYS_AUTO, 0x10fd3, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(scattered),
		cmocka_unit_test(automatic),
	};

	drop_cap_ipc_lock();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
