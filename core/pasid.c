/* SPDX-License-Identifier: MIT */
/*
 * PASID tables. A tree of tables, each of which counts what is set in it: page->live. What
 * a PASID needs is allocated before anything is changed, and linked last; what has become
 * empty is unlinked, then the hardware is told, then it is freed.
 *
 * Hardware may read an entry at any moment: of its words the first is written last, and
 * cleared first.
 */
#include "core/domain.h"
#include "core/pasid.h"
#include "mm/gfp.h"
#include "mm/memcg.h"
#include "mm/page.h"
#include "mm/slab.h"

#define ITEM_LG2     3
#define ITEM_PRESENT 1ULL
#define PASID_BITS   20

struct iommu_pasid_table {
	const struct pasid_layout *layout;
	struct iommu_pasid_params params;
	struct mem_cgroup *owner;
	unsigned int levels, bits[PASID_LEVELS_MAX];
	unsigned int tables;
	uint64_t table_bytes;
	struct page *top;
};

static const struct pasid_layout *const layouts[] = {
	[IOMMU_PASID_VTD] = &pasid_vtd,
	[IOMMU_PASID_ARM] = &pasid_arm,
	[IOMMU_PASID_AMD] = &pasid_amd,
};

/* ---- tables ---- */

static unsigned int order_of(const struct iommu_pasid_table *table, unsigned int level)
{
	unsigned int lg2 = table->bits[level] + (level ? ITEM_LG2 : table->layout->entry_lg2);

	return lg2 > PAGE_SHIFT ? lg2 - PAGE_SHIFT : 0;
}

static struct page *table_new(const struct iommu_pasid_table *table, unsigned int level, gfp_t gfp)
{
	struct page *page =
		alloc_pages(gfp | __GFP_ZERO, order_of(table, level), table->owner, PAGE_TABLE);

	if (page)
		atomic_store_explicit(&page->live, 0, memory_order_relaxed);
	return page;
}

static void count(struct iommu_pasid_table *table, unsigned int level, int n)
{
	table->tables += (unsigned int)n;
	table->table_bytes +=
		(uint64_t)((int64_t)n * (int64_t)(PAGE_SIZE << order_of(table, level)));
}

static unsigned int index_of(const struct iommu_pasid_table *table, uint32_t pasid,
			     unsigned int level)
{
	for (unsigned int below = 0; below < level; below++)
		pasid >>= table->bits[below];
	return pasid & ((1u << table->bits[level]) - 1);
}

static uint64_t *item_of(const struct page *page, unsigned int index)
{
	return (uint64_t *)page_address(page) + index;
}

static uint64_t little_endian(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(value);
#else
	return value;
#endif
}

static uint64_t load(const uint64_t *word)
{
	return little_endian(__atomic_load_n(word, __ATOMIC_RELAXED));
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, little_endian(value), __ATOMIC_RELEASE);
}

static struct page *next_table(const struct page *page, unsigned int index)
{
	uint64_t item = load(item_of(page, index));

	return item & ITEM_PRESENT ? virt_to_page(phys_to_virt(item & ~(uint64_t)(PAGE_SIZE - 1)))
				   : NULL;
}

/* The tables on the way to a PASID; NULL from where they are missing downwards. */
static void walk(const struct iommu_pasid_table *table, uint32_t pasid,
		 struct page *path[PASID_LEVELS_MAX])
{
	path[table->levels - 1] = table->top;
	for (unsigned int level = table->levels - 1; level; level--)
		path[level - 1] =
			path[level] ? next_table(path[level], index_of(table, pasid, level)) : NULL;
}

static uint64_t *entry_at(const struct iommu_pasid_table *table, const struct page *lowest,
			  uint32_t pasid)
{
	return item_of(lowest, index_of(table, pasid, 0) << (table->layout->entry_lg2 - ITEM_LG2));
}

static unsigned int words_of(const struct iommu_pasid_table *table)
{
	return 1u << (table->layout->entry_lg2 - ITEM_LG2);
}

/* ---- its life ---- */

struct iommu_pasid_table *iommu_pasid_table_alloc(const struct iommu_pasid_params *params,
						  gfp_t gfp)
{
	struct mem_cgroup *owner = gfp & __GFP_ACCOUNT ? mem_cgroup_active() : NULL;
	struct iommu_pasid_table *table;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (gfp_refused(gfp) || (unsigned int)params->layout >= ARRAY_SIZE(layouts) ||
	    !params->pasid_bits || params->pasid_bits > PASID_BITS)
		return ERR_PTR(-EINVAL);
	table = kzalloc(sizeof(*table), gfp, owner);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->layout = layouts[params->layout];
	table->params = *params;
	table->owner = mem_cgroup_get(owner);
	table->levels = table->layout->levels(params->pasid_bits, table->bits);
	table->top = table_new(table, table->levels - 1, gfp);
	if (!table->top) {
		mem_cgroup_put(owner);
		kfree(table);
		return ERR_PTR(-ENOMEM);
	}
	count(table, table->levels - 1, 1);
	return table;
}

static void free_below(const struct iommu_pasid_table *table, struct page *page, unsigned int level)
{
	if (level)
		for (unsigned int index = 0; index < 1u << table->bits[level]; index++) {
			struct page *next = next_table(page, index);

			if (next)
				free_below(table, next, level - 1);
		}
	free_pages(page);
}

void iommu_pasid_table_free(struct iommu_pasid_table *table)
{
	struct mem_cgroup *owner;

	if (!table)
		return;
	free_below(table, table->top, table->levels - 1);
	owner = table->owner;
	kfree(table);
	mem_cgroup_put(owner);
}

/* ---- entries ---- */

static void flush(const struct iommu_pasid_table *table, uint32_t pasid, bool tables)
{
	if (table->params.flush)
		table->params.flush(table->params.context, pasid, tables);
}

/* Allocate what is missing of @path, level by level, not linked to anything. */
static int fill_path(struct iommu_pasid_table *table, struct page *path[PASID_LEVELS_MAX],
		     unsigned int *missing, gfp_t gfp)
{
	for (*missing = 0; *missing < table->levels && !path[*missing]; ++*missing) {
		path[*missing] = table_new(table, *missing, gfp);
		if (!path[*missing])
			break;
	}
	if (*missing == table->levels || path[*missing])
		return 0;
	while (*missing)
		free_pages(path[--*missing]);
	return -ENOMEM;
}

static void link_table(struct iommu_pasid_table *table, struct page *path[PASID_LEVELS_MAX],
		       uint32_t pasid, unsigned int level)
{
	struct page *above = path[level + 1];

	store(item_of(above, index_of(table, pasid, level + 1)),
	      virt_to_phys(page_address(path[level])) | ITEM_PRESENT);
	atomic_fetch_add_explicit(&above->live, 1, memory_order_relaxed);
	count(table, level, 1);
}

static void write_entry(const struct iommu_pasid_table *table, uint64_t *at,
			const struct pasid_entry *entry)
{
	for (unsigned int word = words_of(table); word-- > 0;)
		store(&at[word], entry->word[word]);
}

/* Not valid first, and nothing of it is left. */
static void erase_entry(const struct iommu_pasid_table *table, uint64_t *at)
{
	for (unsigned int word = 0; word < words_of(table); word++)
		store(&at[word], 0);
}

static int set_new(struct iommu_pasid_table *table, struct page *path[PASID_LEVELS_MAX],
		   uint32_t pasid, const struct pasid_entry *entry, gfp_t gfp)
{
	unsigned int missing;

	if (fill_path(table, path, &missing, gfp))
		return -ENOMEM;
	write_entry(table, entry_at(table, path[0], pasid), entry);
	atomic_fetch_add_explicit(&path[0]->live, 1, memory_order_relaxed);
	for (unsigned int level = 0; level < missing; level++)
		link_table(table, path, pasid, level);
	return 0;
}

static bool is_set(const struct iommu_pasid_table *table, const struct page *lowest, uint32_t pasid)
{
	return lowest && load(entry_at(table, lowest, pasid)) & table->layout->valid;
}

int iommu_pasid_set(struct iommu_pasid_table *table, uint32_t pasid, struct iommu_domain *domain,
		    const struct iommu_pasid_first *first, uint16_t id, gfp_t gfp)
{
	struct page *path[PASID_LEVELS_MAX];
	struct iommu_domain_info info;
	struct pasid_entry entry;
	uint64_t *at;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (gfp_refused(gfp) || pasid >> table->params.pasid_bits)
		return -EINVAL;
	iommu_domain_get_info(domain, &info);
	if (!info.format || table->layout->entry(&info, first, id, &entry))
		return -EINVAL;
	walk(table, pasid, path);
	if (!is_set(table, path[0], pasid))
		return set_new(table, path, pasid, &entry, gfp);
	at = entry_at(table, path[0], pasid);
	erase_entry(table, at);
	flush(table, pasid, false);
	write_entry(table, at, &entry);
	return 0;
}

/* Unlink the tables on @path that are empty now. How many, from the lowest up. */
static unsigned int unlink_empty(struct iommu_pasid_table *table,
				 struct page *path[PASID_LEVELS_MAX], uint32_t pasid)
{
	unsigned int level = 0;

	while (level + 1 < table->levels &&
	       !atomic_load_explicit(&path[level]->live, memory_order_relaxed)) {
		level++;
		store(item_of(path[level], index_of(table, pasid, level)), 0);
		atomic_fetch_sub_explicit(&path[level]->live, 1, memory_order_relaxed);
	}
	return level;
}

void iommu_pasid_clear(struct iommu_pasid_table *table, uint32_t pasid)
{
	struct page *path[PASID_LEVELS_MAX];
	unsigned int empty;

	if (pasid >> table->params.pasid_bits)
		return;
	walk(table, pasid, path);
	if (!is_set(table, path[0], pasid))
		return;
	erase_entry(table, entry_at(table, path[0], pasid));
	atomic_fetch_sub_explicit(&path[0]->live, 1, memory_order_relaxed);
	empty = unlink_empty(table, path, pasid);
	flush(table, pasid, empty);
	for (unsigned int level = 0; level < empty; level++) {
		count(table, level, -1);
		free_pages(path[level]);
	}
}

void iommu_pasid_get_info(const struct iommu_pasid_table *table, struct iommu_pasid_info *info)
{
	unsigned int bits = 0;

	for (unsigned int level = 0; level < table->levels; level++)
		bits += table->bits[level];
	*info = (struct iommu_pasid_info){
		.root = virt_to_phys(page_address(table->top)),
		.pasid_bits = bits,
		.form = table->layout->form(table->levels),
		.tables = table->tables,
		.table_bytes = table->table_bytes,
	};
}
