/* SPDX-License-Identifier: MIT */
/* Searching a tree: for free blocks, and for numbers that are used or free. */
#include "dma/iova_node.h"

static uint64_t last_block(uint64_t free, unsigned int order, unsigned int last)
{
	free = free_blocks(free, order) & mask_to(last);
	return free ? fls64_index(free) : IOVA_NONE;
}

/* The last free block of a leaf that begins at @max or below. */
static uint64_t leaf_find(const struct iova_leaf *leaf, unsigned int order, uint64_t max)
{
	unsigned int last = (unsigned int)max / 64;

	if (order >= 6) {
		uint64_t free = codes_at_least(&leaf->codes, 1, WORD_WHOLE);
		uint64_t found = last_block(free, order - 6, last);

		return found == IOVA_NONE ? found : found * 64;
	}
	for (int w = (int)last; (w = codes_find_last(&leaf->codes, order + 1, w)) >= 0; w--) {
		uint64_t found = last_block(~leaf->used[w], order,
					    w == (int)last ? (unsigned int)max % 64 : 63);

		if (found != IOVA_NONE)
			return (unsigned int)w * 64 + found;
	}
	return IOVA_NONE;
}

/*
 * Of two children that are searched, the second has no limit, and therefore has such a
 * block.
 */
static uint64_t node_find(struct iova_head *head, unsigned int level, unsigned int order,
			  uint64_t max)
{
	const struct iova_node *node = to_node(head);
	unsigned int shift, last;

	if (!level)
		return leaf_find(to_leaf(head), order, max);
	shift = level_order(level - 1);
	last = (unsigned int)(max >> shift);
	if (order > shift) {
		uint64_t free = codes_at_least(node->codes, FAN / 8, shift + 1);
		uint64_t found = last_block(free, order - shift, last);

		return found == IOVA_NONE ? found : found << shift;
	}
	for (int i = (int)last; (i = codes_find_last(node->codes, order + 1, i)) >= 0; i--) {
		uint64_t most = level_last(level - 1), found;
		struct iova_head *child = child_get(node, (unsigned int)i);

		if (i == (int)last)
			most &= max;
		found = child ? node_find(child, level - 1, order, most)
			      : most & ~(BIT_ULL(order) - 1);
		if (found != IOVA_NONE)
			return ((uint64_t)i << shift) + found;
	}
	return IOVA_NONE;
}

/* The last free block of 2^@order numbers that begins at @max or below. */
static uint64_t tree_find(const struct iova_tree *tree, unsigned int order, uint64_t max)
{
	struct iova_head *root = root_get(tree);

	if (tree->code < order + 1)
		return IOVA_NONE;
	max = MIN(max, level_last(tree->level));
	return root ? node_find(root, tree->level, order, max) : max & ~(BIT_ULL(order) - 1);
}

/* The first number of a leaf from @from on that is used or not, or the last one up to @from. */
static uint64_t leaf_seek(const struct iova_leaf *leaf, uint64_t from, bool used, bool up)
{
	unsigned int w = (unsigned int)from / 64, bit = (unsigned int)from % 64;
	uint64_t keep = up ? ~0ULL << bit : mask_to(bit);

	for (; w < LEAF_WORDS; w += up ? 1u : -1u, keep = ~0ULL) {
		uint64_t found = (used ? leaf->used[w] : ~leaf->used[w]) & keep;

		if (found)
			return w * 64 + (up ? ffs64_index(found) : fls64_index(found));
	}
	return IOVA_NONE;
}

/* The same in a node. A child with a node has a number that is used. */
static uint64_t node_seek(struct iova_head *head, unsigned int level, uint64_t from, bool used,
			  bool up)
{
	const struct iova_node *node = to_node(head);
	unsigned int shift, i;

	if (!level)
		return leaf_seek(to_leaf(head), from, used, up);
	shift = level_order(level - 1);
	from &= level_last(level);
	for (i = (unsigned int)(from >> shift); i < FAN; i += up ? 1u : -1u) {
		struct iova_head *child = child_get(node, i);
		uint64_t found = IOVA_NONE;

		from &= level_last(level - 1);
		if (child)
			found = node_seek(child, level - 1, from, used, up);
		else if (used == !code_get(node->codes, i))
			found = from;
		if (found != IOVA_NONE)
			return ((uint64_t)i << shift) + found;
		from = up ? 0 : level_last(level - 1);
	}
	return IOVA_NONE;
}

static uint64_t tree_seek(const struct iova_tree *tree, uint64_t from, bool used, bool up)
{
	struct iova_head *root = root_get(tree);

	if (from > level_last(tree->level))
		return IOVA_NONE;
	if (root)
		return node_seek(root, tree->level, from, used, up);
	return used == !tree->code ? from : IOVA_NONE;
}

uint64_t iova_tree_next(const struct iova_tree *tree, uint64_t from, bool used)
{
	return tree_seek(tree, from, used, true);
}

bool iova_tree_has_any(const struct iova_tree *tree, uint64_t lo, uint64_t hi)
{
	struct iova_head *head = root_get(tree);

	/* A large child in which there is no such block is mostly in use as a whole. */
	for (unsigned int level = tree->level; head && level; level--) {
		const struct iova_node *node = to_node(head);
		unsigned int i = child_index(lo, level);

		if (lo >> level_order(level - 1) != hi >> level_order(level - 1))
			break;
		head = child_get(node, i);
		if (!head)
			return !code_get(node->codes, i);
	}
	return tree_seek(tree, lo, true, true) <= hi;
}

/*
 * The place for @size numbers in the free range around a free block. @align is 1, or a
 * power of two that is not below @size. If there is no place, *@max is where the next
 * block may be, or IOVA_NONE when that would be below 0.
 */
static uint64_t place_around(const struct iova_tree *tree, uint64_t block, uint64_t size,
			     uint64_t limit, uint64_t align, uint64_t *max)
{
	uint64_t last, at, used;

	if (align > 1) {
		at = block & -align;
		used = tree_seek(tree, at, true, true);
		*max = at - 1;
		return used - at >= size && size - 1 <= limit - at ? at : IOVA_NONE;
	}
	used = tree_seek(tree, block, true, true);
	last = MIN(used - 1, limit); /* IOVA_NONE - 1 is above any limit */
	used = tree_seek(tree, block, true, false);
	*max = used;
	if (last - used < size) /* also where used is IOVA_NONE, that is -1 */
		return IOVA_NONE;
	return last - size + 1;
}

uint64_t iova_tree_place(const struct iova_tree *tree, uint64_t size, uint64_t limit, bool aligned)
{
	unsigned int order = size > 1 ? fls64_index(size - 1) + 1 : 0;
	/* The least block that must exist somewhere if size numbers are free. */
	unsigned int part = fls64_index(size + 1) - 1;
	uint64_t max, place = IOVA_NONE;

	if (order > IOVA_MAX_BITS || size - 1 > limit)
		return IOVA_NONE;
	max = limit - (size - 1);
	if (size == BIT_ULL(order) && (aligned || !order))
		return tree_find(tree, order, max);
	if (aligned) {
		part = order - 1;
		max &= -BIT_ULL(order);
	} else {
		max = limit - (BIT_ULL(part) - 1);
	}
	for (unsigned int try = 0; place == IOVA_NONE && max != IOVA_NONE; try++) {
		uint64_t block = tree_find(tree, try < IOVA_TRIES ? part : order, max);

		if (block == IOVA_NONE)
			break;
		place = place_around(tree, block, size, limit, aligned ? BIT_ULL(order) : 1, &max);
	}
	return place;
}
