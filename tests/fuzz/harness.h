/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. An input is a sequence of operations that mostly
 * make sense: ids of objects that there are, addresses from a pool that has
 * good and bad memory. It runs in a context of its own under a memory.max of
 * its own, after which nothing may be charged or pinned, and no file open.
 *
 * A pointer is never taken from the input as it is: what an ioctl writes to, or
 * an access by way of a mapping, must be the pool or nothing.
 */
#ifndef TESTS_FUZZ_HARNESS_H
#define TESTS_FUZZ_HARNESS_H

#include "iommufd/test_abi.h"
#include "tests/iommufd_rig.h"

/*
 * What an ioctl's struct consists of, a letter each. 32 bits: s its size, O the
 * form's op, i an id, of an IOAS I, an HWPT H, either of them Q, a device D, a
 * mock device S, a fault queue F; a the descriptor of an access, d of a file; f
 * flags, n a number, t a type, z 0; 16 bits: h a small number, r 0; 64 bits: A
 * address of memory to map, P of data, L length, V iova, p page size, o option
 * value, Z 0.
 */
struct fuzz_form {
	unsigned int cmd;
	const char *fields;
	uint32_t op, size; /* size: 0 is that of its fields */
};

#define FUZZ_FILES 32

struct fuzz {
	struct rig rig;
	uint64_t max; /* memory.max, or ~0 */
	pthread_mutex_t lock;
	struct {
		void *file;
		enum iommufd_file_kind kind;
		unsigned int users; /* the descriptor and each call */
		bool closed;
	} files[FUZZ_FILES];
};

/* One thread with its part of the input. */
struct fuzz_caller {
	struct fuzz *fuzz;
	const uint8_t *at, *end;
	unsigned int nth;
	uint64_t mapped; /* the last A */
};

/* What a target is. */
struct fuzz_family {
	const struct fuzz_form *forms;
	unsigned int nr_forms;
	void (*const *calls)(struct fuzz_caller *caller); /* up to a NULL */
	void (*begin)(struct fuzz *fuzz);                 /* more for the context to have */
	bool test_abi;
	bool racing; /* two threads, half the input each */
};

extern const struct fuzz_family fuzz_family;

/* ---- values.c ---- */

/*
 * The pool, in pages: what can be written, what can be read, nothing, a file
 * and what is beyond its end, a page for data of each caller with nothing
 * behind it; and then nothing for as long as a bitmap may reach.
 */
enum {
	POOL_RW = 0,
	POOL_RO = 32,
	POOL_NONE = 34,
	POOL_FILE = 36,
	POOL_FILE_END = 38,
	POOL_DATA = 40,
	POOL_PAGES = 44,
};
#define POOL_SPAN (16ULL << 30)

extern char *fuzz_pool;
extern int fuzz_pool_file;

void fuzz_pool_begin(void);
/* From the input, or 0 at its end. */
uint8_t fuzz_u8(struct fuzz_caller *caller);
uint64_t fuzz_raw(struct fuzz_caller *caller, unsigned int bytes);
uint64_t fuzz_bad_address(unsigned int nth);
uint64_t fuzz_value(struct fuzz_caller *caller, char letter);
unsigned int fuzz_size_of(char letter);
uint64_t fuzz_iova(struct fuzz_caller *caller);
uint64_t fuzz_data(struct fuzz_caller *caller);
uint32_t fuzz_id(struct fuzz_caller *caller, char letter);

/* ---- harness.c ---- */

/* 0, an id, a length, or a negative errno; anything else is a failure. */
void fuzz_check(long rc);

/* ---- calls.c ---- */

extern const struct iommufd_host fuzz_host;

/* Those of accesses, or all. */
void fuzz_close_files(struct fuzz *fuzz, bool all);
/* For fuzz_family.calls. */
void fuzz_call_device(struct fuzz_caller *caller);
void fuzz_call_pasid(struct fuzz_caller *caller);
void fuzz_call_file(struct fuzz_caller *caller);
void fuzz_call_access(struct fuzz_caller *caller);
void fuzz_call_dirty(struct fuzz_caller *caller);

#endif
