/* SPDX-License-Identifier: MIT */
/*
 * Sets of intervals [start, last] in order of their start: the areas of an IOAS,
 * its allowed and reserved ranges, and who holds which pages. Nodes are embedded
 * in what they stand for, so nothing here allocates or fails.
 */
#ifndef IOMMUFD_ITREE_H
#define IOMMUFD_ITREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct itree_node {
	uint64_t start, last;
	uint64_t sub_last; /* the greatest last in the subtree */
	struct itree_node *left, *right;
};

struct itree {
	struct itree_node *root;
};

/* node->start and node->last are set, and stay so until it is removed. */
void itree_insert(struct itree *tree, struct itree_node *node);
void itree_remove(struct itree *tree, struct itree_node *node);

/* The first node that overlaps [start, last], or NULL; and the one after @node. */
struct itree_node *itree_first(const struct itree *tree, uint64_t start, uint64_t last);
struct itree_node *itree_next(const struct itree *tree, const struct itree_node *node,
			      uint64_t start, uint64_t last);

/*
 * The first part of [*cursor, last] that neither tree covers; @b may be NULL.
 * False when there is none. To go on, set *cursor behind *gap_last unless that
 * is @last.
 */
bool itree_gap(const struct itree *a, const struct itree *b, uint64_t *cursor, uint64_t last,
	       uint64_t *gap_start, uint64_t *gap_last);

static inline bool itree_empty(const struct itree *tree)
{
	return !tree->root;
}

#endif
