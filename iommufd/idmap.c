/* SPDX-License-Identifier: MIT */
#include <uiommu/gfp.h>

#include "iommufd/idmap.h"
#include "mm/slab.h"
#include "plat/compiler.h"

#define NODE_LG2   6
#define NODE_SLOTS (1u << NODE_LG2)
#define HEIGHT_MAX 6 /* of 31 bits */

struct idmap_node {
	uint64_t used; /* slots that are not NULL */
	uint64_t full; /* slots with nothing free below */
	void *slot[NODE_SLOTS];
};

/* The way to one slot: node[0] is the root, slot[n] the index in node[n]. */
struct path {
	struct idmap_node *node[HEIGHT_MAX];
	unsigned int slot[HEIGHT_MAX];
	unsigned int length;
};

static struct idmap_node *node_alloc(struct mem_cgroup *memcg)
{
	return kzalloc(sizeof(struct idmap_node), GFP_KERNEL_ACCOUNT, memcg);
}

/* Numbers begin at 1, keys at 0. Capacities need more than 32 bits. */
static uint64_t capacity(const struct idmap *map)
{
	return 1ULL << (map->height * NODE_LG2);
}

static unsigned int slot_of(uint64_t key, unsigned int level)
{
	return (key >> (level * NODE_LG2)) & (NODE_SLOTS - 1);
}

/* One more level on top, unless there is room. */
static int grow(struct idmap *map, struct mem_cgroup *memcg)
{
	struct idmap_node *root;

	if (map->root && ~map->root->full)
		return 0;
	if (map->height == HEIGHT_MAX)
		return -ENOMEM;
	root = node_alloc(memcg);
	if (!root)
		return -ENOMEM;
	if (map->root) {
		root->slot[0] = map->root;
		root->used = root->full = 1;
	}
	map->root = root;
	map->height++;
	return 0;
}

/* Drop levels that hold nothing but the first node of the next. */
static void shrink(struct idmap *map)
{
	while (map->root) {
		struct idmap_node *root = map->root;

		if (root->used > 1 || (root->used && map->height == 1))
			return;
		map->root = root->slot[0];
		map->height = root->used ? map->height - 1 : 0;
		kfree(root);
	}
}

static void set_slot(struct idmap_node *node, unsigned int slot, void *entry)
{
	node->slot[slot] = entry;
	node->used |= BIT_ULL(slot);
}

static void clear_slot(struct idmap_node *node, unsigned int slot)
{
	node->slot[slot] = NULL;
	node->used &= ~BIT_ULL(slot);
	node->full &= ~BIT_ULL(slot);
}

/* Free the nodes on the way that have become empty, and say that there is room. */
static void prune(struct idmap *map, const struct path *path)
{
	for (unsigned int n = path->length; n-- > 1;) {
		if (path->node[n]->used) {
			path->node[n - 1]->full &= ~BIT_ULL(path->slot[n - 1]);
		} else {
			clear_slot(path->node[n - 1], path->slot[n - 1]);
			kfree(path->node[n]);
		}
	}
	shrink(map);
}

/* Walk to the lowest free slot, making nodes. */
static int walk_to_free(struct idmap *map, struct mem_cgroup *memcg, struct path *path)
{
	struct idmap_node *node = map->root;

	for (path->length = 0;;) {
		unsigned int slot = ffs64_index(~node->full);

		path->node[path->length] = node;
		path->slot[path->length++] = slot;
		if (path->length == map->height)
			return 0;
		if (!node->slot[slot]) {
			struct idmap_node *child = node_alloc(memcg);

			if (!child)
				return -ENOMEM;
			set_slot(node, slot, child);
		}
		node = node->slot[slot];
	}
}

int idmap_alloc(struct idmap *map, struct mem_cgroup *memcg, void *entry, uint32_t *id)
{
	uint64_t key = 0;
	struct path path;
	int rc = grow(map, memcg);

	if (rc)
		return rc;
	rc = walk_to_free(map, memcg, &path);
	for (unsigned int n = 0; n < path.length; n++)
		key = key << NODE_LG2 | path.slot[n];
	if (rc || key >= IDMAP_MAX) {
		prune(map, &path);
		return -ENOMEM;
	}
	set_slot(path.node[path.length - 1], path.slot[path.length - 1], entry);
	for (unsigned int n = path.length; n-- > 0;) {
		path.node[n]->full |= BIT_ULL(path.slot[n]);
		if (~path.node[n]->full)
			break;
	}
	*id = (uint32_t)key + 1;
	return 0;
}

void *idmap_find(const struct idmap *map, uint32_t id)
{
	uint64_t key = (uint64_t)id - 1;
	void *entry = map->root;

	if (!entry || key >= capacity(map))
		return NULL;
	for (unsigned int level = map->height; entry && level-- > 0;)
		entry = ((struct idmap_node *)entry)->slot[slot_of(key, level)];
	return entry;
}

void idmap_replace(struct idmap *map, uint32_t id, void *entry)
{
	struct idmap_node *node = map->root;
	uint64_t key = (uint64_t)id - 1;

	for (unsigned int level = map->height - 1; level; level--)
		node = node->slot[slot_of(key, level)];
	node->slot[slot_of(key, 0)] = entry;
}

/* The entry at *key; or NULL, and in *key where there may be one next. */
static void *find_or_skip(const struct idmap *map, uint64_t *key)
{
	struct idmap_node *node = map->root;

	for (unsigned int level = map->height - 1;; level--) {
		unsigned int slot = slot_of(*key, level), shift = level * NODE_LG2;
		uint64_t left = node->used & ~0ULL << slot;

		if (!left) {
			*key = ((*key >> (shift + NODE_LG2)) + 1) << (shift + NODE_LG2);
			return NULL;
		}
		if (ffs64_index(left) != slot)
			*key = ((*key >> shift) - slot + ffs64_index(left)) << shift;
		slot = ffs64_index(left);
		if (!level)
			return node->slot[slot];
		node = node->slot[slot];
	}
}

void *idmap_next(const struct idmap *map, uint32_t *id)
{
	uint64_t key = *id ? *id - 1 : 0;

	while (map->root && key < capacity(map)) {
		void *entry = find_or_skip(map, &key);

		if (entry) {
			*id = (uint32_t)key + 1;
			return entry;
		}
	}
	return NULL;
}

void idmap_erase(struct idmap *map, uint32_t id)
{
	struct path path = {.length = 0};
	struct idmap_node *node = map->root;

	for (unsigned int level = map->height; level-- > 0;) {
		unsigned int slot = slot_of(id - 1, level);

		path.node[path.length] = node;
		path.slot[path.length++] = slot;
		node = node->slot[slot];
	}
	clear_slot(path.node[path.length - 1], path.slot[path.length - 1]);
	prune(map, &path);
}
