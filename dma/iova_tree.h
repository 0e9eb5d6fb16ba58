/* SPDX-License-Identifier: MIT */
/*
 * A set of numbers below a power of two, as a trie of bitmaps: a buddy system
 * whose free lists are one byte per child, so that whichever numbers are in it, a
 * search goes down once and a change goes down and up once.
 *
 * A leaf is a bitmap of LEAF_SIZE numbers. An inner node has FAN children, and of
 * each a *code*: 0 when all of it is used, else 1 plus the order of the largest
 * free block in it, blocks being powers of two that begin at multiples of their
 * size. A child that is free as a whole has no node; neither has one that a
 * single change used as a whole.
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

/* 64 is the widest that a mask of children allows; it took the least time of 16, 32 and 64 (make
 * bench). */
#define FAN_LG2 6
#define FAN     (1u << FAN_LG2)

/* As many bits as the numbers may have: granules are 2^10 bytes at least. */
#define IOVA_MAX_BITS   54
#define IOVA_MAX_LEVELS (1 + (IOVA_MAX_BITS - LEAF_LG2 + FAN_LG2 - 1) / FAN_LG2)

#define IOVA_NONE (~(uint64_t)0)

/* What leaves and inner nodes begin with: a list of those that are not in the tree. */
struct iova_head {
	struct iova_head *next;
};

struct iova_leaf {
	struct iova_head head;
	uint64_t used[LEAF_WORDS];
	_Atomic uint64_t marked[LEAF_WORDS];
	uint64_t codes; /* of the words, 8 bits each */
};

struct iova_node {
	struct iova_head head;
	_Atomic(struct iova_head *) child[FAN];
	uint64_t codes[FAN / 8];
	_Atomic uint64_t marked; /* children that are marked, or something in them */
};

struct iova_tree {
	_Atomic(struct iova_head *) root;
	atomic_uint marked;
	uint8_t level; /* of the root; leaves are level 0 */
	uint8_t code;  /* of the root */
	uint32_t leaves, nodes;
	struct iova_head *emptied; /* nodes that were taken out, for the owner to free */
};

/* Nodes in store for a change, or how many it takes. */
struct iova_pool {
	struct iova_head *leaf, *node;
	unsigned int leaves, nodes;
};

/* An empty set of all the numbers that have @bits bits, and maybe larger ones. */
void iova_tree_init(struct iova_tree *tree, unsigned int bits);
/* How many numbers there are. */
uint64_t iova_tree_span(const struct iova_tree *tree);

/*
 * Where @size free numbers up to @limit are to be taken, or IOVA_NONE. @aligned:
 * from a multiple of @size rounded up to a power of two on. This is the highest
 * such place; unless more than IOVA_TRIES holes that are long enough for half of
 * it, but not for it, lie above it: then the next one in a free block of that power
 * of two.
 */
#define IOVA_TRIES 64
uint64_t iova_tree_place(const struct iova_tree *tree, uint64_t size, uint64_t limit, bool aligned);

/* Some number of a range is used. */
bool iova_tree_has_any(const struct iova_tree *tree, uint64_t lo, uint64_t hi);
/* Find the first number from @from on that is used, or that is not; IOVA_NONE for none. */
uint64_t iova_tree_next(const struct iova_tree *tree, uint64_t from, bool used);

/* Use a range for which a leaf is there; false, with nothing changed, where it is not. */
bool iova_tree_set_in_leaf(struct iova_tree *tree, uint64_t lo, uint64_t hi);
/* Count the nodes that iova_tree_set() of a range will take from the pool. */
void iova_tree_missing(const struct iova_tree *tree, uint64_t lo, uint64_t hi,
		       struct iova_pool *need);
/* Use a range, parts of which may be used already. */
void iova_tree_set(struct iova_tree *tree, uint64_t lo, uint64_t hi, struct iova_pool *pool);

/*
 * Free a range; false, with nothing changed, if it is not used as a whole or ends
 * inside of a child that was used as a whole.
 */
bool iova_tree_clear(struct iova_tree *tree, uint64_t lo, uint64_t hi);

/*
 * Note without a lock that a range is to be freed. As it is used, its nodes stay;
 * but who calls this keeps all others from being freed, too, as the range may be
 * wrong. False if some of it has no place for a mark, or is marked already.
 */
bool iova_tree_mark(struct iova_tree *tree, uint64_t lo, uint64_t hi);

static inline bool iova_tree_is_marked(const struct iova_tree *tree)
{
	return atomic_load_explicit(&tree->marked, memory_order_relaxed);
}

/* Take all marks back, and hand what was marked to @clear, in pieces. */
void iova_tree_settle(struct iova_tree *tree,
		      void (*clear)(struct iova_tree *tree, uint64_t lo, uint64_t hi));

/* Take all nodes out of the tree, which is not used any more: they are emptied. */
void iova_tree_drop(struct iova_tree *tree);

#endif
