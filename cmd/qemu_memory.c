/* SPDX-License-Identifier: MIT */
/* Memory backends: how much memory, in pages of which size. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "cmd/cmd.h"
#include "cmd/qemu.h"

#define HUGETLBFS 0x958458f6

/* The size in the name of a mount point of huge pages, "hugepages1G" or "huge-2048kB", or 0. */
static uint64_t named_page(const char *name)
{
	char *end;
	uint64_t page;
	unsigned int shift;

	while (isalpha((unsigned char)*name))
		name++;
	if (*name == '-' || *name == '_')
		name++;
	if (!isdigit((unsigned char)*name))
		return 0;
	page = strtoull(name, &end, 10);
	switch (tolower((unsigned char)*end)) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	default:
		return 0;
	}
	if (isalnum((unsigned char)end[1]) && tolower((unsigned char)end[1]) != 'b')
		return 0;
	return page && page <= 1 << 20 && !(page & (page - 1)) ? page << shift : 0;
}

uint64_t qemu_path_page(struct guest *guest, const char *where, const char *path)
{
	const char *name = strcasestr(path, "huge");
	struct statfs fs;
	char text[BYTES_TEXT];
	uint64_t page;

	if (!statfs(path, &fs) && (uint32_t)fs.f_type == HUGETLBFS)
		return (uint64_t)fs.f_bsize;
	if (!name)
		return 0;
	page = named_page(name);
	guest_note(guest, "%s %s: taken as huge pages of %s", where, path,
		   page ? exact_bytes(page, text) : "the usual size");
	return page ? page : GUEST_HUGE;
}

static uint64_t page_of(struct guest *guest, const struct qemu_opts *opts, const char *kind)
{
	const char *path = qemu_opt(opts, "mem-path");
	uint64_t page = 0;

	if (!strcmp(kind, "file") && path)
		return qemu_path_page(guest, "mem-path", path);
	if (strcmp(kind, "memfd") || !qemu_opt_bool(opts, "hugetlb", false))
		return 0;
	page = qemu_opt_bytes(opts, "hugetlbsize", 1, GUEST_HUGE);
	if (!page || page & (page - 1))
		die("%s: hugetlbsize=%s: expected a power of two", opts->where,
		    qemu_opt(opts, "hugetlbsize"));
	return page;
}

void qemu_read_memory(struct guest *guest, struct qemu_memory *memory, const struct qemu_opts *opts)
{
	const char *kind = qemu_opt(opts, "qom-type") + strlen("memory-backend-");

	memory->id = qemu_opt(opts, "id");
	if (!memory->id)
		die("%s: id= is missing", opts->where);
	memory->bytes = qemu_opt_bytes(opts, "size", 1, 0);
	if (!memory->bytes)
		die("%s,id=%s: size= is missing or 0", opts->where, memory->id);
	memory->page = page_of(guest, opts, kind);
	/* QEMU aligns anonymous memory to 2 MiB, for transparent huge pages. */
	memory->align = strcmp(kind, "ram") ? memory->page : 2 * MIB;
}
