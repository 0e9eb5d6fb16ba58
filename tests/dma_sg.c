/* SPDX-License-Identifier: MIT */
/*
 * Scatter lists, judged by what comes out: the bytes that the device reads along
 * the segments are those of the pieces in order; no segment breaks a rule; and
 * wherever one ends there was a reason for it.
 */
#include <uiommu/iova.h>

#include "tests/dma.h"

#define PIECES 24
#define ROUNDS SCALED(600)

struct list {
	struct scatterlist sg[PIECES];
	unsigned int nents, count;
	uint64_t boundary, max;
	unsigned char *memory;
	size_t bytes;
};

/* Mostly whole pages, so that there is something to join; some pieces are empty. */
static void add_piece(struct rig *rig, struct list *list, uint64_t *random)
{
	uint64_t offset = random_below(random, 3) ? 0 : random_below(random, rig->page);
	uint64_t length = (1 + random_below(random, 3)) * rig->page - offset;
	uint64_t at = random_below(random, list->bytes / rig->page - 3) * rig->page;

	if (!random_below(random, 4))
		length = random_below(random, 3 * rig->page - offset);
	list->sg[list->nents++] = (struct scatterlist){
		.paddr = paddr_of(list->memory) + at + offset,
		.length = length,
		.dma_address = 0xbad,
		.dma_length = 0xbad,
	};
}

static void make_list(struct rig *rig, struct list *list, uint64_t *random)
{
	list->nents = 0;
	for (uint64_t n = 1 + random_below(random, PIECES); n; n--)
		add_piece(rig, list, random);
	list->boundary = rig->page * (1ULL << random_below(random, 5)) - 1;
	if (!random_below(random, 3))
		list->boundary = random_below(random, 2) ? UINT32_MAX : UINT64_MAX;
	list->max = 1 + random_below(random, 12 * rig->page);
	dma_set_seg_boundary(rig->dev, list->boundary);
	dma_set_max_seg_size(rig->dev, (unsigned int)list->max);
}

static uint64_t list_bytes(const struct list *list)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < list->nents; i++)
		sum += list->sg[i].length;
	return sum;
}

static void check_bytes(struct rig *rig, const struct list *list)
{
	size_t bytes = list_bytes(list), done = 0;
	unsigned char *want = malloc(bytes), *got = malloc(bytes);

	for (unsigned int i = 0; i < list->nents; i++) {
		memcpy(want + done, phys_to_virt(list->sg[i].paddr), list->sg[i].length);
		done += list->sg[i].length;
	}
	done = 0;
	for (unsigned int i = 0; i < list->count; i++) {
		const struct scatterlist *s = &list->sg[i];

		assert_true(done + s->dma_length <= bytes);
		assert_int_equal(rig_dma(rig, s->dma_address, got + done, s->dma_length, false),
				 s->dma_length);
		done += s->dma_length;
	}
	assert_int_equal(done, bytes);
	assert_memory_equal(want, got, bytes);
	free(want);
	free(got);
}

static bool crosses(const struct list *list, uint64_t first, uint64_t last)
{
	return (first & ~list->boundary) != (last & ~list->boundary);
}

static uint64_t page_up(const struct rig *rig, uint64_t address)
{
	return (address + rig->page - 1) & -rig->page;
}

/* Why segment @s may end before @piece, which begins segment @next. */
static bool may_end(const struct rig *rig, const struct list *list, const struct scatterlist *s,
		    const struct scatterlist *next, const struct scatterlist *piece)
{
	uint64_t end = s->dma_address + s->dma_length;

	if (end % rig->page || piece->paddr % rig->page)
		return true;
	if (end != next->dma_address)
		return crosses(list, end, page_up(rig, end + piece->length) - 1) &&
		       !(next->dma_address & list->boundary);
	return !(end & list->boundary) || s->dma_length + piece->length > list->max;
}

/* Follow the pieces through the segments. */
static void check_rules(const struct rig *rig, const struct list *list)
{
	unsigned int segment = 0;
	uint64_t done = 0, pieces = 0;
	bool crossed = false;

	for (unsigned int i = 0; i < list->nents; i++) {
		const struct scatterlist *piece = &list->sg[i], *s = &list->sg[segment];

		if (!piece->length)
			continue;
		if (done == s->dma_length) {
			assert_true(may_end(rig, list, s, s + 1, piece));
			s = &list->sg[++segment];
			done = pieces = crossed = 0;
		}
		if (!done)
			assert_int_equal(s->dma_address % rig->page, piece->paddr % rig->page);
		/* A piece that is too long for it as it is, in whole pages. */
		crossed |=
			page_up(rig, piece->paddr % rig->page + piece->length) - 1 > list->boundary;
		done += piece->length;
		pieces++;
		assert_true(done <= s->dma_length);
		if (done < s->dma_length)
			continue;
		if (pieces > 1)
			assert_true(s->dma_length <= list->max);
		if (!crossed)
			assert_false(crosses(list, s->dma_address, s->dma_address + done - 1));
	}
	assert_int_equal(segment + 1, list->count);
	assert_int_equal(done, list->sg[segment].dma_length);
}

/* What the range leaves out is out of reach, and what it had is after it has gone. */
static unsigned int count_reachable(struct rig *rig, uint64_t first, uint64_t last)
{
	unsigned int pages = 0;

	for (uint64_t at = first & -rig->page; at <= last; at += rig->page)
		pages += rig_is_mapped(rig, at);
	return pages;
}

static unsigned int pages_of(const struct rig *rig, const struct list *list)
{
	uint64_t pages = 0;

	for (unsigned int i = 0; i < list->nents; i++)
		if (list->sg[i].length)
			pages += page_up(rig, list->sg[i].paddr % rig->page + list->sg[i].length) /
				 rig->page;
	return (unsigned int)pages;
}

static void one_list(struct rig *rig, struct list *list, uint64_t *random)
{
	uint64_t first, last;

	make_list(rig, list, random);
	list->count = dma_map_sg(rig->dev, list->sg, list->nents, DMA_TO_DEVICE);
	assert_int_equal(list->count != 0, list_bytes(list) != 0);
	if (!list->count)
		return;
	if (list->count < list->nents)
		assert_int_equal(list->sg[list->count].dma_length, 0);
	check_bytes(rig, list);
	check_rules(rig, list);
	first = list->sg[0].dma_address;
	last = list->sg[list->count - 1].dma_address + list->sg[list->count - 1].dma_length - 1;
	assert_int_equal(count_reachable(rig, first, last), pages_of(rig, list));
	/* The way back does not need to know what the rules were. */
	dma_set_seg_boundary(rig->dev, 0xfff);
	dma_set_max_seg_size(rig->dev, 1);
	dma_unmap_sg(rig->dev, list->sg, list->nents, DMA_TO_DEVICE);
	assert_int_equal(count_reachable(rig, first, last), 0);
}

static void segments_follow_the_rules(void **state)
{
	for_each_dma_format(format)
	{
		uint64_t random = 5;
		struct list list;
		uint64_t empty;
		struct rig rig;

		rig_begin(&rig, format);
		list.bytes = 64 * rig.page;
		list.memory = new_memory(list.bytes, &random);
		empty = count_tables(rig.domain);
		for (unsigned int round = 0; round < ROUNDS; round++)
			one_list(&rig, &list, &random);
		assert_int_equal(count_tables(rig.domain), empty);
		assert_int_equal(rig_stale(&rig), 0);
		free(list.memory);
		rig_end(&rig);
	}
}

/* Some that were worked out on paper, with pages of 4 KiB. */
static const struct {
	const char *what;
	unsigned int nents, count;
	uint64_t boundary, max;
	struct {
		uint64_t paddr, length;
	} piece[4];
	uint64_t length[4];
} examples[] = {
	{"whole pages join",
	 3,
	 1,
	 UINT32_MAX,
	 65536,
	 {{0x10000, 0x1000}, {0x30000, 0x2000}, {0x20000, 0x800}},
	 {0x3800}},
	{"up to the longest",
	 3,
	 2,
	 UINT32_MAX,
	 0x2000,
	 {{0x10000, 0x1000}, {0x30000, 0x1000}, {0x20000, 0x1000}},
	 {0x2000, 0x1000}},
	{"not after a part of a page",
	 2,
	 2,
	 UINT32_MAX,
	 65536,
	 {{0x10000, 0x800}, {0x30000, 0x1000}},
	 {0x800, 0x1000}},
	{"not before a part of a page",
	 2,
	 2,
	 UINT32_MAX,
	 65536,
	 {{0x10000, 0x1000}, {0x30800, 0x800}},
	 {0x1000, 0x800}},
	{"an offset at the start",
	 2,
	 1,
	 UINT32_MAX,
	 65536,
	 {{0x10800, 0x800}, {0x30000, 0x1000}},
	 {0x1800}},
	{"at a boundary",
	 4,
	 2,
	 0x1fff,
	 65536,
	 {{0x10000, 0x1000}, {0x30000, 0x1000}, {0x50000, 0x1000}, {0x70000, 0x1000}},
	 {0x2000, 0x2000}},
	{"moved up to a boundary",
	 2,
	 2,
	 0x1fff,
	 65536,
	 {{0x10000, 0x1000}, {0x30000, 0x2000}},
	 {0x1000, 0x2000}},
	{"an empty piece",
	 3,
	 1,
	 UINT32_MAX,
	 65536,
	 {{0x10000, 0x1000}, {0x30800, 0}, {0x20000, 0x1000}},
	 {0x2000}},
};

static void worked_examples(void **state)
{
	for (unsigned int i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct scatterlist sg[4] = {{0}};
		unsigned int nents = examples[i].nents, count;
		struct rig rig;

		rig_begin(&rig, iommu_format_find("vtd"));
		dma_set_seg_boundary(rig.dev, examples[i].boundary);
		dma_set_max_seg_size(rig.dev, (unsigned int)examples[i].max);
		for (unsigned int j = 0; j < nents; j++) {
			sg[j].paddr = examples[i].piece[j].paddr;
			sg[j].length = examples[i].piece[j].length;
		}
		count = dma_map_sg(rig.dev, sg, nents, DMA_BIDIRECTIONAL);
		if (count != examples[i].count)
			fail_msg("%s: %u segments", examples[i].what, count);
		for (unsigned int j = 0; j < count; j++)
			assert_int_equal(sg[j].dma_length, examples[i].length[j]);
		dma_unmap_sg(rig.dev, sg, nents, DMA_BIDIRECTIONAL);
		rig_end(&rig);
	}
}

/*
 * What dma_set_seg_boundary() says of a piece with an offset, for 2^n = 0x2000: the
 * first piece takes a page, which the second one is moved away from if its pages
 * would cross a multiple.
 */
static const struct {
	uint64_t offset, length;
	bool moved, crosses;
} offsets[] = {
	{0, 0x1000, false, false},    {0x400, 0xc00, false, false}, {0x400, 0xc01, true, false},
	{0x800, 0x1800, true, false}, {0x800, 0x1801, true, true},  {0x800, 0x2000, true, true},
	{0xfff, 0x1002, true, true},  {0, 0x2000, true, false},     {0, 0x2001, true, true},
};

static void pieces_with_an_offset(void **state)
{
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct scatterlist sg[2] = {
			{.paddr = 0x20000, .length = 0x1000},
			{.paddr = 0x40000 + offsets[i].offset, .length = offsets[i].length},
		};
		uint64_t at, last;
		struct rig rig;

		rig_begin(&rig, iommu_format_find("vtd"));
		dma_set_seg_boundary(rig.dev, 0x1fff);
		/* Two segments, also where they adjoin. */
		dma_set_max_seg_size(rig.dev, 0x1000);
		assert_int_equal(dma_map_sg(rig.dev, sg, 2, DMA_BIDIRECTIONAL), 2);
		at = sg[1].dma_address;
		last = at + sg[1].dma_length - 1;
		assert_int_equal(sg[0].dma_address % 0x2000, 0);
		assert_int_equal(sg[1].dma_length, offsets[i].length);
		assert_int_equal(at % 0x2000, offsets[i].offset + (offsets[i].moved ? 0 : 0x1000));
		assert_int_equal(at / 0x2000 != last / 0x2000, offsets[i].crosses);
		assert_int_equal(iommu_iova_to_phys(rig.domain, at), sg[1].paddr);
		assert_int_equal(iommu_iova_to_phys(rig.domain, last),
				 sg[1].paddr + offsets[i].length - 1);
		dma_unmap_sg(rig.dev, sg, 2, DMA_BIDIRECTIONAL);
		rig_end(&rig);
	}
}

/* Room for one page only: a list of two fails, and leaves that room. */
static void no_room_leaves_nothing(void **state)
{
	struct scatterlist sg[2] = {{.paddr = 0x10000, .length = 4096},
				    {.paddr = 0x30000, .length = 4096}};
	struct rig rig;
	uint64_t addr;

	rig_begin(&rig, iommu_format_find("vtd"));
	assert_int_equal(dma_set_mask(rig.dev, 0x1fff), 0);
	assert_int_equal(dma_map_sg(rig.dev, sg, 2, DMA_TO_DEVICE), 0);
	assert_int_equal(dma_map_sg(rig.dev, sg, 0, DMA_TO_DEVICE), 0);
	addr = dma_map_page(rig.dev, 0x10000, 0, 4096, DMA_TO_DEVICE);
	assert_int_equal(addr, 0x1000);
	/* A piece that no table can hold, after one that is mapped by then. */
	dma_set_mask(rig.dev, UINT32_MAX);
	dma_set_seg_boundary(rig.dev, 0x1fff);
	sg[1] = (struct scatterlist){.paddr = 1ULL << 60, .length = 8192};
	assert_int_equal(dma_map_sg(rig.dev, sg, 2, DMA_TO_DEVICE), 0);
	dma_unmap_sg(rig.dev, sg, 2, DMA_TO_DEVICE);
	sg[1] = (struct scatterlist){.paddr = ~0ULL, .length = 2};
	assert_int_equal(dma_map_sg(rig.dev, sg, 2, DMA_TO_DEVICE), 0);
	sg[1] = (struct scatterlist){.paddr = 0, .length = SIZE_MAX};
	assert_int_equal(dma_map_sg(rig.dev, sg, 2, DMA_TO_DEVICE), 0);
	dma_unmap_page(rig.dev, addr, 4096, DMA_TO_DEVICE);
	assert_int_equal(count_tables(rig.domain), 1);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_follow_the_rules),
		cmocka_unit_test(worked_examples),
		cmocka_unit_test(pieces_with_an_offset),
		cmocka_unit_test(no_room_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
