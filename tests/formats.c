/* SPDX-License-Identifier: MIT */
/*
 * What each format is like: how it is found, what its tables take, which
 * addresses they reach.
 */
#include "tests/geometry.h"
#include "tests/hw.h"

/* By name, by family and granule: the first that fits, in the order of the list. */
static void formats_are_found(void **state)
{
	const struct iommu_format *format = NULL, *first;

	while ((format = iommu_format_next(format))) {
		assert_int_equal(format->granule, smallest_page(format));
		assert_ptr_equal(iommu_format_find(format->name), format);
		assert_ptr_equal(iommu_format_find_granule(format->name, format->granule), format);
		assert_ptr_equal(iommu_format_find_granule(format->family, format->granule),
				 format);
		first = iommu_format_find_granule(format->family, 0);
		assert_string_equal(first->family, format->family);
		assert_null(iommu_format_find_granule(format->name, 3));
	}
	assert_null(iommu_format_find_granule("no-such-format", 0));
	assert_null(iommu_format_find_granule(NULL, 4096));
	assert_int_equal(iommu_format_find_granule("mock", 0)->granule, 2048);
}

static void widths_are_refused(void **state)
{
	static const struct {
		const char *format;
		unsigned int width;
	} bad[] = {
		{"vtd", 38},      {"vtd", 47},          {"x86_64", 39},       {"amdv1", 65},
		{"arm64-s1", 24}, {"arm64-s1", 49},     {"arm64-s1-16k", 49}, {"arm64-s1-64k", 53},
		{"arm64-s2", 24}, {"arm64-s2-16k", 49}, {"arm64-s2-64k", 53}, {"riscv64", 40},
		{"riscv64", 58},  {"riscv64", 60},      {"s390", 41},         {"s390", 43},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct shape shape = {iommu_format_find(bad[i].format), bad[i].width};
		struct iommu_domain *domain =
			alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);

		assert_true(IS_ERR(domain));
		assert_int_equal(PTR_ERR(domain), -EINVAL);
	}
}

/* The bits that address the first half, where the upper one is what is sign-extended. */
static unsigned int aperture_bits(const struct shape *shape)
{
	bool x4 = is_family(shape->format, "riscv64") && (shape->width - 12) % 9;
	bool is_signed = is_family(shape->format, "x86_64") || is_family(shape->format, "riscv64");

	return shape->width - (is_signed && !x4);
}

static void info_of(struct fixture *f)
{
	struct iommu_domain_info info = domain_info(f->domain);
	unsigned int bits = aperture_bits(&f->shape);

	assert_int_equal(info.type, IOMMU_DOMAIN_UNMANAGED);
	assert_string_equal(info.format, f->shape.format->name);
	assert_int_equal(info.address_width, f->shape.width);
	assert_int_equal(info.aperture_start, 0);
	assert_true(info.aperture_last == (bits < 64 ? 1ULL << bits : 0) - 1);
	/* Sizes that do not fit in the aperture are left out. */
	assert_int_equal(info.pgsizes & ~f->shape.format->pgsizes, 0);
	assert_int_equal(info.pgsizes & -info.pgsizes, f->page);
	assert_ptr_equal(info.owner, f->memcg);
	assert_true(info.root);
	assert_int_equal(info.levels, f->geometry->levels);
	assert_int_equal(info.root & (f->geometry->top - 1), 0);
	assert_int_equal(info.tables[info.levels - 1], 1);
	assert_int_equal(count_tables(f->domain), 1);
	assert_int_equal(info.table_bytes, f->geometry->top);
	assert_true(f->objects > 0 && f->objects < 4096);
	assert_cgroup_has(f->memcg, f->shape.format, f->objects, f->geometry->top);
}

static void info_tells(void **state)
{
	for_each_shape(info_of);
}

static void end_translates(struct fixture *f, uint64_t iova, uint64_t paddr)
{
	uint64_t page = f->page;

	assert_int_equal(iommu_iova_to_phys(f->domain, iova + page - 1), 0);
	assert_int_equal(iommu_map(f->domain, iova, paddr, page, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_iova_to_phys(f->domain, iova), paddr);
	assert_int_equal(iommu_iova_to_phys(f->domain, iova + page - 1), paddr + page - 1);
}

/* The first and the last page, of both halves where there are two. */
static void ends_of_aperture(struct fixture *f)
{
	uint64_t page = f->page, last = domain_info(f->domain).aperture_last;
	bool is_signed = aperture_bits(&f->shape) != f->shape.width;

	end_translates(f, 0, page);
	end_translates(f, last - page + 1, 2 * page);
	if (is_signed) {
		end_translates(f, ~last, 3 * page);
		end_translates(f, -page, 4 * page);
		assert_int_equal(iommu_iova_to_phys(f->domain, ~last - 1), 0);
	}
	if (last != UINT64_MAX)
		assert_int_equal(iommu_iova_to_phys(f->domain, last + 1), 0);
	for (unsigned int half = 0; half <= is_signed; half++) {
		assert_int_equal(iommu_unmap(f->domain, half ? ~last : 0, page), page);
		assert_int_equal(iommu_unmap(f->domain, half ? -page : last - page + 1, page),
				 page);
	}
}

static void ends_translate(void **state)
{
	for_each_shape(ends_of_aperture);
}

/* A page has a table of every level, each as large as the format has it. */
static void one_page_costs(struct fixture *f)
{
	uint64_t bytes = 0, page = f->page;

	for (unsigned int level = 0; level < f->geometry->levels; level++)
		bytes += table_bytes(f->geometry, level);
	assert_int_equal(iommu_map(f->domain, 3 * page, page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(domain_info(f->domain).table_bytes, bytes);
	assert_int_equal(count_tables(f->domain), f->geometry->levels);
	assert_cgroup_has(f->memcg, f->shape.format, f->objects, bytes);
	assert_int_equal(iommu_unmap(f->domain, 3 * page, page), page);
	assert_cgroup_has(f->memcg, f->shape.format, f->objects, f->geometry->top);
}

/* With the leaves that only a domain has which asks for them. */
static void segments_of_s390(void **state)
{
	struct iommu_domain_params params = {.format = "s390", .pgsizes = 0x101000};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	const uint64_t mib = 1 << 20;

	assert_false(IS_ERR(domain));
	assert_int_equal(domain_info(domain).pgsizes, params.pgsizes);
	assert_int_equal(iommu_map(domain, 3 * mib, 7 * mib, mib, RW, GFP_KERNEL), 0);
	assert_int_equal(domain_info(domain).tables[0], 0);
	assert_int_equal(iommu_iova_to_phys(domain, 4 * mib - 1), 8 * mib - 1);
	assert_int_equal(iommu_unmap(domain, 3 * mib, 4096), mib);
	assert_int_equal(iommu_map(domain, 3 * mib, 7 * mib, mib, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_split_mapping(domain, 3 * mib + 4096, 4096, GFP_KERNEL), 0);
	assert_int_equal(domain_info(domain).tables[0], 1);
	assert_int_equal(iommu_unmap(domain, 3 * mib + 4096, 4096), 4096);
	assert_int_equal(iommu_iova_to_phys(domain, 3 * mib + 4096), 0);
	assert_int_equal(iommu_iova_to_phys(domain, 4 * mib - 1), 8 * mib - 1);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

/* The size that hardware sees at an address, as a log2; 0 where nothing is mapped. */
static unsigned int leaf_lg2(struct iommu_domain *domain, uint64_t iova)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct hw_translation translation;

	return hw_translate(&tables, iova, 0, &translation) ? 0 : translation.size_lg2;
}

/* Every power of two but 512 GiB, which is two leaves of 256 GiB. */
static void sizes_of_amdv1(void **state)
{
	struct iommu_domain_params params = {.format = "amdv1"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	assert_false(IS_ERR(domain));
	for (unsigned int lg2 = 12; lg2 < 52; lg2++) {
		uint64_t size = 1ULL << lg2, paddr = lg2 < 51 ? size : 0;
		unsigned int leaf = lg2 == 39 ? 38 : lg2;

		assert_int_equal(iommu_map(domain, size, paddr, size, RW, GFP_KERNEL), 0);
		assert_int_equal(leaf_lg2(domain, size), leaf);
		assert_int_equal(leaf_lg2(domain, 2 * size - 1), leaf);
		assert_int_equal(iommu_iova_to_phys(domain, 2 * size - 1), paddr + size - 1);
		assert_int_equal(iommu_unmap(domain, size, 4096), 1ULL << leaf);
		if (leaf != lg2)
			assert_int_equal(iommu_unmap(domain, size + size / 2, 4096), size / 2);
		assert_int_equal(count_tables(domain), 1);
	}
	iommu_domain_free(domain);
}

/* Half a tebibyte before, behind and between leaves of 1 TiB, and askew of them. */
static void half_tebibytes(void **state)
{
	static const struct {
		unsigned int iova, paddr, size; /* in halves of 1 TiB */
		unsigned int leaf[4];           /* log2, of each half */
	} maps[] = {
		{1, 1, 1, {38}},
		{1, 1, 3, {38, 40, 40}},
		{2, 2, 3, {40, 40, 38}},
		{2, 1, 2, {38, 38}},
		{1, 2, 3, {38, 38, 38}},
		{1, 3, 4, {38, 40, 40, 38}},
		{4, 4, 4, {41, 41, 41, 41}},
		{6, 6, 3, {40, 40, 38}},
	};
	const uint64_t half = 1ULL << 39;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		struct iommu_domain_params params = {.format = "amdv1"};
		struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
		uint64_t iova = maps[i].iova * half, size = maps[i].size * half;

		assert_int_equal(
			iommu_map(domain, iova, maps[i].paddr * half, size, RW, GFP_KERNEL), 0);
		for (unsigned int k = 0; k < maps[i].size; k++)
			assert_int_equal(leaf_lg2(domain, iova + k * half), maps[i].leaf[k]);
		assert_int_equal(leaf_lg2(domain, iova + size), 0);
		assert_int_equal(iommu_unmap(domain, iova, size), size);
		assert_int_equal(count_tables(domain), 1);
		iommu_domain_free(domain);
	}
}

/*
 * Both items of 1 TiB become tables when it is split, since neither can be a leaf; each
 * allocation of that may fail, and then nothing has changed.
 */
static void tebibyte_is_split(void **state)
{
	const uint64_t tib = 1ULL << 40, page = 4096;
	struct iommu_domain_params params = {.format = "amdv1"};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	uint64_t before;
	unsigned int nth = 0;
	int ret;

	assert_false(IS_ERR(domain));
	assert_int_equal(iommu_map(domain, tib, tib, tib, RW, GFP_KERNEL), 0);
	before = mem_cgroup_usage(memcg);
	do {
		assert_int_equal(leaf_lg2(domain, tib), 40);
		assert_int_equal(mem_cgroup_usage(memcg), before);
		uiommu_fail_nth(++nth, false);
		ret = iommu_split_mapping(domain, tib + page, tib - page, GFP_KERNEL);
	} while (uiommu_fail_nth(0, false) && ret == -ENOMEM);
	assert_int_equal(ret, 0);
	assert_int_equal(nth, 5); /* tables of levels 2, 1, 0 and 2 */
	assert_int_equal(leaf_lg2(domain, tib), 12);
	assert_int_equal(leaf_lg2(domain, tib + page), 12);
	assert_int_equal(leaf_lg2(domain, 2 * tib - 1), 38);
	assert_int_equal(iommu_unmap(domain, tib + page, tib - page), tib - page);
	assert_int_equal(iommu_iova_to_phys(domain, tib), tib);
	assert_int_equal(iommu_unmap(domain, tib, page), page);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

/* The level has no leaves at all where 1 TiB is not allowed. */
static void sizes_without_tebibytes(void **state)
{
	struct iommu_domain_params params = {.format = "amdv1", .pgsizes = 0x68040001000};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	assert_false(IS_ERR(domain));
	assert_int_equal(domain_info(domain).pgsizes, 0x40001000);
	assert_int_equal(iommu_map(domain, 1ULL << 42, 0, 1ULL << 42, RW, GFP_KERNEL), 0);
	assert_int_equal(leaf_lg2(domain, 1ULL << 42), 30);
	iommu_domain_free(domain);
}

/* "4K" as a log2. */
static unsigned int size_lg2(const char **text)
{
	unsigned long number = strtoul(*text, (char **)text, 10);
	const char *unit = strchr("KMGTP", **text);

	if (!number || !unit || !*unit)
		fail_msg("no size: %s", *text);
	(*text)++;
	return (unsigned int)__builtin_ctzl(number) + 10 * (unsigned int)(1 + unit - "KMGTP");
}

/* Bits for "4K, 2M", or for "4K to 2P but 512G". */
static uint64_t listed_sizes(const char *text)
{
	uint64_t sizes = 0;

	while (*text) {
		bool up_to = !strncmp(text, "to ", 3), but = !strncmp(text, "but ", 4);
		unsigned int lg2;

		text += up_to ? 3 : but ? 4 : 0;
		lg2 = size_lg2(&text);
		for (uint64_t size = 1ULL << lg2; up_to && !(sizes & size); size >>= 1)
			sizes |= size;
		sizes = but ? sizes & ~(1ULL << lg2) : sizes | 1ULL << lg2;
		text += strspn(text, ", ");
	}
	return sizes;
}

/* The widths of "39, 48, 57", or of "25 to 48": bit n - 1 for n. */
static uint64_t listed_widths(const char *text)
{
	uint64_t found = 0;

	while (*text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (!strncmp(end, " to ", 4))
			last = strtoul(end + 4, &end, 10);
		assert_true(first >= 1 && last <= 64);
		for (unsigned long width = first; width <= last; width++)
			found |= UINT64_C(1) << (width - 1);
		text = end + strspn(end, ", ");
	}
	return found;
}

/* The next cell of a row, without the blanks around it. */
static char *next_cell(char **row)
{
	char *cell = *row + strspn(*row, "| "), *end = strchr(cell, '|');

	assert_non_null(end);
	*row = end;
	while (end > cell && end[-1] == ' ')
		end--;
	**row = 0;
	(*row)++;
	*end = 0;
	return cell;
}

static void compare_row(const struct iommu_format *format, char *row)
{
	uint64_t leaves = listed_sizes(next_cell(&row)), asked = 0, usual = format->pgsizes;
	char *cell = row + strspn(row, " ");
	uint64_t widths;

	if (*cell != '|')
		asked = listed_sizes(next_cell(&row));
	else
		row = cell;
	widths = listed_widths(next_cell(&row));
	if (format->pgsizes_default)
		usual = format->pgsizes_default;
	assert_true(leaves == usual);
	assert_true((leaves | asked) == format->pgsizes);
	for (unsigned int width = 1; width <= 64; width++) {
		struct shape shape = {format, width};
		struct iommu_domain *domain =
			alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
		bool is_there = !IS_ERR(domain);

		if (is_there != (widths >> (width - 1) & 1))
			fail_msg("%s, %u bits: not as docs/formats.md has it", format->name, width);
		if (is_there)
			iommu_domain_free(domain);
	}
}

/* The first table of docs/formats.md has each format's leaves and widths. */
static void documents_agree(void **state)
{
	const char *path = getenv("FORMATS_MD");
	FILE *file = path ? fopen(path, "r") : NULL;
	unsigned int rows = 0, formats = 0;
	char line[1024];

	if (!path)
		skip();
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) && strncmp(line, "### By", 6)) {
		const struct iommu_format *format;
		char *row = line, *name;

		if (strncmp(line, "| `", 3))
			continue;
		name = next_cell(&row) + 1;
		name[strlen(name) - 1] = 0;
		format = iommu_format_find(name);
		assert_non_null(format);
		compare_row(format, row);
		rows++;
	}
	fclose(file);
	for (const struct iommu_format *format = NULL; (format = iommu_format_next(format));)
		formats++;
	assert_int_equal(rows, formats);
}

static void tables_cost(void **state)
{
	for_each_shape(one_page_costs);
}

/* Physical addresses are refused from the first on that an item cannot hold. */
static void paddr_bound(struct fixture *f)
{
	unsigned int bits = paddr_bits(f->shape.format);
	uint64_t page = f->page, end = bits < 64 ? 1ULL << bits : 0;

	assert_int_equal(iommu_map(f->domain, page, end - page, page, RW, GFP_KERNEL), 0);
	assert_true(iommu_iova_to_phys(f->domain, 2 * page - 1) == end - 1);
	assert_int_equal(iommu_unmap(f->domain, page, page), page);
	if (end) {
		assert_int_equal(iommu_map(f->domain, page, end, page, RW, GFP_KERNEL), -ERANGE);
		assert_int_equal(iommu_map(f->domain, page, end - page, 2 * page, RW, GFP_KERNEL),
				 -ERANGE);
		assert_int_equal(iommu_map(f->domain, page, -page, page, RW, GFP_KERNEL), -ERANGE);
	}
	assert_int_equal(count_tables(f->domain), 1);
}

static void paddr_bounds(void **state)
{
	for_each_shape(paddr_bound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_found), cmocka_unit_test(widths_are_refused),
		cmocka_unit_test(info_tells),        cmocka_unit_test(ends_translate),
		cmocka_unit_test(tables_cost),       cmocka_unit_test(paddr_bounds),
		cmocka_unit_test(segments_of_s390),  cmocka_unit_test(sizes_of_amdv1),
		cmocka_unit_test(half_tebibytes),    cmocka_unit_test(sizes_without_tebibytes),
		cmocka_unit_test(tebibyte_is_split), cmocka_unit_test(documents_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
