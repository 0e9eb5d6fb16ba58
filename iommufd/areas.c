// SPDX-License-Identifier: MIT
/*
 * A treap: a search tree by (start, address of the node) that is a heap by a
 * hash of the address, which keeps it balanced without storing a priority.
 */
#include "iommufd/itree.h"

static uint64_t priority(const struct itree_node *node)
{
	uint64_t hash = (uintptr_t)node * UINT64_C(0x9e3779b97f4a7c15);

	hash ^= hash >> 32;
	return hash * UINT64_C(0xd6e8feb86659fd93);
}

static bool before(const struct itree_node *a, const struct itree_node *b)
{
	return a->start < b->start || (a->start == b->start && (uintptr_t)a < (uintptr_t)b);
}

static void update(struct itree_node *node)
{
	uint64_t last = node->last;

	if (node->left && node->left->sub_last > last)
		last = node->left->sub_last;
	if (node->right && node->right->sub_last > last)
		last = node->right->sub_last;
	node->sub_last = last;
}

/* Part a subtree into what comes before @key and what comes behind. */
static void split(struct itree_node *tree, const struct itree_node *key, struct itree_node **left,
		  struct itree_node **right)
{
	if (!tree) {
		*left = *right = NULL;
	} else if (before(tree, key)) {
		split(tree->right, key, &tree->right, right);
		*left = tree;
		update(tree);
	} else {
		split(tree->left, key, left, &tree->left);
		*right = tree;
		update(tree);
	}
}

static struct itree_node *merge(struct itree_node *left, struct itree_node *right)
{
	if (!left || !right)
		return left ? left : right;
	if (priority(left) > priority(right)) {
		left->right = merge(left->right, right);
		update(left);
		return left;
	}
	right->left = merge(left, right->left);
	update(right);
	return right;
}

static struct itree_node *insert(struct itree_node *tree, struct itree_node *node)
{
	if (!tree || priority(node) > priority(tree)) {
		split(tree, node, &node->left, &node->right);
		tree = node;
	} else if (before(node, tree)) {
		tree->left = insert(tree->left, node);
	} else {
		tree->right = insert(tree->right, node);
	}
	update(tree);
	return tree;
}

static struct itree_node *erase(struct itree_node *tree, const struct itree_node *node)
{
	if (tree == node)
		return merge(tree->left, tree->right);
	if (before(node, tree))
		tree->left = erase(tree->left, node);
	else
		tree->right = erase(tree->right, node);
	update(tree);
	return tree;
}

void itree_insert(struct itree *tree, struct itree_node *node)
{
	tree->root = insert(tree->root, node);
}

void itree_remove(struct itree *tree, struct itree_node *node)
{
	tree->root = erase(tree->root, node);
}

/* The first that overlaps [start, last] and comes behind @after, if that is given. */
static struct itree_node *find(struct itree_node *tree, const struct itree_node *after,
			       uint64_t start, uint64_t last)
{
	struct itree_node *found;

	if (!tree || tree->sub_last < start)
		return NULL;
	if (after && !before(after, tree))
		return find(tree->right, after, start, last);
	found = find(tree->left, after, start, last);
	if (found || tree->start > last)
		return found;
	if (tree->last >= start)
		return tree;
	return find(tree->right, after, start, last);
}

struct itree_node *itree_first(const struct itree *tree, uint64_t start, uint64_t last)
{
	return find(tree->root, NULL, start, last);
}

struct itree_node *itree_next(const struct itree *tree, const struct itree_node *node,
			      uint64_t start, uint64_t last)
{
	return find(tree->root, node, start, last);
}

bool itree_gap(const struct itree *a, const struct itree *b, uint64_t *cursor, uint64_t last,
	       uint64_t *gap_start, uint64_t *gap_last)
{
	for (;;) {
		struct itree_node *node = itree_first(a, *cursor, last);
		struct itree_node *other = b ? itree_first(b, *cursor, last) : NULL;

		if (!node || (other && other->start < node->start))
			node = other;
		if (!node || node->start > *cursor) {
			*gap_start = *cursor;
			*gap_last = node ? node->start - 1 : last;
			return true;
		}
		if (node->last >= last)
			return false;
		*cursor = node->last + 1;
	}
}
