/* SPDX-License-Identifier: MIT */
/*
 * uiommu walk: the file as physical memory. It is read piece by piece and never mapped:
 * if it becomes shorter meanwhile, there is no memory beyond its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/walk.h"

static bool read_image(void *context, uint64_t paddr, void *to, size_t bytes)
{
	struct walk_image *image = context;
	uint64_t offset = paddr - image->base;
	size_t done = 0;

	if (paddr < image->base || offset >= image->size || bytes > image->size - offset)
		return false;
	while (done < bytes) {
		ssize_t part =
			pread(image->fd, (char *)to + done, bytes - done, (off_t)(offset + done));

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0 && !image->error)
			image->error = errno;
		if (part <= 0)
			return false;
		done += (size_t)part;
	}
	return true;
}

static uint64_t size_of(const char *name, int fd)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st))
		die("%s: %s", quoted(name), strerror(errno));
	if (S_ISDIR(st.st_mode))
		die("%s: %s", quoted(name), strerror(EISDIR));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		die("%s: neither a file nor a block device", quoted(name));
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		die("%s: %s", quoted(name), strerror(errno));
	if (!size)
		die("%s: is empty", quoted(name));
	return (uint64_t)size;
}

static void open_image(struct walk_image *image, const struct walk_args *args)
{
	uint64_t room = -args->base; /* up to the end of addresses; 0: all */

	/* Without O_NONBLOCK, open() would wait for the writer of a named pipe. */
	image->fd = open(args->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (image->fd < 0)
		die("%s: %s", quoted(args->image), strerror(errno));
	image->name = args->image;
	image->base = args->base;
	image->size = size_of(args->image, image->fd);
	if (room && image->size > room)
		image->size = room;
	if (args->root < args->base || args->root - args->base >= image->size)
		die("--root %#llx: not in %s, which is from %#llx to %#llx",
		    (unsigned long long)args->root, quoted(args->image),
		    (unsigned long long)args->base,
		    (unsigned long long)(args->base + image->size - 1));
}

/* The most bits of address that so many levels translate; 0 if there are no such levels. */
static unsigned int width_of_levels(struct hw_tables tables, unsigned int levels)
{
	struct hw_layout layout;

	tables.root = 0;
	tables.levels = 0;
	for (tables.address_width = 64; tables.address_width; tables.address_width--)
		if (!hw_layout(&tables, &layout) && layout.levels == levels)
			break;
	return tables.address_width;
}

/*
 * AMD's tables contain their levels: the top is one above the highest level that it
 * points to. A top that points to none has the levels that Linux begins with.
 */
static unsigned int levels_of_top(const struct walk *walk)
{
	struct hw_tables tables = walk->tables;
	struct hw_layout layout;
	unsigned int levels = 0;

	tables.levels = HW_MAX_LEVELS;
	if (hw_layout(&tables, &layout))
		return 0;
	for (unsigned int i = 0; i < 512; i++) {
		struct hw_item item;
		uint64_t value;

		if (!walk->memory.read(walk->memory.context, tables.root + i * sizeof(value),
				       &value, sizeof(value)))
			break;
		hw_decode(&tables, &layout, value, HW_MAX_LEVELS - 1, i, &item);
		if (item.kind == HW_TABLE && item.next_level + 2 > levels)
			levels = item.next_level + 2;
	}
	return levels ? levels : 3;
}

static void refuse_layout(const struct walk *walk, const struct walk_args *args)
{
	struct hw_tables tables = walk->tables;
	struct hw_layout layout;

	tables.root = 0;
	if (!hw_layout(&tables, &layout))
		die("--root %#llx: not aligned to the top table", (unsigned long long)args->root);
	if (args->levels)
		die("--levels %u: %s with %u bits of address does not have so many", args->levels,
		    args->iommu, tables.address_width);
	die("--address-width %u: %s has no such tables", tables.address_width, args->iommu);
}

void walk_open(struct walk *walk, const struct walk_args *args)
{
	struct hw_tables *tables = &walk->tables;

	tables->format = hw_format_find(args->format->family);
	if (!tables->format)
		die("--iommu %s: has no walker", args->iommu);
	open_image(&walk->image, args);
	walk->memory = (struct hw_memory){read_image, &walk->image};
	tables->memory = &walk->memory;
	tables->root = args->root;
	tables->levels = args->levels;
	tables->granule_lg2 = (unsigned int)__builtin_ctzll(args->format->granule);
	tables->address_width =
		args->address_width ? args->address_width : args->format->width_default;
	if (!args->levels && !args->address_width && !strcmp(tables->format->name, "amdv1"))
		tables->levels = levels_of_top(walk);
	if (args->levels && !args->address_width && hw_layout(tables, &walk->layout)) {
		unsigned int width = width_of_levels(*tables, args->levels);

		if (width)
			tables->address_width = width;
	}
	if (hw_layout(tables, &walk->layout))
		refuse_layout(walk, args);
}

void walk_close(struct walk *walk)
{
	close(walk->image.fd);
}
