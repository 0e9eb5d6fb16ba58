/* SPDX-License-Identifier: MIT */
/* Levels and nodes, for the functions that search and change a tree. */
#ifndef DMA_IOVA_NODE_H
#define DMA_IOVA_NODE_H

#include "dma/iova_bits.h"
#include "dma/iova_tree.h"

/* The order of what a node of a level spans, or a child at that level. */
static inline unsigned int level_order(unsigned int level)
{
	return LEAF_LG2 + level * FAN_LG2;
}

static inline uint64_t level_last(unsigned int level)
{
	return BIT_ULL(level_order(level)) - 1;
}

/* The code of a node of a level that is completely free. */
static inline unsigned int level_whole(unsigned int level)
{
	return level_order(level) + 1;
}

#define WORD_WHOLE 7

static inline struct iova_leaf *to_leaf(struct iova_head *head)
{
	return (struct iova_leaf *)head;
}

static inline struct iova_node *to_node(struct iova_head *head)
{
	return (struct iova_node *)head;
}

static inline struct iova_head *child_get(const struct iova_node *node, unsigned int i)
{
	return atomic_load_explicit(&node->child[i], memory_order_acquire);
}

static inline struct iova_head *root_get(const struct iova_tree *tree)
{
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

/* The index of the child that has a number, in a node of a level. */
static inline unsigned int child_index(uint64_t at, unsigned int level)
{
	return (unsigned int)(at >> level_order(level - 1)) % FAN;
}

#endif
