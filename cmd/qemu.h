/* SPDX-License-Identifier: MIT */
/* The parts of reading a QEMU command line. */
#ifndef CMD_QEMU_H
#define CMD_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/guest.h"

/* A command line in words. */
struct words {
	const char **word; /* NULL where a command ends */
	size_t nr;
};

/*
 * words.c: split @text as a shell does: quotes, backslashes, comments, no
 * expansion. "@FILE" is read from a file, "@-" from standard input; words there
 * may end in NULs, as in /proc/PID/cmdline.
 */
void words_split(struct words *words, struct guest *guest, const char *text);

/* An option's argument: keys and values in their order. */
struct qemu_opts {
	struct guest *guest;
	const char *where; /* "--qemu -device vfio-pci", for messages */
	struct qemu_opt {
		const char *key, *value;
	} * opts;
	size_t nr;
};

/*
 * qemu_opts.c: read "value,key=value,key" or JSON; @implied is the key of a first
 * value without one.
 */
void qemu_opts_read(struct qemu_opts *opts, struct guest *guest, const char *where,
		    const char *text, const char *implied);
void qemu_opts_add(struct qemu_opts *opts, const char *key, const char *value);

/* The last value of a key, or NULL. */
const char *qemu_opt(const struct qemu_opts *opts, const char *key);

/* A value as a switch; dies if it is neither on nor off. */
bool qemu_opt_bool(const struct qemu_opts *opts, const char *key, bool otherwise);

/* A value as a size in units of @plain bytes; dies if it is none. */
uint64_t qemu_opt_bytes(const struct qemu_opts *opts, const char *key, uint64_t plain,
			uint64_t otherwise);

/* A memory backend (-object memory-backend-*). */
struct qemu_memory {
	const char *id;
	uint64_t bytes, page;
	uint64_t align; /* of a memory device that shows it; 0: a page */
};

/* qemu_memory.c: the size of pages that files in a directory have; 0 if ordinary. */
uint64_t qemu_path_page(struct guest *guest, const char *where, const char *path);
void qemu_read_memory(struct guest *guest, struct qemu_memory *memory,
		      const struct qemu_opts *opts);

/*
 * qemu_pci.c: the memory and the option ROM of an emulated PCI device; @memory is
 * its memdev, if it has one.
 */
void qemu_add_pci(struct guest *guest, const char *driver, const struct qemu_opts *opts,
		  const struct qemu_memory *memory);
bool qemu_is_vga(const char *driver);

#endif
