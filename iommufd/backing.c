/* SPDX-License-Identifier: MIT */
/*
 * Files behind shared memory of programs. What a process has pinned outlives the
 * process: of memory that others can share, this process keeps the file while it is
 * pinned, and can map it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

/* Where it is mapped in this process. One that is too short stays: it may be in use. */
struct backing_map {
	char *at;
	size_t size;
	struct backing_map *older;
};

struct iommufd_backing {
	unsigned int refs;
	dev_t dev;
	ino_t ino;
	size_t block; /* what offsets of mappings are multiples of */
	int fd;
	struct backing_map *map; /* the latest, of most of the file, or NULL */
	struct iommufd_backing *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct iommufd_backing *all;

static bool is_file(int fd, const struct user_vma *vma, struct stat *st)
{
	return !fstat(fd, st) && st->st_ino == vma->ino && S_ISREG(st->st_mode);
}

/* By a descriptor that the process has of it. */
static int open_descriptor(pid_t pid, const struct user_vma *vma, struct stat *st)
{
	const struct dirent *entry;
	char path[64];
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, st, 0) || st->st_ino != vma->ino ||
		    st->st_dev != vma->dev || !S_ISREG(st->st_mode))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* By the mapping itself, which only the privileged may, else by a descriptor. */
static int open_file(pid_t pid, const struct user_vma *vma, struct stat *st)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", (int)pid,
		 (unsigned long)vma->start, (unsigned long)vma->end);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = open_descriptor(pid, vma, st);
	if (fd >= 0 && !is_file(fd, vma, st)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static struct iommufd_backing *backing_new(pid_t pid, const struct user_vma *vma)
{
	struct iommufd_backing *backing;
	struct stat st;
	int fd = open_file(pid, vma, &st);

	if (fd < 0)
		return NULL;
	backing = malloc(sizeof(*backing));
	if (!backing) {
		close(fd);
		return NULL;
	}
	*backing = (struct iommufd_backing){.refs = 1,
					    .dev = vma->dev,
					    .ino = vma->ino,
					    .block = (size_t)st.st_blksize,
					    .fd = fd,
					    .next = all};
	all = backing;
	return backing;
}

struct iommufd_backing *iommufd_backing_get(const struct iommufd_mm *mm, uint64_t start,
					    uint64_t end, uint64_t *offset)
{
	struct iommufd_backing *backing;
	struct user_vma vma;

	if (iommufd_mm_is_own(mm) || iommufd_vma_at(mm, start, &vma) || !vma.shared || !vma.file ||
	    vma.end < end)
		return NULL;
	*offset = vma.offset + (start - vma.start);
	pthread_mutex_lock(&lock);
	for (backing = all; backing; backing = backing->next)
		if (backing->ino == vma.ino && backing->dev == vma.dev)
			break;
	if (backing)
		backing->refs++;
	else
		backing = backing_new(mm->pid, &vma);
	pthread_mutex_unlock(&lock);
	return backing;
}

static struct backing_map *new_map(const struct iommufd_backing *backing, uint64_t end)
{
	size_t block = MAX(backing->block, IOPT_PAGE_SIZE);
	struct backing_map *map = malloc(sizeof(*map));
	struct stat st;
	void *at;

	if (!map)
		return NULL;
	if (!fstat(backing->fd, &st) && (uint64_t)st.st_size > end)
		end = (uint64_t)st.st_size;
	map->size = (size_t)(end + block - 1) & ~(block - 1);
	at = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, backing->fd,
		  0);
	if (at == MAP_FAILED) {
		free(map);
		return NULL;
	}
	map->at = at;
	map->older = backing->map;
	return map;
}

/* Where the file is in this process, up to @end at least. NULL. */
static char *map_up_to(struct iommufd_backing *backing, uint64_t end)
{
	struct backing_map *map;

	pthread_mutex_lock(&lock);
	map = backing->map;
	if (!map || map->size < end) {
		map = new_map(backing, end);
		if (map)
			backing->map = map;
	}
	pthread_mutex_unlock(&lock);
	return map ? map->at : NULL;
}

static void unmap_all(struct iommufd_backing *backing)
{
	while (backing->map) {
		struct backing_map *map = backing->map;

		backing->map = map->older;
		munmap(map->at, map->size);
		free(map);
	}
}

void iommufd_backing_put(struct iommufd_backing *backing)
{
	struct iommufd_backing **at = &all;

	pthread_mutex_lock(&lock);
	if (--backing->refs) {
		pthread_mutex_unlock(&lock);
		return;
	}
	while (*at != backing)
		at = &(*at)->next;
	*at = backing->next;
	pthread_mutex_unlock(&lock);
	unmap_all(backing);
	close(backing->fd);
	free(backing);
}

int iommufd_backing_rw(struct iommufd_backing *backing, uint64_t offset, void *data, size_t length,
		       bool write)
{
	const char *at = map_up_to(backing, offset + length);

	/* The program may have cut the file short: that is an error and no signal. */
	return at ? iommufd_mm_rw(iommufd_mm_own(), (uintptr_t)at + offset, data, length, write)
		  : -EFAULT;
}
