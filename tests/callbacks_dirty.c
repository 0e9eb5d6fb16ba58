/* SPDX-License-Identifier: MIT */
/*
 * What is told of dirty ranges may call the library, also change the tables that are
 * being read. Each range that it is told of must be mapped and dirty at that moment,
 * each that was dirty before and is still mapped must be told of, and what the callback
 * itself has written to is reported by this read or the next.
 */
#include "tests/callbacks.h"

#define MOST_PAGES 8192
#define PIECES     16 /* ranges of 4 pages that adjoin */

enum {
	CLEAN,
	DIRTY, /* before the read */
	LATE   /* written to by a callback */
};

static struct {
	struct stage stage;
	uint8_t dirty[MAX_RANGES][MOST_PAGES];
	unsigned int first_piece;
	void (*act)(struct stage *s);
	const char *name;
	unsigned int nth, countdown; /* reports before it acts */
	bool no_clear, inside;
	uint64_t next; /* the next report is not below */
} t;

static bool is_in(unsigned int i, uint64_t iova)
{
	const struct range *range = &t.stage.ranges[i];

	return range->mapped && range->domain == t.stage.domain && iova - range->iova < range->size;
}

static uint8_t *state_of(uint64_t iova)
{
	static unsigned int last; /* mostly it is the same again */
	unsigned int i = 0;

	if (!is_in(last, iova)) {
		while (i < t.stage.nr_ranges && !is_in(i, iova))
			i++;
		if (i == t.stage.nr_ranges)
			return NULL;
		last = i;
	}
	return &t.dirty[last][(iova - t.stage.ranges[last].iova) / t.stage.page];
}

/* As hardware does; of a large entry all is dirty then. */
static void write_to(uint64_t iova, uint8_t state)
{
	uint8_t *now = state_of(iova);

	assert_int_equal(iommu_mark_dirty(t.stage.domain, iova), now != NULL);
	if (now && *now == CLEAN)
		*now = state;
}

static void write_large(unsigned int i, uint8_t state)
{
	struct range *range = &t.stage.ranges[i];
	uint64_t pages = range->size / t.stage.page;
	bool is_large = domain_info(t.stage.domain).pgsizes & range->size && !range->split;

	if (!range->mapped)
		return;
	write_to(range->iova, state);
	for (uint64_t at = 1; is_large && at < pages; at++)
		if (t.dirty[i][at] == CLEAN)
			t.dirty[i][at] = state;
}

static void told(uint64_t first, uint64_t last)
{
	for (uint64_t at = first; at <= last && at >= first; at += t.stage.page) {
		uint8_t *state = state_of(at);

		assert_non_null(state);
		assert_int_not_equal(*state, CLEAN);
		if (!t.no_clear)
			*state = CLEAN;
		else if (*state == DIRTY)
			*state = LATE; /* told of */
	}
}

static void record(void *context, dma_addr_t iova, dma_addr_t last)
{
	assert_true(iova >= t.next && last >= iova);
	assert_int_equal((iova | (last + 1)) % t.stage.page, 0);
	t.next = last + 1;
	told(iova, last);
	if (!t.countdown || --t.countdown)
		return;
	t.inside = true;
	t.act(&t.stage);
	t.inside = false;
}

static void read_all(void (*tell)(void *context, dma_addr_t iova, dma_addr_t last))
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {.record = tell, .gather = &gather};

	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_read_and_clear_dirty(t.stage.domain, 0, t.stage.last,
						    t.no_clear ? IOMMU_DIRTY_NO_CLEAR : 0, &dirty),
			 0);
	iommu_iotlb_sync(t.stage.domain, &gather);
}

/* ---- acts, besides those of all callbacks ---- */

static void tell_nested(void *context, dma_addr_t iova, dma_addr_t last)
{
	told(iova, last);
}

static void read_nested(struct stage *s)
{
	read_all(tell_nested);
}

static void unmap_pieces(struct stage *s, unsigned int from, unsigned int step)
{
	for (unsigned int i = from; i < PIECES; i += step) {
		memset(t.dirty[t.first_piece + i], CLEAN, MOST_PAGES);
		range_unmap(&s->ranges[t.first_piece + i]);
	}
}

static void unmap_some_pieces(struct stage *s)
{
	unmap_pieces(s, 1, 2);
}

static void unmap_all_pieces(struct stage *s)
{
	unmap_pieces(s, 0, 1);
}

static void write_pieces(struct stage *s)
{
	for (unsigned int i = 0; i < PIECES; i++)
		write_to(s->ranges[t.first_piece + i].iova + s->page, LATE);
}

static void renew_pieces(struct stage *s)
{
	unmap_all_pieces(s);
	for (unsigned int i = 0; i < PIECES; i++)
		range_map(s, &s->ranges[t.first_piece + i]);
}

static void renew_and_write_pieces(struct stage *s)
{
	renew_pieces(s);
	write_pieces(s);
}

/* One entry of a run, where the format has them, in the place of some pieces. */
static void join_pieces(struct stage *s)
{
	struct range *range;

	unmap_all_pieces(s);
	range = range_new(s, s->domain, s->ranges[t.first_piece].iova, 64 * s->page, 64 * s->page);
	range_map(s, range);
}

/* The same; it is dirty also where the read has been. */
static void join_and_write_pieces(struct stage *s)
{
	struct range *range;

	join_pieces(s);
	range = &s->ranges[s->nr_ranges - 1];
	for (unsigned int i = 0; i < 64; i++)
		write_to(range->iova + i * s->page, LATE);
}

/* A large one instead of a full table, dirty as a whole. */
static void enlarge_full(struct stage *s)
{
	struct range *range;

	if (s->at.sparse)
		return;
	memset(t.dirty[FULL], CLEAN, MOST_PAGES);
	unmap_full(s);
	range = range_new(s, s->domain, s->base + 4 * s->unit, 4 * s->unit, s->unit);
	range_map(s, range);
	write_large(s->nr_ranges - 1, LATE);
}

static void renew_full(struct stage *s)
{
	memset(t.dirty[FULL], CLEAN, MOST_PAGES);
	unmap_full(s);
	if (!s->at.sparse)
		range_map(s, &s->ranges[FULL]);
	for (unsigned int i = 0; i < 3 && !s->at.sparse; i++)
		write_to(s->ranges[FULL].iova + 50 * i * s->page, LATE);
}

static void write_more(struct stage *s)
{
	write_large(LARGE, LATE);
	write_large(LARGE2, LATE);
	write_to(s->ranges[SECOND].iova, LATE);
	write_to(s->base, LATE);
}

static const struct {
	const char *name;
	void (*run)(struct stage *s);
} own_acts[] = {
	{"read", read_nested},
	{"unmap some pieces", unmap_some_pieces},
	{"unmap all pieces", unmap_all_pieces},
	{"write to pieces", write_pieces},
	{"renew pieces", renew_pieces},
	{"renew pieces, write to them", renew_and_write_pieces},
	{"join pieces", join_pieces},
	{"join pieces, write to them", join_and_write_pieces},
	{"renew a full table", renew_full},
	{"enlarge a full table", enlarge_full},
	{"write", write_more},
};

#define NR_OWN (sizeof(own_acts) / sizeof(own_acts[0]))

/* ---- one run ---- */

static void begin(const struct setting *at)
{
	struct stage *s = &t.stage;

	stage_begin(s, at);
	memset(t.dirty, CLEAN, sizeof(t.dirty));
	assert_int_equal(iommu_set_dirty_tracking(s->domain, true), 0);
	t.first_piece = s->nr_ranges;
	for (unsigned int i = 0; i < PIECES; i++)
		map_at(s, s->domain, s->base + 15 * s->unit + 4 * i * s->page, 4 * s->page);
	for (unsigned int i = 0; i < 4 * PIECES; i++)
		if (i % 3 != 1)
			write_to(s->base + 15 * s->unit + i * s->page, DIRTY);
	write_to(s->base, DIRTY);
	if (at->sparse)
		return;
	for (unsigned int i = 0; i < s->unit / s->page; i += i % 16 ? 1 : 3)
		write_to(s->ranges[FULL].iova + i * s->page, DIRTY);
	write_large(LARGE, DIRTY);
	write_large(LARGE2, DIRTY);
	write_to(s->ranges[SECOND].iova, DIRTY);
	write_to(s->ranges[FAR].iova, DIRTY);
}

static void check_states(uint8_t worst)
{
	const struct stage *s = &t.stage;

	for (unsigned int i = 0; i < s->nr_ranges; i++) {
		uint64_t pages = s->ranges[i].size / s->page;

		if (!s->ranges[i].mapped || s->ranges[i].domain != s->domain)
			continue;
		for (uint64_t at = 0; at < pages; at++)
			if (t.dirty[i][at] != CLEAN && t.dirty[i][at] != worst)
				fail_msg("range %u, page %u is in state %u", i, (unsigned int)at,
					 t.dirty[i][at]);
	}
}

/* Whether the callback acted. */
static bool run_once(const struct setting *at, bool no_clear)
{
	bool acted;

	begin(at);
	t.no_clear = no_clear;
	t.countdown = t.nth;
	t.next = 0;
	read_all(record);
	acted = !t.countdown;
	t.countdown = 0;
	check_states(LATE);
	t.no_clear = false;
	t.next = 0;
	read_all(record);
	check_states(CLEAN);
	stage_check(&t.stage);
	stage_end(&t.stage);
	return acted;
}

static bool is_usable(const struct setting *at)
{
	struct iommu_domain *domain = alloc_domain(&at->shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	bool tracks = iommu_domain_tracks_dirty(domain);

	iommu_domain_free(domain);
	return tracks && setting_is_possible(at);
}

static void each_report(const struct setting *at, bool no_clear)
{
	/* The later ones are in the long row of a full table. */
	for (t.nth = 1; run_once(at, no_clear) && t.nth < 200; t.nth += t.nth < 10 ? 1 : 61)
		;
}

static void records_act(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count * 4; i++) {
		struct setting at = {shapes[i / 4], i & 1, i & 2};

		if (!setting_is_chosen(i) || !is_usable(&at))
			continue;
		for (unsigned int act = 0; act < NR_OWN + NR_ACTS; act++) {
			if (act >= NR_OWN && acts[act - NR_OWN].run == use_dirty_bits)
				continue;
			t.act = act < NR_OWN ? own_acts[act].run : acts[act - NR_OWN].run;
			t.name = act < NR_OWN ? own_acts[act].name : acts[act - NR_OWN].name;
			each_report(&at, false);
			if (at.sparse)
				each_report(&at, true);
		}
	}
	t.name = NULL;
}

static int after_test(void **state)
{
	const struct setting *at = &t.stage.at;

	if (t.name)
		print_message("# %s, %u bits, %s%s, %s: in report %u: %s\n", at->shape.format->name,
			      at->shape.width, at->middle ? "middle" : "start",
			      at->sparse ? ", sparse" : "", t.no_clear ? "look" : "clear", t.nth,
			      t.name);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(records_act, after_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
