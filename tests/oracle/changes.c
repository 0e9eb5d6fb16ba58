/* SPDX-License-Identifier: MIT */
/*
 * Random changes of a domain, each made in the model too. What the library
 * returns is compared on the way; translations are the peer's business.
 *
 * The peer's caches are warmed where a change is about to be and probed there
 * again after it: a flush that the library forgets is a stale answer.
 */
#include <errno.h>
#include <stdio.h>

#include "tests/oracle/run.h"

#define COST_MOST 300 /* leaves of one mapping */
#define MANY      600 /* leaves from which on the domain is made anew */
#define NR_SG     6
#define NR_GATHER 5

struct range {
	uint64_t iova, paddr, size;
};

/* ---- a domain ---- */

static void flush_iotlb(void *context, struct iommu_domain *domain, dma_addr_t iova,
			dma_addr_t last, bool tables)
{
	struct run *run = context;

	/* Before the first probe nothing can be cached. */
	if (run->tables.root != ~UINT64_C(0))
		run->peer->invalidate(run->peer, iova, last, tables);
}

static const struct iommu_iotlb_ops iotlb_ops = {.flush = flush_iotlb};

static void choose_bases(struct run *run)
{
	const struct model *model = &run->model;
	uint64_t page = UINT64_C(1) << model->page_lg2;

	run->bases[0] = 0;
	run->bases[1] = model->last - (model->last >> 1);      /* the upper half */
	run->bases[2] = model->last - (UINT64_C(2) << 20) + 1; /* up to the end */
	run->bases[3] = (UINT64_C(1) << 30) - 8 * page;        /* over a large edge */
	run->bases[4] = random_next(&run->random) & model->last & -page;
	run->bases[5] = random_next(&run->random) & model->last & -(UINT64_C(1) << 21);
	if (model->is_signed) {
		run->bases[1] = ~model->last;
		run->bases[4] |= ~model->last;
	}
}

void domain_drop(struct run *run)
{
	if (!run->domain)
		return;
	iommu_domain_set_iotlb_ops(run->domain, NULL, NULL);
	iommu_domain_free(run->domain);
	run->domain = NULL;
	model_fini(&run->model);
}

void domain_renew(struct run *run)
{
	const struct iommu_domain_params params = {
		.format = run->test->format,
		.address_width = run->test->width,
		.pgsizes = run->test->pgsizes,
	};

	domain_drop(run);
	run->domain = iommu_domain_alloc(&params, GFP_KERNEL);
	if (IS_ERR(run->domain))
		die("no domain: error %ld", PTR_ERR(run->domain));
	iommu_domain_set_iotlb_ops(run->domain, &iotlb_ops, run);
	model_init(&run->model, run->test, run->domain);
	choose_bases(run);
	run->tables.root = ~UINT64_C(0);
	run->nr_recent = 0;
	snprintf(run->change, sizeof(run->change), "a new domain");
}

/* ---- random ranges ---- */

static unsigned int random_size_lg2(struct run *run)
{
	uint64_t sizes = run->model.pgsizes;
	unsigned int nth =
		(unsigned int)random_below(&run->random, (unsigned int)__builtin_popcountll(sizes));

	if (random_below(&run->random, 2))
		return run->model.page_lg2;
	while (nth--)
		sizes &= sizes - 1;
	return (unsigned int)__builtin_ctzll(sizes);
}

/* Of an alignment, such that @size bytes from there are the peer's to reach; or 0. */
static uint64_t random_paddr(struct run *run, uint64_t size, unsigned int align_lg2)
{
	uint64_t align = UINT64_C(1) << align_lg2;
	uint64_t first = (run->peer->paddr_first + (align - 1)) & -align;
	uint64_t last = run->peer->paddr_last, span, bits;

	if (first < run->peer->paddr_first || first > last || last - first < size - 1)
		return 0;
	span = last - first - (size - 1);
	bits = random_next(&run->random) >> random_below(&run->random, 40);
	if (!random_below(&run->random, 16))
		bits = span; /* as high as it goes */
	else if (span + 1)
		bits %= span + 1;
	return first + (bits & -align);
}

static uint64_t random_iova(struct run *run, unsigned int align_lg2)
{
	uint64_t base = run->bases[random_below(&run->random, NR_BASES)];
	uint64_t iova = base + (random_below(&run->random, 24) << align_lg2);

	if (random_below(&run->random, 4))
		iova &= -(UINT64_C(1) << align_lg2);
	else
		iova += random_below(&run->random, 600) << run->model.page_lg2;
	return iova & -(UINT64_C(1) << run->model.page_lg2);
}

/* A range to map; false when this throw of the dice gives none. */
static bool random_range(struct run *run, struct range *range)
{
	unsigned int page_lg2 = run->model.page_lg2, lg2 = random_size_lg2(run), align = lg2;
	uint64_t most = lg2 == page_lg2 ? 24 : 3;

	range->size = (1 + random_below(&run->random, most)) << lg2;
	if (!random_below(&run->random, 4))
		range->size += random_below(&run->random, 20) << page_lg2;
	range->iova = random_iova(run, lg2);
	/* Physical addresses that keep the leaves from being as large as they might. */
	if (!random_below(&run->random, 4))
		align = page_lg2 + (unsigned int)random_below(&run->random, lg2 - page_lg2 + 1);
	if (range->size >> lg2 == 0) /* it wrapped */
		return false;
	range->paddr = random_paddr(run, range->size, align);
	/* Where nothing is translated QEMU's log has the iova: the two must differ. */
	return range->paddr && range->paddr != range->iova &&
	       model_has(&run->model, range->iova, range->size) &&
	       model_cost(&run->model, range->iova, range->paddr, range->size, COST_MOST) <
		       COST_MOST;
}

/* A range at or in a leaf that exists, perhaps reaching beyond it. */
static bool mapped_range(struct run *run, struct range *range)
{
	const struct leaf *leaf;
	uint64_t page = UINT64_C(1) << run->model.page_lg2, pages;

	if (!run->model.count)
		return false;
	leaf = &run->model.leaves[random_below(&run->random, run->model.count)];
	pages = (UINT64_C(1) << leaf->size_lg2) / page;
	*range = (struct range){leaf->iova, leaf->paddr, UINT64_C(1) << leaf->size_lg2};
	if (!random_below(&run->random, 3))
		range->iova += page * random_below(&run->random, pages);
	if (!random_below(&run->random, 2))
		range->size = page * (1 + random_below(&run->random, pages < 64 ? pages : 64));
	else if (random_below(&run->random, 2))
		range->size *= 1 + random_below(&run->random, 3);
	return model_has(&run->model, range->iova, range->size);
}

static int random_prot(struct run *run)
{
	static const int prots[] = {RW, RW, IOMMU_READ, IOMMU_WRITE};

	return prots[random_below(&run->random, ARRAY_SIZE(prots))] |
	       ((int)random_next(&run->random) & run->peer->flags);
}

/* ---- changes ---- */

#define say(run, ...) snprintf((run)->change, sizeof((run)->change), __VA_ARGS__)

static void map(struct run *run, const struct range *range, int prot)
{
	int expected = model_overlaps(&run->model, range->iova, range->size) ? -EADDRINUSE : 0;
	int ret = iommu_map(run->domain, range->iova, range->paddr, range->size, prot, GFP_KERNEL);

	say(run, "map %#llx to %#llx, %#llx bytes, prot %#x", (unsigned long long)range->iova,
	    (unsigned long long)range->paddr, (unsigned long long)range->size, (unsigned int)prot);
	if (ret != expected)
		die("%s: returned %d and not %d", run->change, ret, expected);
	if (!ret)
		model_map(&run->model, range->iova, range->paddr, range->size, prot);
}

static void change_map(struct run *run)
{
	struct range range;

	if (!random_range(run, &range))
		return;
	map(run, &range, random_prot(run));
	probe_range(run, range.iova, range.size);
}

/* Pieces that do not adjoin, else they are one for the library. */
static void change_map_sg(struct run *run)
{
	unsigned int nents = 1 + (unsigned int)random_below(&run->random, NR_SG);
	uint64_t page = UINT64_C(1) << run->model.page_lg2, total = 0;
	struct iommu_sg sg[NR_SG];
	uint64_t iova = random_iova(run, run->model.page_lg2);
	int prot = random_prot(run);

	for (unsigned int i = 0; i < nents; i++) {
		sg[i].length = (1 + random_below(&run->random, 5)) * page;
		sg[i].paddr = random_paddr(run, sg[i].length, run->model.page_lg2);
		if (!sg[i].paddr || sg[i].paddr == iova + total ||
		    (i && sg[i].paddr == sg[i - 1].paddr + sg[i - 1].length))
			return;
		total += sg[i].length;
	}
	if (!model_has(&run->model, iova, total) || model_overlaps(&run->model, iova, total))
		return;
	say(run, "map %u pieces at %#llx, %#llx bytes", nents, (unsigned long long)iova,
	    (unsigned long long)total);
	if (iommu_map_sg(run->domain, iova, sg, nents, prot, GFP_KERNEL) != (ssize_t)total)
		die("%s: failed", run->change);
	for (uint64_t i = 0, at = iova; i < nents; at += sg[i++].length)
		model_map(&run->model, at, sg[i].paddr, sg[i].length, prot);
	probe_range(run, iova, total);
}

/* The peer knows it before, and is asked again afterwards. */
static void warm(struct run *run, uint64_t iova, uint64_t size)
{
	probe_range(run, iova, size);
	probes_flush(run);
}

void unmap_range(struct run *run, uint64_t iova, uint64_t size)
{
	uint64_t expected, unmapped;

	say(run, "unmap %#llx, %#llx bytes", (unsigned long long)iova, (unsigned long long)size);
	unmapped = iommu_unmap(run->domain, iova, size);
	expected = model_unmap(&run->model, iova, size);
	if (unmapped != expected)
		die("%s: returned %#llx and not %#llx", run->change, (unsigned long long)unmapped,
		    (unsigned long long)expected);
}

static void change_unmap(struct run *run)
{
	struct range range;

	if (!mapped_range(run, &range))
		return;
	warm(run, range.iova, range.size);
	unmap_range(run, range.iova, range.size);
	probe_range(run, range.iova, range.size);
}

/* Several ranges under one gather; nothing is looked at before its sync. */
static void change_gather(struct run *run)
{
	unsigned int count = 1 + (unsigned int)random_below(&run->random, NR_GATHER);
	struct iommu_iotlb_gather gather;
	struct range ranges[NR_GATHER];

	for (unsigned int i = 0; i < count; i++) {
		if (!mapped_range(run, &ranges[i]))
			return;
		warm(run, ranges[i].iova, ranges[i].size);
	}
	iommu_iotlb_gather_init(&gather);
	for (unsigned int i = 0; i < count; i++) {
		iommu_unmap_fast(run->domain, ranges[i].iova, ranges[i].size, &gather);
		model_unmap(&run->model, ranges[i].iova, ranges[i].size);
	}
	iommu_iotlb_sync(run->domain, &gather);
	say(run, "gather of %u unmaps, the last %#llx, %#llx bytes", count,
	    (unsigned long long)ranges[count - 1].iova, (unsigned long long)ranges[count - 1].size);
	for (unsigned int i = 0; i < count; i++)
		probe_range(run, ranges[i].iova, ranges[i].size);
}

/* Split, look that nothing changed, and mostly unmap exactly that. */
static void change_split(struct run *run)
{
	struct range range;
	int ret;

	if (!mapped_range(run, &range) ||
	    model_split_cost(&run->model, range.iova, COST_MOST) >= COST_MOST ||
	    model_split_cost(&run->model, range.iova + range.size, COST_MOST) >= COST_MOST)
		return;
	warm(run, range.iova, range.size);
	say(run, "split %#llx, %#llx bytes", (unsigned long long)range.iova,
	    (unsigned long long)range.size);
	ret = iommu_split_mapping(run->domain, range.iova, range.size, GFP_KERNEL);
	if (ret)
		die("%s: error %d", run->change, ret);
	model_split(&run->model, range.iova, range.size);
	warm(run, range.iova, range.size);
	if (!random_below(&run->random, 4))
		return;
	unmap_range(run, range.iova, range.size);
	probe_range(run, range.iova, range.size);
}

void change_at_random(struct run *run)
{
	static void (*const changes[])(struct run *) = {
		change_map,   change_map,   change_map,   change_map_sg, change_map,
		change_unmap, change_unmap, change_split, change_gather,
	};

	if (run->model.count > MANY || !random_below(&run->random, 400)) {
		probes_flush(run);
		domain_renew(run);
	}
	changes[random_below(&run->random, ARRAY_SIZE(changes))](run);
	run->changes++;
}

bool map_leaf(struct run *run, unsigned int size_lg2, struct leaf *leaf)
{
	uint64_t size = UINT64_C(1) << size_lg2;
	struct range range = {.size = size};
	const struct leaf *found;

	range.paddr = random_paddr(run, size, size_lg2);
	range.iova = random_next(&run->random) & run->model.last & -size;
	if (!range.paddr || range.paddr == range.iova ||
	    !model_has(&run->model, range.iova, size) ||
	    model_overlaps(&run->model, range.iova, size))
		return false;
	map(run, &range, random_prot(run));
	found = model_lookup(&run->model, range.iova);
	*leaf = *found;
	return true;
}
