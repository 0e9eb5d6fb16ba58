/* SPDX-License-Identifier: MIT */
/*
 * Memory that programs share with us by mapping one of our files.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

/*
 * Our mapping is of an open description of its own. That one is closed after the file was
 * released, when nothing watches it any more.
 */
int file_share(struct file *file, int fd)
{
	void *at;

	if (ftruncate(fd, FILE_SHARED_SIZE))
		return -errno;
	at = mmap(NULL, FILE_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	file->shared = at;
	return 0;
}

static bool maps(FILE *list, const struct file *file, uint64_t offset, uint64_t length)
{
	uint64_t start, end, at, ino;
	unsigned int major, minor;
	char line[512];

	while (fgets(line, sizeof(line), list)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &start,
			   &end, &at, &major, &minor, &ino) == 6 &&
		    ino == file->ino && makedev(major, minor) == file->dev &&
		    at < offset + length && offset < at + (end - start))
			return true;
	}
	return false;
}

static bool process_maps(const char *pid, const struct file *file, uint64_t offset, uint64_t length)
{
	char path[300];
	FILE *list;
	bool found;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	list = fopen(path, "re");
	if (!list)
		return false;
	found = maps(list, file, offset, length);
	fclose(list);
	return found;
}

/* There is no other way to know: the end of a mapping is no call that comes here. */
bool file_is_mapped(const struct file *file, uint64_t offset, uint64_t length)
{
	const struct dirent *entry;
	bool found = false;
	DIR *dir = opendir("/proc");

	while (dir && !found && (entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
			found = process_maps(entry->d_name, file, offset, length);
	}
	if (dir)
		closedir(dir);
	return found;
}
