// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/tagged.h"

int hw_tag_init(struct hw_tag_cache *cache, unsigned int sets, unsigned int ways)
{
	*cache = (struct hw_tag_cache){.sets = sets, .ways = ways};
	if (!sets != !ways || sets & (sets - 1))
		return -EINVAL;
	if (!sets)
		return 0;
	cache->entries = calloc((size_t)sets * ways, sizeof(*cache->entries));
	return cache->entries ? 0 : -ENOMEM;
}

void hw_tag_fini(struct hw_tag_cache *cache)
{
	free(cache->entries);
}

static uint64_t prefix_of(uint64_t iova, unsigned int lg2)
{
	return lg2 < 64 ? iova >> lg2 : 0;
}

/* Neighbours fall into neighbouring sets; sizes and domains are spread. */
static struct hw_tag_entry *set_of(const struct hw_tag_cache *cache, unsigned int domain,
				   unsigned int lg2, uint64_t prefix)
{
	uint64_t hash = prefix ^ prefix >> 16 ^ prefix >> 32;

	hash += (domain * UINT64_C(64) + lg2) * UINT64_C(0x9e3779b97f4a7c15) >> 40;
	return cache->entries + (hash & (cache->sets - 1)) * cache->ways;
}

static bool is_entry(const struct hw_tag_entry *entry, unsigned int domain, unsigned int lg2,
		     uint64_t prefix)
{
	return entry->valid && entry->domain == domain && entry->lg2 == lg2 &&
	       entry->prefix == prefix;
}

static struct hw_tag_entry *find_size(struct hw_tag_cache *cache, unsigned int domain,
				      uint64_t iova, unsigned int lg2)
{
	uint64_t prefix = prefix_of(iova, lg2);
	struct hw_tag_entry *entry = set_of(cache, domain, lg2, prefix);

	for (unsigned int way = 0; way < cache->ways; way++, entry++)
		if (is_entry(entry, domain, lg2, prefix)) {
			entry->used = ++cache->clock;
			return entry;
		}
	return NULL;
}

struct hw_tag_entry *hw_tag_find(struct hw_tag_cache *cache, unsigned int domain, uint64_t iova)
{
	struct hw_tag_entry *entry;

	for (unsigned int lg2 = 0; lg2 <= 64; lg2++) {
		entry = cache->of_size[lg2] ? find_size(cache, domain, iova, lg2) : NULL;
		if (entry)
			return entry;
	}
	return NULL;
}

static void drop(struct hw_tag_cache *cache, struct hw_tag_entry *entry)
{
	entry->valid = false;
	cache->of_size[entry->lg2]--;
}

/* The same range's entry, a free one, or the one that was used longest ago. */
static struct hw_tag_entry *choose_place(struct hw_tag_cache *cache, unsigned int domain,
					 unsigned int lg2, uint64_t prefix)
{
	struct hw_tag_entry *set = set_of(cache, domain, lg2, prefix), *oldest = set;

	for (struct hw_tag_entry *entry = set; entry < set + cache->ways; entry++) {
		if (is_entry(entry, domain, lg2, prefix))
			return entry;
		if (oldest->valid && (!entry->valid || entry->used < oldest->used))
			oldest = entry;
	}
	cache->evictions += oldest->valid;
	return oldest;
}

struct hw_tag_entry *hw_tag_insert(struct hw_tag_cache *cache, unsigned int domain, uint64_t iova,
				   unsigned int lg2)
{
	uint64_t prefix = prefix_of(iova, lg2);
	struct hw_tag_entry *entry = choose_place(cache, domain, lg2, prefix);

	if (entry->valid)
		drop(cache, entry);
	*entry = (struct hw_tag_entry){
		.valid = true,
		.domain = domain,
		.lg2 = lg2,
		.prefix = prefix,
		.used = ++cache->clock,
	};
	cache->of_size[lg2]++;
	return entry;
}

static bool matches(const struct hw_tag_entry *entry, const struct hw_tag_match *match)
{
	return entry->valid && (match->any_domain || entry->domain == match->domain) &&
	       hw_tag_first(entry) <= match->last && match->first <= hw_tag_last(entry);
}

unsigned int hw_tag_drop(struct hw_tag_cache *cache, const struct hw_tag_match *match)
{
	unsigned int dropped = 0;

	for (size_t i = 0; i < (size_t)cache->sets * cache->ways; i++)
		if (matches(&cache->entries[i], match)) {
			drop(cache, &cache->entries[i]);
			dropped++;
		}
	return dropped;
}
