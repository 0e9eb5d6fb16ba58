/* SPDX-License-Identifier: MIT */
#include "dma/iova_tree.h"

#include "dma/iova_bits.h"
#include "plat/string.h"

/* The order of what a node of a level, or a child at it, spans. */
static unsigned int level_order(unsigned int level)
{
	return LEAF_LG2 + level * FAN_LG2;
}

static uint64_t level_last(unsigned int level)
{
	return BIT_ULL(level_order(level)) - 1;
}

/* The code of what is free as a whole. */
static unsigned int level_whole(unsigned int level)
{
	return level_order(level) + 1;
}

#define WORD_WHOLE 7

static struct iova_leaf *to_leaf(struct iova_head *head)
{
	return (struct iova_leaf *)head;
}

static struct iova_node *to_node(struct iova_head *head)
{
	return (struct iova_node *)head;
}

static struct iova_head *child_get(const struct iova_node *node, unsigned int i)
{
	return atomic_load_explicit(&node->child[i], memory_order_acquire);
}

static struct iova_head *root_get(const struct iova_tree *tree)
{
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

uint64_t iova_tree_span(const struct iova_tree *tree)
{
	return level_last(tree->level) + 1;
}

void iova_tree_init(struct iova_tree *tree, unsigned int bits)
{
	*tree = (struct iova_tree){.level = 0};
	while (level_order(tree->level) < bits)
		tree->level++;
	tree->code = (uint8_t)level_whole(tree->level);
}

/* ---- searching ---- */

static uint64_t last_block(uint64_t free, unsigned int order, unsigned int last)
{
	free = free_blocks(free, order) & mask_to(last);
	return free ? fls64_index(free) : IOVA_NONE;
}

/* The last free block of a leaf that begins at @max or below it. */
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

/* Of two children that are looked into, the second is not limited, and has one. */
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

/* The last free block of 2^@order that begins at @max or below it. */
static uint64_t tree_find(const struct iova_tree *tree, unsigned int order, uint64_t max)
{
	struct iova_head *root = root_get(tree);

	if (tree->code < order + 1)
		return IOVA_NONE;
	max = MIN(max, level_last(tree->level));
	return root ? node_find(root, tree->level, order, max) : max & ~(BIT_ULL(order) - 1);
}

/* The first number of a leaf from @from on, or the last one up to it. */
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

/* Likewise of a node. A child with a node has a number that is used. */
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

/*
 * Where @size numbers have room around a free block, @align being 1 or a power of
 * two that is not below @size. If they do not, *@max is where the next block may be,
 * IOVA_NONE when it would have to be below 0.
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
	/* The least block that there must be somewhere where size numbers are free. */
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

/* ---- changing ---- */

static struct iova_head *pool_take(struct iova_tree *tree, struct iova_pool *pool,
				   unsigned int level)
{
	struct iova_head **list = level ? &pool->node : &pool->leaf, *head = *list;

	*list = head->next;
	if (level) {
		struct iova_node *node = to_node(head);

		memset(node, 0, sizeof(*node));
		for (unsigned int i = 0; i < FAN / 8; i++)
			node->codes[i] = level_whole(level - 1) * CODE_ONES;
		pool->nodes--;
		tree->nodes++;
	} else {
		struct iova_leaf *leaf = to_leaf(head);

		memset(leaf, 0, sizeof(*leaf));
		leaf->codes = WORD_WHOLE * CODE_ONES;
		pool->leaves--;
		tree->leaves++;
	}
	return head;
}

static void put_emptied(struct iova_tree *tree, struct iova_head *head, unsigned int level)
{
	head->next = tree->emptied;
	tree->emptied = head;
	if (level)
		tree->nodes--;
	else
		tree->leaves--;
}

/* The part of a range in a child, as the child counts. */
struct part {
	uint64_t lo, hi;
	bool whole;
};

static struct part child_part(uint64_t lo, uint64_t hi, unsigned int i, unsigned int level)
{
	uint64_t last = level_last(level - 1);
	unsigned int shift = level_order(level - 1);
	struct part part = {
		.lo = i == lo >> shift ? lo & last : 0,
		.hi = i == hi >> shift ? hi & last : last,
	};

	part.whole = !part.lo && part.hi == last;
	return part;
}

#define for_each_child_of(i, lo, hi, level)                                   \
	for (unsigned int i = (unsigned int)((lo) >> level_order((level)-1)); \
	     i <= (hi) >> level_order((level)-1); i++)

static uint64_t word_mask(uint64_t lo, uint64_t hi, unsigned int w)
{
	return mask_between(w == lo / 64 ? lo % 64 : 0, w == hi / 64 ? hi % 64 : 63);
}

/* @head is NULL for a node that is yet to be taken. */
static void node_missing(struct iova_head *head, unsigned int level, uint64_t lo, uint64_t hi,
			 struct iova_pool *need)
{
	unsigned int shift, ends[2];

	if (!level)
		return;
	shift = level_order(level - 1);
	ends[0] = (unsigned int)(lo >> shift);
	ends[1] = (unsigned int)(hi >> shift);
	for (unsigned int k = 0; k < (ends[0] == ends[1] ? 1 : 2); k++) {
		struct iova_head *child = head ? child_get(to_node(head), ends[k]) : NULL;
		struct part part = child_part(lo, hi, ends[k], level);

		if (!child) {
			if (part.whole || (head && !code_get(to_node(head)->codes, ends[k])))
				continue;
			level > 1 ? need->nodes++ : need->leaves++;
		}
		node_missing(child, level - 1, part.lo, part.hi, need);
	}
}

void iova_tree_missing(const struct iova_tree *tree, uint64_t lo, uint64_t hi,
		       struct iova_pool *need)
{
	struct iova_head *root = root_get(tree);

	if (!root)
		tree->level ? need->nodes++ : need->leaves++;
	node_missing(root, tree->level, lo, hi, need);
}

/* Use or free a part of a leaf's numbers; returns its new code. */
static unsigned int leaf_change(struct iova_leaf *leaf, unsigned int code, uint64_t lo, uint64_t hi,
				bool use)
{
	for (unsigned int w = (unsigned int)lo / 64; w <= hi / 64; w++) {
		if (use)
			leaf->used[w] |= word_mask(lo, hi, w);
		else
			leaf->used[w] &= ~word_mask(lo, hi, w);
		code = codes_change(&leaf->codes, 1, w, free_code(~leaf->used[w]), WORD_WHOLE,
				    code);
	}
	return code;
}

/* Use a part of a node's numbers; returns its new code. */
static unsigned int node_set(struct iova_tree *tree, struct iova_head *head, unsigned int level,
			     unsigned int code, uint64_t lo, uint64_t hi, struct iova_pool *pool)
{
	struct iova_node *node = to_node(head);

	if (!level)
		return leaf_change(to_leaf(head), code, lo, hi, true);
	for_each_child_of(i, lo, hi, level)
	{
		struct iova_head *child = child_get(node, i);
		struct part part = child_part(lo, hi, i, level);
		unsigned int new = 0, old = code_get(node->codes, i);

		if (!child && old && !part.whole) {
			child = pool_take(tree, pool, level - 1);
			atomic_store_explicit(&node->child[i], child, memory_order_release);
		}
		if (child)
			new = node_set(tree, child, level - 1, old, part.lo, part.hi, pool);
		code = codes_change(node->codes, FAN / 8, i, new, level_whole(level - 1), code);
	}
	return code;
}

void iova_tree_set(struct iova_tree *tree, uint64_t lo, uint64_t hi, struct iova_pool *pool)
{
	if (!root_get(tree))
		atomic_store_explicit(&tree->root, pool_take(tree, pool, tree->level),
				      memory_order_release);
	tree->code = (uint8_t)node_set(tree, root_get(tree), tree->level, tree->code, lo, hi, pool);
}

static bool leaf_has_all(const struct iova_leaf *leaf, uint64_t lo, uint64_t hi)
{
	for (unsigned int w = (unsigned int)lo / 64; w <= hi / 64; w++)
		if (~leaf->used[w] & word_mask(lo, hi, w))
			return false;
	return true;
}

/* All of it is used, and each child without a node as a whole. */
static bool node_has_all(struct iova_head *head, unsigned int level, uint64_t lo, uint64_t hi)
{
	const struct iova_node *node = to_node(head);

	if (!level)
		return leaf_has_all(to_leaf(head), lo, hi);
	for_each_child_of(i, lo, hi, level)
	{
		struct iova_head *child = child_get(node, i);
		struct part part = child_part(lo, hi, i, level);

		if (child ? !node_has_all(child, level - 1, part.lo, part.hi)
			  : code_get(node->codes, i) || !part.whole)
			return false;
	}
	return true;
}

/* Free a part of a node's numbers; returns its new code. */
static unsigned int node_clear(struct iova_tree *tree, struct iova_head *head, unsigned int level,
			       unsigned int code, uint64_t lo, uint64_t hi)
{
	struct iova_node *node = to_node(head);

	if (!level)
		return leaf_change(to_leaf(head), code, lo, hi, false);
	for_each_child_of(i, lo, hi, level)
	{
		struct iova_head *child = child_get(node, i);
		struct part part = child_part(lo, hi, i, level);
		unsigned int whole = level_whole(level - 1), new = whole;

		if (child) {
			new = node_clear(tree, child, level - 1, code_get(node->codes, i), part.lo,
					 part.hi);
			if (new == whole) {
				atomic_store_explicit(&node->child[i], NULL, memory_order_relaxed);
				put_emptied(tree, child, level - 1);
			}
		}
		code = codes_change(node->codes, FAN / 8, i, new, whole, code);
	}
	return code;
}

bool iova_tree_clear(struct iova_tree *tree, uint64_t lo, uint64_t hi)
{
	struct iova_head *root = root_get(tree);

	if (!root || !node_has_all(root, tree->level, lo, hi))
		return false;
	tree->code = (uint8_t)node_clear(tree, root, tree->level, tree->code, lo, hi);
	if (tree->code == level_whole(tree->level)) {
		atomic_store_explicit(&tree->root, NULL, memory_order_relaxed);
		put_emptied(tree, root, tree->level);
	}
	return true;
}

static void drop(struct iova_tree *tree, struct iova_head *head, unsigned int level)
{
	for (unsigned int i = 0; level && i < FAN; i++) {
		struct iova_head *child = child_get(to_node(head), i);

		if (child)
			drop(tree, child, level - 1);
	}
	put_emptied(tree, head, level);
}

void iova_tree_drop(struct iova_tree *tree)
{
	struct iova_head *root = root_get(tree);

	if (root)
		drop(tree, root, tree->level);
	atomic_store_explicit(&tree->root, NULL, memory_order_relaxed);
}

/* ---- marks ---- */

static bool leaf_mark(struct iova_leaf *leaf, uint64_t lo, uint64_t hi)
{
	bool right = true;

	for (unsigned int w = (unsigned int)lo / 64; w <= hi / 64; w++) {
		uint64_t mask = word_mask(lo, hi, w);

		right &= !(atomic_fetch_or_explicit(&leaf->marked[w], mask, memory_order_release) &
			   mask);
	}
	return right;
}

/*
 * From the leaves to the root, so that whoever takes a mark of a child finds those
 * in the child. A child without a node has none but its own.
 */
static bool node_mark(struct iova_head *head, unsigned int level, uint64_t lo, uint64_t hi)
{
	struct iova_node *node = to_node(head);
	bool right = true;

	if (!level)
		return leaf_mark(to_leaf(head), lo, hi);
	for_each_child_of(i, lo, hi, level)
	{
		struct iova_head *child = child_get(node, i);
		struct part part = child_part(lo, hi, i, level);
		uint64_t before;

		if (!child && !part.whole) {
			right = false;
			continue;
		}
		if (child)
			right &= node_mark(child, level - 1, part.lo, part.hi);
		before = atomic_fetch_or_explicit(&node->marked, BIT_ULL(i), memory_order_acq_rel);
		right &= child || !(before & BIT_ULL(i));
	}
	return right;
}

bool iova_tree_mark(struct iova_tree *tree, uint64_t lo, uint64_t hi)
{
	struct iova_head *root = root_get(tree);
	bool right = root && node_mark(root, tree->level, lo, hi);

	atomic_store_explicit(&tree->marked, 1, memory_order_release);
	return right;
}

typedef void clear_fn(struct iova_tree *tree, uint64_t lo, uint64_t hi);

static void leaf_settle(struct iova_tree *tree, struct iova_leaf *leaf, uint64_t base,
			clear_fn *clear)
{
	for (unsigned int w = 0; w < LEAF_WORDS; w++) {
		uint64_t marked = atomic_load_explicit(&leaf->marked[w], memory_order_relaxed);

		if (marked)
			marked =
				atomic_exchange_explicit(&leaf->marked[w], 0, memory_order_acquire);
		while (marked) {
			unsigned int first = ffs64_index(marked);
			uint64_t after = ~marked & (~0ULL << first);
			unsigned int last = after ? ffs64_index(after) - 1 : 63;

			clear(tree, base + w * 64 + first, base + w * 64 + last);
			marked &= ~mask_between(first, last);
		}
	}
}

/* A node that is emptied meanwhile can still be read. */
static void node_settle(struct iova_tree *tree, struct iova_head *head, unsigned int level,
			uint64_t base, clear_fn *clear)
{
	struct iova_node *node = to_node(head);
	uint64_t marked;

	if (!level) {
		leaf_settle(tree, to_leaf(head), base, clear);
		return;
	}
	marked = atomic_exchange_explicit(&node->marked, 0, memory_order_acquire);
	for (; marked; marked &= marked - 1) {
		unsigned int i = ffs64_index(marked);
		struct iova_head *child = child_get(node, i);
		uint64_t at = base + ((uint64_t)i << level_order(level - 1));

		if (child)
			node_settle(tree, child, level - 1, at, clear);
		else
			clear(tree, at, at + level_last(level - 1));
	}
}

void iova_tree_settle(struct iova_tree *tree, clear_fn *clear)
{
	struct iova_head *root;

	if (!atomic_exchange_explicit(&tree->marked, 0, memory_order_acquire))
		return;
	root = root_get(tree);
	if (root)
		node_settle(tree, root, tree->level, 0, clear);
}
