/* SPDX-License-Identifier: MIT */
/*
 * Where a machine's memory lies, as QEMU's hw/i386/pc*.c, hw/i386/microvm.c,
 * hw/arm/virt.c and hw/riscv/virt.c place it. tests/size_qemu.py compares it with
 * what a QEMU says.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/guest.h"

/* What the layout of a machine depends on, besides the guest. */
struct plan {
	const struct guest *guest;
	const struct iommu_format *format;
	uint64_t granule;
	uint64_t base;  /* of RAM, or of the lower part of it */
	uint64_t below; /* bytes of RAM from @base on */
	uint64_t high;  /* where the rest is */
	uint64_t plugs; /* where memory devices are */
	struct {
		uint64_t start, end; /* where BARs are */
	} pci;
	struct guest_ranges *out;
};

static uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & -align;
}

uint64_t guest_page_bytes(const struct guest *guest, const struct iommu_format *format,
			  uint64_t page)
{
	uint64_t granule = format->granule;

	if (!page)
		page = guest->ordinary;
	/* A table of pages spans a huge page: 2M for 4K pages, 32M for 16K, 512M for 64K. */
	if (page == GUEST_HUGE)
		page = granule * (granule / 8);
	return page > granule ? page : granule;
}

static uint64_t page_bytes(const struct plan *plan, uint64_t page)
{
	return guest_page_bytes(plan->guest, plan->format, page);
}

/*
 * Add the whole pages of @bytes at @iova. Their memory begins @offset bytes after a
 * multiple of @page.
 */
static void add_range(struct plan *plan, const char *what, uint64_t iova, uint64_t bytes,
		      uint64_t page, uint64_t offset, enum guest_when when)
{
	uint64_t first = round_up(iova, plan->granule), skew = iova - offset;
	uint64_t end = (iova + bytes) & -plan->granule;
	struct guest_range *range;

	if (first >= end)
		return;
	/* No leaf is larger than the distance between the two addresses allows. */
	if (skew && (skew & -skew) < page)
		page = skew & -skew;
	plan->out->ranges =
		realloc(plan->out->ranges, (plan->out->nr + 1) * sizeof(*plan->out->ranges));
	if (!plan->out->ranges)
		out_of_memory();
	range = &plan->out->ranges[plan->out->nr++];
	*range = (struct guest_range){.what = what,
				      .iova = first,
				      .bytes = end - first,
				      .backing = page > plan->granule ? page : plan->granule,
				      .when = when};
}

/* Add the RAM from @offset on, at @iova: a range for each part that backs it. */
static void add_ram(struct plan *plan, uint64_t iova, uint64_t offset, uint64_t bytes)
{
	const struct guest_part *part = plan->guest->parts;
	uint64_t start = 0;

	for (; bytes; start += part->bytes, part++) {
		uint64_t inside = offset - start, here = part->bytes - inside;

		if (inside >= part->bytes)
			continue;
		if (here > bytes)
			here = bytes;
		add_range(plan, "RAM", iova, here, page_bytes(plan, part->page), inside,
			  WHEN_STARTED);
		iova += here;
		offset += here;
		bytes -= here;
	}
}

/* ---- boards ---- */

/* The most RAM that a PC has below 4 GiB. */
static uint64_t low_limit(const struct guest *guest)
{
	uint64_t max = guest->max_below_4g;

	switch (guest->board) {
	case BOARD_MICROVM:
		return 3 * GIB;
	case BOARD_PC:
		if (!max)
			max = 0xe0000000;
		return guest->ram >= max && max > 3 * GIB && !guest->old_split ? 3 * GIB : max;
	default:
		if (!max)
			max = 4 * GIB;
		if (guest->ram < 0xb0000000)
			return max < 0xb0000000 ? max : 0xb0000000;
		return max < 2 * GIB ? max : 2 * GIB;
	}
}

static uint64_t plugged_space(const struct guest *guest)
{
	if (guest->max_ram == guest->ram)
		return 0;
	return guest->max_ram - guest->ram + guest->slots * GIB;
}

/*
 * With an AMD vCPU, what would extend to the addresses of HyperTransport below 1 TiB is
 * placed at 1 TiB (QEMU 7.1). The 64-bit PCI window counts.
 */
static bool above_1t(const struct plan *plan)
{
	const struct guest *guest = plan->guest;
	uint64_t end = 4 * GIB + guest->ram - plan->below, window = guest->pci_hole64;
	bool amd = guest->vendor == VENDOR_AMD ||
		   (guest->vendor == VENDOR_HOST && !strcmp(plan->format->family, "amdv1"));

	if (!window)
		window = guest->board == BOARD_Q35 ? 32 * GIB : 2 * GIB;
	end = round_up(end, GIB) + plugged_space(guest);
	return amd && !guest->keeps_below_1t &&
	       (guest->board == BOARD_Q35 || guest->board == BOARD_PC) &&
	       round_up(end, GIB) + window > 0xfd00000000;
}

static void plan_board(struct plan *plan)
{
	const struct guest *guest = plan->guest;

	plan->below = guest->ram;
	plan->high = 4 * GIB;
	plan->pci.start = 0xc0000000;
	plan->pci.end = guest->board == BOARD_MICROVM ? 0xd0000000 : 0xfec00000;
	switch (guest->board) {
	case BOARD_ARM:
		plan->base = GIB;
		plan->pci.start = 0x10000000;
		plan->pci.end = 0x3eff0000;
		plan->plugs = round_up(plan->base + guest->ram, GIB);
		return;
	case BOARD_RISCV:
		plan->base = 2 * GIB;
		plan->pci.start = GIB;
		plan->pci.end = 2 * GIB;
		return;
	default:
		if (plan->below > low_limit(guest))
			plan->below = low_limit(guest);
		plan->out->above_1t = above_1t(plan);
		if (plan->out->above_1t)
			plan->high = 1024 * GIB;
		plan->plugs = round_up(plan->high + guest->ram - plan->below, GIB);
	}
}

static void lay_board(struct plan *plan)
{
	const struct guest *guest = plan->guest;

	if (guest->board == BOARD_RISCV)
		add_range(plan, "boot ROM", 0x1000, 0xf000, page_bytes(plan, 0), 0, WHEN_STARTED);
	if (guest->vga) {
		add_ram(plan, 0, 0, 0xa0000);
		add_ram(plan, 0xc0000, 0xc0000, plan->below - 0xc0000);
	} else {
		add_ram(plan, plan->base, 0, plan->below);
	}
	add_ram(plan, plan->high, plan->below, guest->ram - plan->below);
}

/* ---- PCI memory ---- */

/* BARs that lie together, with the largest first. */
struct window {
	struct guest_bar *bars;
	size_t nr;
	uint64_t total, largest;
};

static int larger_first(const void *a, const void *b)
{
	const struct guest_bar *x = a, *y = b;

	return (x->span < y->span) - (x->span > y->span);
}

static void window_add(struct window *window, const struct guest_bar *bar)
{
	window->bars[window->nr++] = *bar;
	window->total += bar->span;
	if (bar->span > window->largest)
		window->largest = bar->span;
}

/* Place the BARs of a window one after another, the first at a multiple of the largest. */
static void window_lay(struct plan *plan, struct window *window, uint64_t at)
{
	qsort(window->bars, window->nr, sizeof(*window->bars), larger_first);
	for (size_t i = 0; i < window->nr; i++) {
		const struct guest_bar *bar = &window->bars[i];

		add_range(plan, bar->name, at, bar->bytes, page_bytes(plan, bar->page), 0,
			  bar->when);
		at += bar->span;
	}
}

/* Let a window end at or below @end. Returns its start. */
static uint64_t window_below(struct plan *plan, struct window *window, uint64_t end)
{
	uint64_t at = (end - window->total) & -window->largest;

	window_lay(plan, window, at);
	return at;
}

/* Sort BARs into prefetchable ones, others, and those that must lie above 4 GiB. */
static void fill_windows(const struct plan *plan, struct window windows[3])
{
	/* One of the ROMs: the firmware reads one after the other. */
	static const struct guest_bar rom = {
		.name = "option ROM", .bytes = 256 * KIB, .span = 256 * KIB, .when = WHEN_FIRMWARE};
	const struct guest *guest = plan->guest;
	uint64_t total = MIB;

	for (size_t i = 0; i < guest->nr_bars; i++)
		total += guest->bars[i].span;
	for (size_t i = 0; i < guest->nr_bars; i++) {
		const struct guest_bar *bar = &guest->bars[i];
		bool above = bar->wide && total > plan->pci.end - plan->pci.start;

		window_add(&windows[above ? 2 : bar->prefetch ? 0 : 1], bar);
	}
	if (guest->option_rom)
		window_add(&windows[1], &rom);
	windows[1].total += 768 * KIB; /* registers and other ROMs */
}

/*
 * As in SeaBIOS: of the two windows below 4 GiB, the one with the larger BARs is below
 * the other one, which ends where the chip set's registers begin. If they do not fit,
 * 64-bit BARs are placed above all memory. Other firmware uses other addresses, but
 * usually as many tables.
 */
static void lay_pci(struct plan *plan)
{
	const struct guest *guest = plan->guest;
	struct guest_bar *bars = calloc(3 * (guest->nr_bars + 1), sizeof(*bars));
	struct window windows[3];
	bool plain_below;

	if (!bars)
		out_of_memory();
	for (size_t i = 0; i < 3; i++)
		windows[i] = (struct window){.bars = bars + i * (guest->nr_bars + 1), .largest = 1};
	fill_windows(plan, windows);
	plain_below = windows[1].largest >= windows[0].largest;
	window_below(plan, &windows[plain_below],
		     window_below(plan, &windows[!plain_below], plan->pci.end));
	window_lay(plan, &windows[2],
		   round_up(plan->plugs + plugged_space(guest), windows[2].largest));
	free(bars);
	if (guest->rom)
		add_range(plan, "firmware", 4 * GIB - guest->rom, guest->rom, page_bytes(plan, 0),
			  0, WHEN_STARTED);
}

/* ---- memory devices ---- */

/* The first address from *at on where @plug fits between the devices with given addresses. */
static uint64_t find_place(const struct plan *plan, const uint64_t *at, size_t nr,
			   const struct guest_plug *plug)
{
	const struct guest_plug *plugs = plan->guest->plugs;
	uint64_t place = round_up(plan->plugs, plug->align);
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < nr; i++) {
			if (place >= at[i] + plugs[i].bytes || at[i] >= place + plug->bytes)
				continue;
			place = round_up(at[i] + plugs[i].bytes, plug->align);
			moved = true;
		}
	}
	return place;
}

static void lay_plug(struct plan *plan, const struct guest_plug *plug, uint64_t at)
{
	uint64_t page = page_bytes(plan, plug->page);

	if (plug->block && plug->block < page)
		page = plug->block;
	add_range(plan, plug->kind, at, plug->now, page, 0, WHEN_STARTED);
	add_range(plan, plug->kind, at + plug->now, plug->bytes - plug->now, page, plug->now,
		  WHEN_FULL);
}

/* Place the memory devices in their order, and then what fits in addition. */
static void lay_plugs(struct plan *plan)
{
	const struct guest *guest = plan->guest;
	uint64_t *at = calloc(guest->nr_plugs + 1, sizeof(*at));
	uint64_t end = plan->plugs, left = guest->max_ram - guest->ram;
	uint64_t page = page_bytes(plan, guest->nr_parts ? guest->parts[0].page : 0);

	if (!at)
		out_of_memory();
	for (size_t i = 0; i < guest->nr_plugs; i++) {
		const struct guest_plug *plug = &guest->plugs[i];

		at[i] = plug->placed ? plug->at : find_place(plan, at, i, plug);
		lay_plug(plan, plug, at[i]);
		if (at[i] + plug->bytes > end)
			end = at[i] + plug->bytes;
		left -= plug->bytes;
	}
	free(at);
	if (plan->plugs)
		add_range(plan, "more memory", round_up(end, page > 2 * MIB ? page : 2 * MIB), left,
			  page, 0, WHEN_FULL);
}

static int lower_first(const void *a, const void *b)
{
	const struct guest_range *x = a, *y = b;

	return (x->iova > y->iova) - (x->iova < y->iova);
}

struct guest_ranges guest_layout(const struct guest *guest, const struct iommu_format *format)
{
	struct guest_ranges out = {0};
	struct plan plan = {
		.guest = guest, .format = format, .granule = format->granule, .out = &out};

	plan_board(&plan);
	lay_board(&plan);
	lay_plugs(&plan);
	lay_pci(&plan);
	qsort(out.ranges, out.nr, sizeof(*out.ranges), lower_first);
	return out;
}

void guest_ranges_free(struct guest_ranges *ranges)
{
	free(ranges->ranges);
	*ranges = (struct guest_ranges){0};
}
