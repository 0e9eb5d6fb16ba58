/* SPDX-License-Identifier: MIT */
/*
 * What our files do: the paths they are opened by, and the calls on them.
 */
#include "preload/preload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>

#include <uiommu/mm.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#include "vfio/cdev.h"

#define VFIO_DIRECTORY "/dev/vfio/devices/vfio"
/* Of the kind that Linux gives out; stat() shows them and sysfs would too. */
#define IOMMU_DEVICE makedev(10, 125)
#define VFIO_MAJOR   511

static unsigned int nr_contexts;

__thread unsigned int calls_under_way;

/* ---- paths ---- */

struct path {
	enum file_kind kind;
	unsigned int index; /* of a VFIO device */
};

/* A decimal number without leading zeros, all of @text. */
static bool parse_index(const char *text, unsigned int limit, unsigned int *index)
{
	unsigned int n = 0;

	if (!*text || (*text == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (unsigned int)(*text - '0');
		if (n >= limit)
			return false;
	}
	*index = n;
	return true;
}

/* /proc/self/fail-nth, and that of a task by its number. */
static bool is_fail_nth(const char *path)
{
	static const char task[] = "/proc/self/task/";
	unsigned int tid;
	char number[16];
	size_t digits;

	if (!strcmp(path, "/proc/self/fail-nth") || !strcmp(path, "/proc/thread-self/fail-nth"))
		return true;
	if (strncmp(path, task, sizeof(task) - 1))
		return false;
	path += sizeof(task) - 1;
	digits = strcspn(path, "/");
	if (digits >= sizeof(number) || strcmp(path + digits, "/fail-nth"))
		return false;
	memcpy(number, path, digits);
	number[digits] = '\0';
	return parse_index(number, 1u << 30, &tid);
}

static bool parse_path(const char *path, struct path *found)
{
	if (!path || path[0] != '/')
		return false;
	if (!strcmp(path, "/dev/iommu")) {
		found->kind = FILE_IOMMU;
		return true;
	}
	if (!strncmp(path, VFIO_DIRECTORY, sizeof(VFIO_DIRECTORY) - 1)) {
		found->kind = FILE_VFIO;
		return parse_index(path + sizeof(VFIO_DIRECTORY) - 1, options()->devices,
				   &found->index);
	}
	if (!strncmp(path, "/proc/", 6) && options()->test_abi && is_fail_nth(path)) {
		found->kind = FILE_FAIL_NTH;
		return true;
	}
	return false;
}

static void path_stat(enum file_kind kind, unsigned int index, unsigned int *mode, uint64_t *rdev)
{
	*mode = kind == FILE_FAIL_NTH ? S_IFREG | 0644 : S_IFCHR | 0600;
	*rdev = kind == FILE_IOMMU  ? IOMMU_DEVICE
		: kind == FILE_VFIO ? makedev(VFIO_MAJOR, index)
				    : 0;
}

bool files_stat(const char *path, unsigned int *mode, uint64_t *rdev)
{
	struct path found = {0};

	if (!parse_path(path, &found))
		return false;
	path_stat(found.kind, found.index, mode, rdev);
	return true;
}

void file_stat(const struct file *file, unsigned int *mode, uint64_t *rdev)
{
	path_stat(file->kind, file->kind == FILE_VFIO ? vfio_cdev_index(file->cdev) : 0, mode,
		  rdev);
	if (file->kind == FILE_FAULT || file->kind == FILE_ACCESS)
		*mode = S_IFREG | 0600;
}

/* ---- descriptors ---- */

/* A fault file's descriptor can be polled; its readiness is kept by file_changed(). */
static int new_descriptor(enum file_kind kind, int flags)
{
	if (kind == FILE_FAULT)
		return eventfd(0, EFD_NONBLOCK | ((flags & O_CLOEXEC) ? EFD_CLOEXEC : 0));
	return memfd_create("uiommu", (flags & O_CLOEXEC) ? MFD_CLOEXEC : 0);
}

/* Give a file its first descriptor, or drop it. */
static int publish(struct file *file, int flags)
{
	int fd = new_descriptor(file->kind, flags);
	int ret = fd < 0 ? -errno : table_install(fd, file);

	if (ret && fd >= 0)
		real()->close(fd);
	if (!ret && (flags & O_NONBLOCK))
		real()->fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	return ret ? ret : fd;
}

static int install_file(void *context, enum iommufd_file_kind kind, void *object)
{
	struct file *file = file_alloc(kind == IOMMUFD_FILE_FAULT ? FILE_FAULT : FILE_ACCESS);
	int fd;

	if (!file)
		return -ENFILE;
	file->object = object;
	file->context = context;
	file_hold(file->context);
	fd = publish(file, O_CLOEXEC);
	if (fd < 0) {
		file->object = NULL; /* still the caller's */
		file_put(file);
		return fd;
	}
	file_put(file);
	return fd;
}

static void remove_file(void *context, int fd)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;

	if (!file)
		return;
	file->object = NULL; /* still the caller's */
	table_remove(fd);
	real()->close(fd);
	file_put(file);
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	int ret = -EBADFD;

	if (!file)
		return ret;
	if (file->kind == (kind == IOMMUFD_FILE_FAULT ? FILE_FAULT : FILE_ACCESS))
		ret = call(file->object, arg);
	file_put(file);
	return ret;
}

/*
 * The descriptor of a fault file is an eventfd that is readable exactly while
 * there is a fault. Called with locks of the library held.
 */
static void file_changed(void *context, enum iommufd_file_kind kind, void *object, bool readable)
{
	uint64_t count;
	int fd = kind == IOMMUFD_FILE_FAULT ? table_find_object(object) : -1;

	if (fd < 0)
		return;
	if (real()->read(fd, &count, sizeof(count)) < 0)
		count = 0;
	count = 1;
	if (readable && real()->write(fd, &count, sizeof(count)) < 0)
		return;
}

static const struct iommufd_host host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
	.file_changed = file_changed,
};

static struct iommufd_ctx *get_context(int fd, void **hold)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;

	if (file && file->kind != FILE_IOMMU) {
		file_put(file);
		return NULL;
	}
	*hold = file;
	return file ? file->ctx : NULL;
}

static void put_context(void *hold)
{
	file_put(hold);
}

static const struct vfio_cdev_host vfio_host = {
	.get = get_context,
	.put = put_context,
};

/* --fail-nth counts from the first use on, in the thread that makes it. */
static void arm_fail_nth(void)
{
	if (process.fail_nth_set || !options()->fail_nth)
		return;
	process.fail_nth_set = true;
	uiommu_fail_nth(options()->fail_nth, false);
}

static int open_iommu(struct file *file)
{
	const struct options *o = options();
	struct iommufd_config config = {
		.format = o->format,
		.address_width = o->address_width,
		.phys = o->phys,
		.owner = o->owner,
		.host = &host,
		.host_context = file,
		.memlock = o->memlock,
		.test_abi = o->test_abi,
	};

	table_reap();
	arm_fail_nth();
	file->slot = account_slot();
	file->ctx = iommufd_ctx_create(&config);
	if (IS_ERR(file->ctx)) {
		int ret = (int)PTR_ERR(file->ctx);

		file->ctx = NULL;
		return ret;
	}
	file->number = __atomic_add_fetch(&nr_contexts, 1, __ATOMIC_RELAXED);
	if (file->slot) {
		__atomic_fetch_add(&file->slot->files_opened, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&file->slot->files_open, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static int open_vfio(struct file *file, unsigned int index)
{
	file->cdev = vfio_cdev_open(index, &vfio_host);
	if (IS_ERR(file->cdev)) {
		int ret = (int)PTR_ERR(file->cdev);

		file->cdev = NULL;
		return ret;
	}
	return 0;
}

int files_open(const char *path, int flags)
{
	struct path found = {0};
	struct file *file;
	int ret = 0;

	if (!parse_path(path, &found))
		return -ENOENT;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (!process.shared) {
		notice("no address space for %s: is it limited by ulimit -v?", path);
		return -ENOMEM;
	}
	file = file_alloc(found.kind);
	if (!file)
		return -ENFILE;
	if (found.kind == FILE_IOMMU)
		ret = open_iommu(file);
	else if (found.kind == FILE_VFIO)
		ret = open_vfio(file, found.index);
	if (!ret)
		ret = publish(file, flags);
	file_put(file);
	return ret;
}

/* What this thread does next is counted with what the opener of the file did. */
static void count_for(const struct file *file)
{
	counters_here = file && file->slot ? &file->slot->counters : NULL;
}

/* A domain of its own goes with a device that is detached. */
static void account_device(struct file *file)
{
	struct file *context = file->cdev ? vfio_cdev_hold(file->cdev) : NULL;

	count_for(context);
	if (context)
		account_context(context);
}

static void release_iommu(struct file *file)
{
	if (!file->ctx)
		return;
	account_close(file);
	count_for(file);
	iommufd_ctx_destroy(file->ctx);
	account_closed(file->slot);
}

void file_release(struct file *file)
{
	sigset_t before;
	bool held = signals_hold(&before);

	calls_under_way++;
	switch (file->kind) {
	case FILE_IOMMU:
		release_iommu(file);
		break;
	case FILE_VFIO:
		account_device(file);
		if (file->cdev)
			vfio_cdev_release(file->cdev);
		break;
	case FILE_FAULT:
	case FILE_ACCESS:
		if (file->object)
			iommufd_file_release(file->object, file->kind == FILE_FAULT
								   ? IOMMUFD_FILE_FAULT
								   : IOMMUFD_FILE_ACCESS);
		break;
	case FILE_FAIL_NTH:
		break;
	}
	calls_under_way--;
	signals_let(held, &before);
	if (file->context)
		file_put(file->context);
}

/* ---- calls ---- */

static bool is_shrinking(unsigned int cmd)
{
	return cmd == IOMMU_IOAS_UNMAP || cmd == IOMMU_DESTROY || cmd == VFIO_IOMMU_UNMAP_DMA;
}

/* A domain that goes is not seen again, one that is unmapped has its peak only. */
static void account_shrinking(struct file *file, unsigned int cmd)
{
	if (cmd == IOMMU_DESTROY)
		account_context(file);
	else
		account_if_cheap(file);
}

static bool is_mapping(unsigned int cmd)
{
	return cmd == IOMMU_IOAS_MAP || cmd == VFIO_IOMMU_MAP_DMA;
}

static long iommu_ioctl(struct file *file, unsigned int cmd, void *arg)
{
	uint64_t start, end;
	long ret;

	count_for(file);
	if (is_shrinking(cmd) && atomic_load_explicit(&file->grown, memory_order_relaxed))
		account_shrinking(file, cmd);
	start = file->slot ? account_now() : 0;
	ret = iommufd_ioctl(file->ctx, cmd, arg);
	if (is_mapping(cmd) && ret >= 0)
		memory_watch(file->ctx, cmd, arg);
	if (!file->slot)
		return ret;
	end = account_now();
	account_count(file->slot, cmd, ret, end - start);
	if (!is_shrinking(cmd))
		atomic_store_explicit(&file->grown, true, memory_order_relaxed);
	account_sometimes(file, end);
	return ret;
}

static long vfio_ioctl(struct file *file, unsigned int cmd, void *arg)
{
	struct report_process *slot = account_slot();
	uint64_t start;
	long ret;

	if (cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT || cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		account_device(file);
	start = slot ? account_now() : 0;
	ret = vfio_cdev_ioctl(file->cdev, cmd, (uintptr_t)arg);

	if (slot)
		account_count(slot, cmd, ret, account_now() - start);
	return ret;
}

long file_ioctl(struct file *file, unsigned int cmd, void *arg)
{
	long ret = -ENOTTY;

	calls_under_way++;
	if (file->kind == FILE_VFIO)
		ret = vfio_ioctl(file, cmd, arg);
	else if (file->kind == FILE_IOMMU)
		ret = iommu_ioctl(file, cmd, arg);
	calls_under_way--;
	return ret;
}

/* How many allocations are to go until one fails, as the kernel shows it. */
static ssize_t read_fail_nth(struct file *file, void *buf, size_t len)
{
	char text[16];
	int n;

	/* Reading ends the injection, as its one reader would do next. */
	if (file->nth && uiommu_fail_nth(0, false))
		file->nth = 0;
	n = snprintf(text, sizeof(text), "%u\n", file->nth);
	len = MIN(len, (size_t)n);
	memcpy(buf, text, len);
	return (ssize_t)len;
}

static ssize_t write_fail_nth(struct file *file, const void *buf, size_t len)
{
	char text[16] = "";

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, len);
	file->nth = (unsigned int)strtoul(text, NULL, 0);
	uiommu_fail_nth(file->nth, false);
	return (ssize_t)len;
}

/* Pages that a device asked for, and answers: as many as are in @done bytes. */
static ssize_t count_faults(const struct file *file, ssize_t done, size_t each, bool answers)
{
	struct report_process *slot = file->context ? file->context->slot : NULL;
	uint64_t *counter;

	if (!slot || done <= 0)
		return done;
	counter = answers ? &slot->counters.faults_answered : &slot->counters.faults_read;
	__atomic_fetch_add(counter, (uint64_t)done / each, __ATOMIC_RELAXED);
	return done;
}

ssize_t file_read(struct file *file, void *buf, size_t len)
{
	if (file->kind == FILE_FAIL_NTH)
		return read_fail_nth(file, buf, len);
	if (file->kind != FILE_FAULT)
		return -EINVAL;
	return count_faults(file,
			    iommufd_file_read(file->object, IOMMUFD_FILE_FAULT, buf, len, true),
			    sizeof(struct iommu_hwpt_pgfault), false);
}

ssize_t file_write(struct file *file, const void *buf, size_t len)
{
	if (file->kind == FILE_FAIL_NTH)
		return write_fail_nth(file, buf, len);
	if (file->kind != FILE_FAULT)
		return -EINVAL;
	return count_faults(file, iommufd_file_write(file->object, IOMMUFD_FILE_FAULT, buf, len),
			    sizeof(struct iommu_hwpt_page_response), true);
}
