/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of other processes, and of this one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "iommufd/user.h"
#include "plat/spinlock.h"

static struct spinlock users_lock;
static struct iommufd_user own_user = {.uid = (uid_t)-1};
static struct iommufd_user *users;

static struct iommufd_mm own = {.pagemap = -1, .maps = -1, .mem = -1, .user = &own_user};

struct iommufd_mm *iommufd_mm_own(void)
{
	return &own;
}

struct iommufd_mm *iommufd_mm_get(struct iommufd_mm *mm)
{
	if (!iommufd_mm_is_own(mm))
		atomic_fetch_add(&mm->refs, 1);
	return mm;
}

static void close_file(int fd)
{
	if (fd >= 0)
		close(fd);
}

void iommufd_mm_put(struct iommufd_mm *mm)
{
	if (iommufd_mm_is_own(mm) || atomic_fetch_sub(&mm->refs, 1) != 1)
		return;
	close_file(mm->pagemap);
	close_file(mm->maps);
	close_file(mm->mem);
	free(mm);
}

static struct iommufd_user *find_user(uid_t uid)
{
	struct iommufd_user *user;

	spin_lock(&users_lock);
	for (user = users; user && user->uid != uid; user = user->next)
		;
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (user) {
			user->uid = uid;
			user->next = users;
			users = user;
		}
	}
	spin_unlock(&users_lock);
	return user;
}

static int open_file(pid_t pid, const char *name, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_files(struct iommufd_mm *mm, pid_t pid)
{
	struct stat st;

	mm->pagemap = open_file(pid, "pagemap", O_RDONLY);
	if (mm->pagemap < 0)
		return mm->pagemap;
	mm->maps = open_file(pid, "maps", O_RDONLY);
	if (mm->maps < 0)
		return mm->maps;
	mm->mem = open_file(pid, "mem", O_RDWR);
	if (mm->mem < 0)
		return mm->mem;
	if (fstat(mm->pagemap, &st))
		return -errno;
	mm->user = find_user(st.st_uid);
	return mm->user ? 0 : -ENOMEM;
}

struct iommufd_mm *iommufd_mm_open(pid_t pid)
{
	struct iommufd_mm *mm = malloc(sizeof(*mm));
	int ret;

	if (!mm)
		return ERR_PTR(-ENOMEM);
	*mm = (struct iommufd_mm){.refs = 1, .pid = pid, .pagemap = -1, .maps = -1, .mem = -1};
	ret = open_files(mm, pid);
	if (!ret)
		return mm;
	iommufd_mm_put(mm);
	return ERR_PTR(ret);
}

static int rw_own(uint64_t uaddr, void *data, size_t length, bool write)
{
	struct iovec local = {.iov_base = data, .iov_len = length};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)uaddr, .iov_len = length};
	ssize_t done = write ? process_vm_writev(iommufd_getpid(), &local, 1, &remote, 1, 0)
			     : process_vm_readv(iommufd_getpid(), &local, 1, &remote, 1, 0);

	return done == (ssize_t)length ? 0 : -EFAULT;
}

int iommufd_mm_rw(struct iommufd_mm *mm, uint64_t uaddr, void *data, size_t length, bool write)
{
	if (iommufd_mm_is_own(mm))
		return rw_own(uaddr, data, length, write);
	while (length) {
		ssize_t done = write ? pwrite(mm->mem, data, length, (off_t)uaddr)
				     : pread(mm->mem, data, length, (off_t)uaddr);

		if (done <= 0)
			return -EFAULT;
		uaddr += (size_t)done;
		data = (char *)data + done;
		length -= (size_t)done;
	}
	return 0;
}
