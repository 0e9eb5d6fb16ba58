/* SPDX-License-Identifier: MIT */
/*
 * The oracle: tables that the library writes, walked by something that is not
 * ours. A peer is such a walker, an IOMMU model or a CPU of QEMU with no guest
 * system on it. The driver (random.c) changes a domain at random, keeps a model
 * of it (model.c) and compares what the peer makes of addresses with the model.
 *
 * Each case (a format, a width, a granule) is a process of its own, because the
 * arena's place in the guest's memory is fixed once: the arena is mapped over a
 * part of the guest's RAM, so the peer walks the live tables.
 *
 * Nobody returns errors here: what cannot go on calls die(), which ends the case
 * with one line and fails it.
 */
#ifndef TESTS_ORACLE_ORACLE_H
#define TESTS_ORACLE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/iommu.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RW            (IOMMU_READ | IOMMU_WRITE)
#define ARENA_BYTES   (UINT64_C(256) << 20)

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* What is tried. */
struct oracle_case {
	const char *format; /* as in iommu_domain_params.format */
	unsigned int width; /* bits of input address */
	uint64_t pgsizes;   /* as in iommu_domain_params; 0 for all */
	struct peer *peer;
};

/* One set of tables, as a device's entry describes it. */
struct oracle_tables {
	const struct oracle_case *test;
	uint64_t root;       /* guest-physical address of the top table */
	unsigned int levels; /* of tables at present */
};

/* Why an access is refused. */
enum refusal {
	REFUSAL_UNTOLD, /* the peer does not say */
	REFUSAL_ABSENT, /* nothing is translated there */
	REFUSAL_DENIED, /* something is, but not for this access */
	REFUSAL_OTHER,  /* what sound tables never lead to */
};

/* One access, and what became of it. */
struct probe {
	uint64_t iova; /* any alignment: a peer may access less than the whole page at it */
	int access;    /* IOMMU_READ or IOMMU_WRITE */

	bool fault;            /* refused, whatever the reason */
	enum refusal refusal;  /* the reason, if it is */
	uint64_t paddr;        /* of the byte at iova, if not refused */
	unsigned int size_lg2; /* of the leaf; 0 where the peer does not tell */
};

/* A mapping in a peer's own listing of the tables. */
struct listed {
	uint64_t iova, paddr;
	unsigned int size_lg2;
	int access;
};

/* An item of a table that is about to be changed by a bit. */
struct oracle_item {
	const struct oracle_tables *tables;
	uint64_t iova;         /* first address whose walk comes by it */
	unsigned int span_lg2; /* of such addresses */
	uint64_t value;        /* in the CPU's byte order */
	unsigned int level;    /* 0 is the lowest */
	bool leaf;             /* else it points to a table */
	unsigned int size_lg2; /* of the leaf, over all its items */
};

struct peer {
	const char *name;    /* for people: "QEMU intel-iommu" */
	const char *program; /* the emulator, looked up in PATH; --qemu replaces it */

	/* The guest's RAM file, and where in it the arena goes. */
	uint64_t ram_bytes;
	uint64_t arena_offset; /* in the file, a multiple of 2 MiB */
	uint64_t arena_paddr;  /* that place as the guest sees it */

	/* Where leaves may point: what lies within and is not excluded. */
	uint64_t paddr_first, paddr_last;
	/* Input addresses that never reach the tables; none when last is 0. */
	uint64_t hole_first, hole_last;
	/* Widest address that the peer can put to the tables; 0 for 64 bits. */
	unsigned int probe_bits;
	/* IOMMU_* flags that mappings may have at random beside read and write. */
	int flags;
	/* Would it follow tables for ever from an item of this value? NULL if it never does. */
	bool (*endless)(uint64_t value);

	/* Start it, with tables nowhere. It is one per process. */
	void (*start)(struct peer *peer, const struct oracle_case *test);
	/* Let accesses go through these tables; forgets whatever was cached. */
	void (*set_tables)(struct peer *peer, const struct oracle_tables *tables);
	/* Fill in the answers. */
	void (*probe)(struct peer *peer, struct probe *probes, size_t count);
	/* The driver's iommu_iotlb_ops.flush, and the only invalidation there is. */
	void (*invalidate)(struct peer *peer, uint64_t iova, uint64_t last, bool tables);
	/* Forget everything: for changes that the domain knows nothing of. */
	void (*invalidate_all)(struct peer *peer);
	void (*stop)(struct peer *peer);

	/*
	 * If the peer can list its mappings: calls @each in ascending order of
	 * iova as 64-bit numbers. May be NULL.
	 */
	void (*list)(struct peer *peer, void (*each)(void *context, const struct listed *listed),
		     void *context);

	/*
	 * Why the peer cannot notice that a bit is changed: what the book says
	 * of the bit, or what the peer leaves out. NULL when it must notice.
	 */
	const char *(*ignores)(const struct oracle_item *item, unsigned int bit);
};

extern struct peer peer_vtd, peer_amdv1, peer_x86_64, peer_x86_cpu, peer_smmuv3, peer_arm_cpu;
extern struct peer peer_riscv64, peer_s390;

/* The guest's RAM from its first byte, mapped read-write; ram_bytes of it. */
extern char *oracle_ram;
/* Its file, for memory-backend-file. */
extern int oracle_ram_fd;
/* What --qemu said, or NULL. */
extern const char *oracle_qemu;

#endif
