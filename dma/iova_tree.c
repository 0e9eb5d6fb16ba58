/* SPDX-License-Identifier: MIT */
#include "dma/iova_tree.h"

#include "dma/iova_node.h"
#include "plat/string.h"

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

/* The part of a range in a child, relative to the child. */
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

/* @head is NULL for a node that does not exist yet. */
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

/* Use or free some numbers of a leaf. Returns its new code. */
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

/* ---- ranges in one leaf ---- */

/* The inner nodes on the way to a leaf, by level. */
struct path {
	struct iova_node *node[IOVA_MAX_LEVELS];
};

static bool is_in_one_leaf(uint64_t lo, uint64_t hi)
{
	return lo / LEAF_SIZE == hi / LEAF_SIZE;
}

/* The leaf of a number and the path to it; NULL where there is no leaf. */
static struct iova_leaf *leaf_of(const struct iova_tree *tree, uint64_t at, struct path *path)
{
	struct iova_head *head = root_get(tree);

	for (unsigned int level = tree->level; level && head; level--) {
		path->node[level] = to_node(head);
		head = child_get(to_node(head), child_index(at, level));
	}
	return to_leaf(head);
}

/* The code of the node of a level on the path to a number. */
static unsigned int path_code(const struct iova_tree *tree, const struct path *path, uint64_t at,
			      unsigned int level)
{
	if (level == tree->level)
		return tree->code;
	return code_get(path->node[level + 1]->codes, child_index(at, level + 1));
}

static void root_change(struct iova_tree *tree, unsigned int code)
{
	struct iova_head *root = root_get(tree);

	tree->code = (uint8_t)code;
	if (code == level_whole(tree->level)) {
		atomic_store_explicit(&tree->root, NULL, memory_order_relaxed);
		put_emptied(tree, root, tree->level);
	}
}

/* Change a leaf, and the nodes above it that change with it, which is mostly none. */
static void path_change(struct iova_tree *tree, struct iova_leaf *leaf, const struct path *path,
			uint64_t lo, uint64_t hi, bool use)
{
	unsigned int before = path_code(tree, path, lo, 0), code, level;
	struct iova_head *head = &leaf->head;

	code = leaf_change(leaf, before, lo % LEAF_SIZE, hi % LEAF_SIZE, use);
	for (level = 1; code != before && level <= tree->level; level++) {
		struct iova_node *node = path->node[level];
		unsigned int i = child_index(lo, level), whole = level_whole(level - 1);

		if (code == whole) {
			atomic_store_explicit(&node->child[i], NULL, memory_order_relaxed);
			put_emptied(tree, head, level - 1);
		}
		before = path_code(tree, path, lo, level);
		code = codes_change(node->codes, FAN / 8, i, code, whole, before);
		head = &node->head;
	}
	if (code != before)
		root_change(tree, code);
}

bool iova_tree_set_in_leaf(struct iova_tree *tree, uint64_t lo, uint64_t hi)
{
	struct path path;
	struct iova_leaf *leaf = is_in_one_leaf(lo, hi) ? leaf_of(tree, lo, &path) : NULL;

	if (!leaf)
		return false;
	path_change(tree, leaf, &path, lo, hi, true);
	return true;
}

/* ---- ranges of any size ---- */

/* Use some numbers of a node. Returns its new code. */
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

/* Are all these numbers used, and each child without a node completely? */
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

/* Free some numbers of a node. Returns its new code. */
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
	struct path path;
	struct iova_leaf *leaf = is_in_one_leaf(lo, hi) ? leaf_of(tree, lo, &path) : NULL;

	if (likely(leaf != NULL)) {
		if (!leaf_has_all(leaf, lo % LEAF_SIZE, hi % LEAF_SIZE))
			return false;
		path_change(tree, leaf, &path, lo, hi, false);
		return true;
	}
	if (!root || !node_has_all(root, tree->level, lo, hi))
		return false;
	root_change(tree, node_clear(tree, root, tree->level, tree->code, lo, hi));
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
 * Marks are set from the leaves to the root, so that a thread which takes the mark of a
 * child finds the marks in the child. A child without a node has only its own mark.
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
