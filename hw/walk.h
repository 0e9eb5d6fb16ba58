/* SPDX-License-Identifier: MIT */
/*
 * The hardware's side of I/O page tables: what a walker of each format makes of the
 * bytes in memory. It shares nothing with pgtable/, neither code nor constants, so that
 * each can show errors in the other.
 *
 * A format defines what one item means (hw_format.decode) and how the tables lie
 * (hw_format.layout). The walk, the listing of all mappings and the IOTLB are the same
 * for all formats.
 *
 * Nothing here trusts what it reads. Memory is read through a callback that may refuse,
 * walks take at most HW_MAX_LEVELS steps, and listings are limited by a budget of
 * items.
 */
#ifndef HW_WALK_H
#define HW_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_MAX_LEVELS 6

/* What an access needs, and what a translation allows. */
#define HW_READ  1u
#define HW_WRITE 2u
#define HW_EXEC  4u

/* Why an access is refused. */
enum hw_fault {
	HW_FAULT_NONE,
	HW_FAULT_NOT_PRESENT,
	HW_FAULT_READ,
	HW_FAULT_WRITE,
	HW_FAULT_EXEC,
	HW_FAULT_ACCESS_FLAG, /* the accessed bit is clear, and hardware does not set it */
	HW_FAULT_RESERVED,    /* reserved bits or values, misaligned leaves, bad replicas */
	HW_FAULT_ADDRESS,     /* the input address is wider than the tables */
	HW_FAULT_LEVEL,       /* a table of a level that is not possible, or no level left */
	HW_FAULT_MEMORY,      /* a table lies where there is no memory */
	HW_NR_FAULTS,
};

/* A short name: "not present", ... */
const char *hw_fault_name(enum hw_fault fault);

/* Physical memory that holds tables. */
struct hw_memory {
	/* Copy @bytes (at most a table) from @paddr; false where there is no memory. */
	bool (*read)(void *context, uint64_t paddr, void *to, size_t bytes);
	void *context;
};

/* What a device's entry says about its tables, and where they are. */
struct hw_tables {
	const struct hw_format *format;
	const struct hw_memory *memory;
	uint64_t root;              /* paddr of the top table */
	unsigned int address_width; /* bits of input address */
	unsigned int levels;        /* amdv1: the mode; 0 elsewhere, and for what the width needs */
	unsigned int granule_lg2;   /* arm64: 12, 14 or 16; 0 for the format's first */
	unsigned int output_width;  /* bits of physical address; 0 for all the format has */
};

/* How one level's tables lie. */
struct hw_level {
	unsigned int shift; /* log2 of the bytes that one item spans */
	unsigned int bits;  /* log2 of a table's items */
	const char *name;   /* as the specification calls it, for people: "PDE", ... */
};

struct hw_layout {
	unsigned int levels; /* level levels - 1 is the top */
	unsigned int granule_lg2;
	unsigned int address_width; /* an iova with bits above it faults... */
	unsigned int output_width;
	bool sign_extended; /* ...unless they equal the highest bit within */
	bool big_endian;
	struct hw_level level[HW_MAX_LEVELS];
};

enum hw_kind {
	HW_EMPTY, /* translates nothing */
	HW_LEAF,
	HW_TABLE,
	HW_BAD, /* faults with hw_item.fault on every access */
};

/* What one item means. */
struct hw_item {
	enum hw_kind kind;
	enum hw_fault fault;     /* HW_BAD: why */
	const char *why;         /* HW_BAD: in words, or NULL */
	uint64_t address;        /* of the table or of the start of the leaf's memory */
	unsigned int size_lg2;   /* HW_LEAF: of what it translates, over all its items */
	unsigned int run_lg2;    /* HW_LEAF: log2 of the items that form it together */
	unsigned int next_level; /* HW_TABLE: below the item's; lower than the next skips levels */
	unsigned int access;     /* HW_READ | ...; of a table: what it lets through */
	bool accessed, dirty;
};

/* Bits of an item, for people; level_mask bit n: has this meaning at level n. */
struct hw_field {
	uint8_t high, low;
	uint8_t level_mask;
	uint8_t kind_mask; /* bit (1 << enum hw_kind) */
	const char *name;  /* the specification's */
	const char *meaning;
};

struct hw_format {
	const char *name; /* "vtd", "arm64-s1", ...; granules share one */
	const char *title;
	/* Where the tables lie; -EINVAL for a width, levels or granule it lacks. */
	int (*layout)(const struct hw_tables *tables, struct hw_layout *layout);
	/*
	 * Decode @item, in the CPU's byte order, read at @level (0 is the lowest) as
	 * item @index of its table. @out is all zeros. If several items form a leaf,
	 * each of them describes the whole leaf; the walk checks that they agree.
	 */
	void (*decode)(const struct hw_tables *tables, const struct hw_layout *layout,
		       uint64_t item, unsigned int level, unsigned int index, struct hw_item *out);
	const struct hw_field *fields; /* ends with an entry whose .name is NULL */
};

/* layout() with @out cleared first; -EINVAL also for a root that is not aligned to its table. */
int hw_layout(const struct hw_tables *tables, struct hw_layout *out);

/* What one item means; decode() with @out cleared first. */
void hw_decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
	       unsigned int level, unsigned int index, struct hw_item *out);

const struct hw_format *hw_format_find(const char *name);
/* By number from 0; NULL after the last one. */
const struct hw_format *hw_format_at(unsigned int index);

/* One step of a walk. */
struct hw_step {
	uint64_t table, paddr; /* of the table, of the item in it */
	uint64_t value;        /* of the item, in the CPU's byte order */
	unsigned int level, index;
	struct hw_item item;
};

struct hw_translation {
	enum hw_fault fault;
	const char *why;
	uint64_t paddr;        /* of the byte at iova */
	unsigned int size_lg2; /* of the leaf; what may be cached for it */
	unsigned int access;   /* allowed, over all levels */
	bool dirty;
	unsigned int nr_steps;
	struct hw_step steps[HW_MAX_LEVELS]; /* from the top down */
};

/*
 * Translate one access. Returns the fault, which is also in @out. @access is HW_READ,
 * HW_WRITE, both, or 0 for a lookup without an access.
 */
enum hw_fault hw_translate(const struct hw_tables *tables, uint64_t iova, unsigned int access,
			   struct hw_translation *out);

/* One leaf of a listing, or one error. */
struct hw_found {
	uint64_t iova, size; /* of the leaf; of what a bad item spans (0: all 64 bits) */
	uint64_t item_paddr;
	unsigned int level;
	struct hw_item item;
	unsigned int access; /* over all levels */
};

/* A table of a listing. */
struct hw_table {
	uint64_t paddr, iova;
	unsigned int level;
	unsigned int items, leaves, tables, bad; /* items in use, and of each kind */
};

struct hw_list_ops {
	/*
	 * A callback ends the listing by returning false. Either may be NULL. Leaves
	 * and bad items come in ascending order of iova, tables after their contents.
	 */
	bool (*found)(void *context, const struct hw_found *found);
	bool (*table)(void *context, const struct hw_table *table);
	void *context;
	uint64_t budget; /* the most items to read; 0 for HW_LIST_BUDGET */
};

#define HW_LIST_BUDGET (UINT64_C(1) << 28)

/*
 * List everything in the tables, item by item, as hw_translate() would find it. Returns
 * 0; -EINVAL as hw_layout(); -E2BIG when the budget was used up; -ECANCELED when a
 * callback ended it; -ENOMEM.
 */
int hw_list(const struct hw_tables *tables, const struct hw_list_ops *ops);

#endif
