// SPDX-License-Identifier: MIT
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hw/iotlb.h"
#include "hw/tagged.h"

struct hw_iotlb {
	pthread_mutex_t lock;
	struct hw_tag_cache leaves;
	struct hw_tag_cache tables;
	struct hw_iotlb_stat stat; /* except the evictions */
};

struct hw_iotlb *hw_iotlb_create(const struct hw_iotlb_shape *shape)
{
	struct hw_iotlb *iotlb = calloc(1, sizeof(*iotlb));
	int ret = shape->sets ? 0 : -EINVAL;

	if (!iotlb)
		return NULL;
	pthread_mutex_init(&iotlb->lock, NULL);
	if (!ret)
		ret = hw_tag_init(&iotlb->leaves, shape->sets, shape->ways);
	if (!ret)
		ret = hw_tag_init(&iotlb->tables, shape->table_sets, shape->table_ways);
	if (!ret)
		return iotlb;
	hw_iotlb_destroy(iotlb);
	errno = -ret;
	return NULL;
}

void hw_iotlb_destroy(struct hw_iotlb *iotlb)
{
	if (!iotlb)
		return;
	hw_tag_fini(&iotlb->leaves);
	hw_tag_fini(&iotlb->tables);
	pthread_mutex_destroy(&iotlb->lock);
	free(iotlb);
}

/*
 * The memory that a walk sees: the items of an entry of the table cache as they were,
 * and everything else as it is now. It also keeps what was read, item by item.
 */
struct walk_memory {
	const struct hw_memory *below;
	const struct hw_tag_entry *entry; /* an entry of the table cache, or NULL */
	unsigned int nr_read;
	struct hw_raw_item read[HW_MAX_LEVELS];
};

static bool read_cached(const struct hw_tag_entry *entry, uint64_t paddr, void *to)
{
	for (unsigned int i = 0; entry && i < entry->nr_items; i++)
		if (entry->items[i].paddr == paddr) {
			memcpy(to, &entry->items[i].bytes, sizeof(entry->items[i].bytes));
			return true;
		}
	return false;
}

static bool walk_read(void *context, uint64_t paddr, void *to, size_t bytes)
{
	struct walk_memory *memory = context;
	struct hw_raw_item *read = &memory->read[memory->nr_read];
	bool is_item = bytes == sizeof(read->bytes);

	if (!(is_item && read_cached(memory->entry, paddr, to)) &&
	    !memory->below->read(memory->below->context, paddr, to, bytes))
		return false;
	if (is_item && memory->nr_read < HW_MAX_LEVELS) {
		read->paddr = paddr;
		memcpy(&read->bytes, to, bytes);
		memory->nr_read++;
	}
	return true;
}

/* Keep the item of step @last, with the items that led to its table. */
static void keep_table(struct hw_iotlb *iotlb, unsigned int domain, uint64_t iova, unsigned int lg2,
		       const struct hw_translation *walk, unsigned int last,
		       const struct walk_memory *memory)
{
	struct hw_tag_entry *entry = hw_tag_insert(&iotlb->tables, domain, iova, lg2);

	entry->address = walk->steps[last].item.address;
	entry->access = HW_READ | HW_WRITE | HW_EXEC;
	for (unsigned int i = 0; i <= last; i++) {
		entry->access &= walk->steps[i].item.access;
		entry->items[i] = memory->read[i];
	}
	entry->nr_items = last + 1;
}

/*
 * Keep what a walk found. The first @known items of tables came from the cache. The
 * walk reads one item per step before it reads others of a run.
 */
static void keep_walk(struct hw_iotlb *iotlb, unsigned int domain, const struct hw_tables *tables,
		      uint64_t iova, const struct hw_translation *walk,
		      const struct walk_memory *memory, unsigned int known)
{
	struct hw_layout layout;
	struct hw_tag_entry *entry;

	if (!walk->nr_steps || hw_layout(tables, &layout))
		return;
	for (unsigned int i = known; iotlb->tables.sets && i < walk->nr_steps; i++)
		if (walk->steps[i].item.kind == HW_TABLE)
			keep_table(iotlb, domain, iova, layout.level[walk->steps[i].level].shift,
				   walk, i, memory);
	if (walk->fault)
		return;
	entry = hw_tag_insert(&iotlb->leaves, domain, iova, walk->size_lg2);
	entry->address = walk->paddr - (iova - hw_tag_first(entry));
	entry->access = walk->access;
	entry->dirty = walk->dirty;
}

static void translate_by_walk(struct hw_iotlb *iotlb, unsigned int domain,
			      const struct hw_tables *tables, uint64_t iova, unsigned int access,
			      struct hw_translation *out)
{
	struct walk_memory memory = {.below = tables->memory};
	const struct hw_memory as_seen = {.read = walk_read, .context = &memory};
	struct hw_tables seen = *tables;
	unsigned int known = 0;

	seen.memory = &as_seen;
	memory.entry = hw_tag_find(&iotlb->tables, domain, iova);
	if (memory.entry) {
		known = memory.entry->nr_items;
		iotlb->stat.table_hits++;
	} else {
		iotlb->stat.table_misses++;
	}
	hw_translate(&seen, iova, access, out);
	keep_walk(iotlb, domain, tables, iova, out, &memory, known);
}

static void translate_by_entry(const struct hw_tag_entry *entry, uint64_t iova, unsigned int access,
			       struct hw_translation *out)
{
	unsigned int missing = access & ~entry->access;

	memset(out, 0, sizeof(*out));
	out->paddr = entry->address + (iova - hw_tag_first(entry));
	out->size_lg2 = entry->lg2;
	out->access = entry->access;
	out->dirty = entry->dirty;
	if (missing & HW_READ)
		out->fault = HW_FAULT_READ;
	else if (missing & HW_WRITE)
		out->fault = HW_FAULT_WRITE;
	else if (missing)
		out->fault = HW_FAULT_EXEC;
}

enum hw_fault hw_iotlb_translate(struct hw_iotlb *iotlb, unsigned int domain,
				 const struct hw_tables *tables, uint64_t iova, unsigned int access,
				 struct hw_translation *out)
{
	const struct hw_tag_entry *entry;

	pthread_mutex_lock(&iotlb->lock);
	entry = hw_tag_find(&iotlb->leaves, domain, iova);
	if (entry) {
		iotlb->stat.hits++;
		translate_by_entry(entry, iova, access, out);
	} else {
		iotlb->stat.misses++;
		translate_by_walk(iotlb, domain, tables, iova, access, out);
	}
	pthread_mutex_unlock(&iotlb->lock);
	return out->fault;
}

static void invalidate(struct hw_iotlb *iotlb, const struct hw_tag_match *match, bool tables)
{
	pthread_mutex_lock(&iotlb->lock);
	iotlb->stat.invalidations++;
	iotlb->stat.invalidated += hw_tag_drop(&iotlb->leaves, match);
	if (tables)
		iotlb->stat.invalidated += hw_tag_drop(&iotlb->tables, match);
	pthread_mutex_unlock(&iotlb->lock);
}

void hw_iotlb_invalidate(struct hw_iotlb *iotlb, unsigned int domain, uint64_t first, uint64_t last,
			 bool tables)
{
	invalidate(iotlb, &(struct hw_tag_match){.domain = domain, .first = first, .last = last},
		   tables);
}

void hw_iotlb_invalidate_domain(struct hw_iotlb *iotlb, unsigned int domain)
{
	invalidate(iotlb, &(struct hw_tag_match){.domain = domain, .last = UINT64_MAX}, true);
}

void hw_iotlb_invalidate_all(struct hw_iotlb *iotlb)
{
	invalidate(iotlb, &(struct hw_tag_match){.any_domain = true, .last = UINT64_MAX}, true);
}

/* Is any byte of a translation not where it was, however the range is split into leaves now? */
static bool leaf_is_stale(const struct hw_tag_entry *entry, const struct hw_tables *tables,
			  struct hw_iotlb_stale *stale)
{
	uint64_t last = hw_tag_last(entry), iova = hw_tag_first(entry), end;

	for (;; iova = end + 1) {
		stale->iova = iova;
		stale->cached = entry->address + (iova - hw_tag_first(entry));
		if (hw_translate(tables, iova, 0, &stale->now) ||
		    stale->now.paddr != stale->cached || stale->now.access != entry->access)
			return true;
		end = iova | ((UINT64_C(1) << stale->now.size_lg2) - 1);
		if (end >= last)
			return false;
	}
}

static bool table_is_stale(const struct hw_tag_entry *entry, const struct hw_tables *tables,
			   struct hw_iotlb_stale *stale)
{
	unsigned int access = HW_READ | HW_WRITE | HW_EXEC;

	stale->iova = hw_tag_first(entry);
	stale->cached = entry->address;
	hw_translate(tables, stale->iova, 0, &stale->now);
	for (unsigned int i = 0; i < stale->now.nr_steps; i++) {
		const struct hw_step *step = &stale->now.steps[i];

		access &= step->item.access;
		if (step->item.kind == HW_TABLE && step->item.address == entry->address)
			return access != entry->access;
	}
	return true;
}

static bool is_stale(const struct hw_tag_entry *entry, const struct hw_tables *tables,
		     struct hw_iotlb_stale *stale)
{
	stale->size_lg2 = entry->lg2;
	stale->is_table = entry->nr_items;
	return stale->is_table ? table_is_stale(entry, tables, stale)
			       : leaf_is_stale(entry, tables, stale);
}

static unsigned int check_cache(const struct hw_tag_cache *cache, unsigned int domain,
				const struct hw_tables *tables, struct hw_iotlb_stale *stale)
{
	struct hw_iotlb_stale other;
	unsigned int count = 0;

	for (size_t i = 0; i < (size_t)cache->sets * cache->ways; i++) {
		const struct hw_tag_entry *entry = &cache->entries[i];

		if (entry->valid && entry->domain == domain)
			count += is_stale(entry, tables, stale && !count ? stale : &other);
	}
	return count;
}

unsigned int hw_iotlb_check(struct hw_iotlb *iotlb, unsigned int domain,
			    const struct hw_tables *tables, struct hw_iotlb_stale *stale)
{
	unsigned int count;

	pthread_mutex_lock(&iotlb->lock);
	count = check_cache(&iotlb->leaves, domain, tables, stale);
	count += check_cache(&iotlb->tables, domain, tables, count ? NULL : stale);
	pthread_mutex_unlock(&iotlb->lock);
	return count;
}

void hw_iotlb_get_stat(struct hw_iotlb *iotlb, struct hw_iotlb_stat *stat)
{
	pthread_mutex_lock(&iotlb->lock);
	*stat = iotlb->stat;
	stat->evictions = iotlb->leaves.evictions;
	stat->table_evictions = iotlb->tables.evictions;
	pthread_mutex_unlock(&iotlb->lock);
}

static void flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		  bool tables)
{
	struct hw_iotlb_domain *cached = context;

	hw_iotlb_invalidate(cached->iotlb, cached->domain, iova, last, tables);
}

const struct iommu_iotlb_ops hw_iotlb_ops = {.flush = flush};
