/* SPDX-License-Identifier: MIT */
/*
 * A set of numbers below a power of two, as a trie of bitmaps. It is a buddy system
 * whose free lists are one byte per child: whichever numbers are in the set, a search
 * goes down once, and a change goes down and up once.
 *
 * A leaf is a bitmap of LEAF_SIZE numbers. An inner node has FAN children, and a *code*
 * for each: 0 when all of the child is used, else 1 plus the order of the largest free
 * block in it. A block is a power of two numbers that begins at a multiple of its size.
 * A child that is completely free has no node, nor has one that a single change used
 * completely.
 *
 * The owner of the tree locks it. Only iova_tree_mark() takes no lock.
 */
#ifndef DMA_IOVA_TREE_H
#define DMA_IOVA_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEAF_LG2   9
#define LEAF_SIZE  (1u << LEAF_LG2)
#define LEAF_WORDS (LEAF_SIZE / 64)

/*
 * 64 is the most that a mask of children allows, and was the fastest of 16, 32 and 64
 * in make bench.
 */
#define FAN_LG2 6
#define FAN     (1u << FAN_LG2)

/* The most bits that the numbers may have: granules are at least 2^10 bytes. */
#define IOVA_MAX_BITS   54
#define IOVA_MAX_LEVELS (1 + (IOVA_MAX_BITS - LEAF_LG2 + FAN_LG2 - 1) / FAN_LG2)

#define IOVA_NONE (~(uint64_t)0)

/* The head of leaves and inner nodes, with the link of those that are not in the tree. */
struct iova_head {
	struct iova_head *next;
};

struct iova_leaf {
	struct iova_head head;
	uint64_t used[LEAF_WORDS];
	_Atomic uint64_t marked[LEAF_WORDS];
	uint64_t codes; /* 8 bits for each word */
};

struct iova_node {
	struct iova_head head;
	_Atomic(struct iova_head *) child[FAN];
	uint64_t codes[FAN / 8];
	_Atomic uint64_t marked; /* children that are marked, or have marks in them */
};

struct iova_tree {
	_Atomic(struct iova_head *) root;
	atomic_uint marked;
	uint8_t level; /* of the root; leaves are level 0 */
	uint8_t code;  /* of the root */
	uint32_t leaves, nodes;
	struct iova_head
		*emptied; /* nodes that were taken out of the tree, for the owner to free */
};

/* Nodes that a change may take, or the number of those that it takes. */
struct iova_pool {
	struct iova_head *leaf, *node;
	unsigned int leaves, nodes;
};

/* An empty set of all numbers of @bits bits, and possibly larger ones. */
void iova_tree_init(struct iova_tree *tree, unsigned int bits);
/* How many numbers the set can have. */
uint64_t iova_tree_span(const struct iova_tree *tree);

/*
 * The place where @size free numbers up to @limit are to be taken, or IOVA_NONE. With
 * @aligned it is a multiple of @size rounded up to a power of two. It is the highest
 * such place, unless more than IOVA_TRIES holes above it have room for half of that but
 * not for all of it. Then it is the next one in a free block of that power of two.
 */
#define IOVA_TRIES 64
uint64_t iova_tree_place(const struct iova_tree *tree, uint64_t size, uint64_t limit, bool aligned);

/* Is any number of a range used? */
bool iova_tree_has_any(const struct iova_tree *tree, uint64_t lo, uint64_t hi);
/* The first number from @from on that is used, or that is not; IOVA_NONE if there is none. */
uint64_t iova_tree_next(const struct iova_tree *tree, uint64_t from, bool used);

/* Use a range in an existing leaf. Returns false, with nothing changed, if there is no leaf. */
bool iova_tree_set_in_leaf(struct iova_tree *tree, uint64_t lo, uint64_t hi);
/* Count the nodes that iova_tree_set() of a range will take from the pool. */
void iova_tree_missing(const struct iova_tree *tree, uint64_t lo, uint64_t hi,
		       struct iova_pool *need);
/* Use a range; parts of it may be used already. */
void iova_tree_set(struct iova_tree *tree, uint64_t lo, uint64_t hi, struct iova_pool *pool);

/*
 * Free a range. Returns false, with nothing changed, if it is not completely used or
 * ends inside a child that was used as a whole.
 */
bool iova_tree_clear(struct iova_tree *tree, uint64_t lo, uint64_t hi);

/*
 * Mark a range that is to be freed, without the lock. The nodes of the range exist as
 * long as it is used. As the range may be wrong, the caller must keep all other nodes
 * from being freed. Returns false if a part of it has no place for a mark, or is marked
 * already.
 */
bool iova_tree_mark(struct iova_tree *tree, uint64_t lo, uint64_t hi);

static inline bool iova_tree_is_marked(const struct iova_tree *tree)
{
	return atomic_load_explicit(&tree->marked, memory_order_relaxed);
}

/* Remove all marks, and call @clear for the marked ranges, in pieces. */
void iova_tree_settle(struct iova_tree *tree,
		      void (*clear)(struct iova_tree *tree, uint64_t lo, uint64_t hi));

/* Take all nodes out of the tree, which is not used any more, to ->emptied. */
void iova_tree_drop(struct iova_tree *tree);

#endif
