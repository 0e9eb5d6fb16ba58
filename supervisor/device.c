/* SPDX-License-Identifier: MIT */
/*
 * What our files do: opened, called, read, written, and closed for the last time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"

static unsigned int nr_contexts;

static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *contexts;

void contexts_for_each(void (*each)(struct file *file, void *arg), void *arg)
{
	pthread_mutex_lock(&contexts_lock);
	for (struct file *file = contexts; file; file = file->next_context)
		each(file, arg);
	pthread_mutex_unlock(&contexts_lock);
}

static void add_context(struct file *file)
{
	pthread_mutex_lock(&contexts_lock);
	file->next_context = contexts;
	contexts = file;
	pthread_mutex_unlock(&contexts_lock);
}

static void remove_context(struct file *file)
{
	struct file **at = &contexts;

	pthread_mutex_lock(&contexts_lock);
	while (*at != file)
		at = &(*at)->next_context;
	*at = file->next_context;
	pthread_mutex_unlock(&contexts_lock);
}

struct file *device_context(struct file *file)
{
	struct file *context = file->context;

	if (file->kind == FILE_IOMMU)
		context = file;
	else if (file->kind == FILE_VFIO && file->cdev)
		context = vfio_cdev_hold(file->cdev);
	if (context)
		file_hold(context);
	return context;
}

void device_stat(const struct file *file, unsigned int *mode, uint64_t *rdev)
{
	*mode = S_IFREG | 0600;
	*rdev = 0;
	if (file->kind == FILE_IOMMU) {
		*mode = S_IFCHR | 0600;
		*rdev = IOMMU_DEVICE;
	} else if (file->kind == FILE_VFIO) {
		*mode = S_IFCHR | 0600;
		*rdev = makedev(VFIO_MAJOR, vfio_cdev_index(file->cdev));
	}
}

void device_link(const struct file *file, char *text, size_t size)
{
	switch (file->kind) {
	case FILE_IOMMU:
		snprintf(text, size, "/dev/iommu");
		break;
	case FILE_VFIO:
		snprintf(text, size, "/dev/vfio/devices/vfio%u", vfio_cdev_index(file->cdev));
		break;
	case FILE_FAULT:
		snprintf(text, size, "anon_inode:[iommufd_pgfault]");
		break;
	case FILE_ACCESS:
		snprintf(text, size, "anon_inode:[iommufd_test_staccess]");
		break;
	case FILE_VEVENTQ:
		snprintf(text, size, "anon_inode:[iommufd_viommu_event]");
		break;
	case FILE_DMABUF:
		snprintf(text, size, "/dmabuf:");
		break;
	case FILE_FAIL_NTH:
		snprintf(text, size, "/proc/%d/fail-nth", (int)file->tid);
		break;
	}
}

/* ---- what iommufd and VFIO need of the caller ---- */

static const enum file_kind kinds[] = {
	[IOMMUFD_FILE_FAULT] = FILE_FAULT,
	[IOMMUFD_FILE_ACCESS] = FILE_ACCESS,
	[IOMMUFD_FILE_VEVENTQ] = FILE_VEVENTQ,
	[IOMMUFD_FILE_DMABUF] = FILE_DMABUF,
};

static enum iommufd_file_kind iommufd_kind(const struct file *file)
{
	enum iommufd_file_kind kind = 0;

	while (kinds[kind] != file->kind)
		kind++;
	return kind;
}

static int install_file(void *context, enum iommufd_file_kind kind, void *object)
{
	struct file *file = file_alloc(kinds[kind], call_process(current_call));
	int fd, ret;

	if (!file)
		return -ENFILE;
	file->signals = object;
	file->context = context;
	file_hold(file->context);
	fd = file_open(file, O_RDWR);
	ret = fd < 0 ? fd : call_give(current_call, fd, O_CLOEXEC, true);
	if (ret < 0) {
		file_put(file);
		return ret;
	}
	current_call->installed = file;
	current_call->installed_object = object;
	return ret;
}

/* The program has a descriptor that it does not know of, and nothing is behind it. */
static void remove_file(void *context, int fd)
{
}

/*
 * The program may have found the descriptor that an ioctl gives before the ioctl has
 * ended, and it may fail yet. Only now there is something behind it.
 */
static void publish_installed(struct call *call, long ret)
{
	struct file *file = call->installed;

	if (!file)
		return;
	call->installed = NULL;
	if (ret < 0)
		__atomic_store_n(&file->signals, NULL, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&file->object, call->installed_object, __ATOMIC_RELEASE);
	file_put(file);
}

static void *object_of(const struct file *file)
{
	return __atomic_load_n(&file->object, __ATOMIC_ACQUIRE);
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	struct file *file = file_get(current_call->caller.tid, fd);
	int ret = -EBADFD;

	if (!file)
		return ret;
	if (file->kind == kinds[kind] && object_of(file))
		ret = call(object_of(file), arg);
	file_put(file);
	return ret;
}

static void file_changed(void *context, enum iommufd_file_kind kind, void *object, bool readable)
{
	file_signal(object, readable);
}

static void *share_memory(void *context, uint64_t offset, size_t length)
{
	const struct file *file = context;

	if (!file->shared || offset + length > FILE_SHARED_SIZE)
		return NULL;
	return memset((char *)file->shared + offset, 0, length);
}

static void unshare_memory(void *context, uint64_t offset, size_t length)
{
	const struct file *file = context;

	madvise((char *)file->shared + offset, length, MADV_REMOVE);
}

static bool is_mapped(void *context, uint64_t offset, size_t length)
{
	return file_is_mapped(context, offset, length);
}

static const struct iommufd_host host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
	.file_changed = file_changed,
	.memory_gone = memory_gone,
	.share_memory = share_memory,
	.unshare_memory = unshare_memory,
	.is_mapped = is_mapped,
};

static struct iommufd_ctx *get_context(int fd, void **hold)
{
	struct file *file = file_get(current_call->caller.tid, fd);

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

/* ---- opening ---- */

static int open_iommu(struct file *file)
{
	struct iommufd_config config = {
		.format = options->format,
		.address_width = options->address_width,
		.phys = options->phys,
		.owner = file->opener->cgroup,
		.host = &host,
		.host_context = file,
		.memlock = options->memlock,
		.test_abi = options->test_abi,
		.abi = options->abi,
	};
	struct iommufd_ctx *ctx = iommufd_ctx_create(&config);

	if (IS_ERR(ctx))
		return (int)PTR_ERR(ctx);
	file->ctx = ctx;
	file->number = __atomic_add_fetch(&nr_contexts, 1, __ATOMIC_RELAXED);
	file->slot = account_slot(file->opener);
	if (file->slot) {
		__atomic_fetch_add(&file->slot->files_opened, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&file->slot->files_open, 1, __ATOMIC_RELAXED);
	}
	add_context(file);
	account_closed(file);
	return 0;
}

static int open_vfio(struct file *file, unsigned int index)
{
	struct vfio_cdev *cdev = vfio_cdev_open(index, &vfio_host);

	if (IS_ERR(cdev))
		return (int)PTR_ERR(cdev);
	file->cdev = cdev;
	return 0;
}

/* --fail-nth counts from the first use on, in the thread that makes it. */
static void arm_fail_nth(pid_t tid)
{
	static atomic_bool armed;

	if (options->fail_nth && !atomic_exchange(&armed, true))
		fail_set(tid, options->fail_nth);
}

static int open_file(struct file *file, unsigned int index, int flags)
{
	int ret = 0;

	if (file->kind == FILE_IOMMU)
		ret = open_iommu(file);
	else if (file->kind == FILE_VFIO)
		ret = open_vfio(file, index);
	else
		file->tid = (pid_t)index;
	return ret ? ret : file_open(file, flags);
}

int device_open(struct call *call, enum file_kind kind, const struct node *node, unsigned int index,
		int flags)
{
	struct process *process = call_process(call);
	struct file *file;
	int ret;

	if (!process)
		return -ESRCH;
	if (kind == FILE_IOMMU)
		arm_fail_nth(call->caller.tid);
	file = file_alloc(kind, process);
	if (!file)
		return -ENFILE;
	file->node = node;
	if (atomic_load(&fail_in_use))
		fail_begin(call->caller.tid);
	ret = open_file(file, index, flags);
	if (atomic_load(&fail_in_use))
		fail_end(call->caller.tid);
	file_put(file);
	return ret;
}

/* ---- the last close ---- */

/* What this thread does next is counted with what the opener of the file did. */
static void count_for(const struct file *file)
{
	counters_here = file && file->slot ? &file->slot->counters : NULL;
}

/* A domain of its own goes with a device that is detached. */
static void account_device(struct file *file)
{
	struct file *context = vfio_cdev_hold(file->cdev);

	count_for(context);
	if (context)
		account_context(context);
}

/* Of a process that was killed the report has what it had not closed. */
void device_closing(struct file *file)
{
	struct file *context = device_context(file);

	if (!context)
		return;
	if (context->slot && context->slot->state == REPORT_RUNNING &&
	    process_is_ending(context->opener))
		account_exit(context->opener, REPORT_KILLED, 0);
	memory_check(context);
	file_put(context);
}

/* A domain may have come with a device, or found no memory. */
static void account_attach(struct file *file, long ret)
{
	struct file *context = vfio_cdev_hold(file->cdev);

	if (!context || !context->slot)
		return;
	if (!ret)
		account_context(context);
	else if (ret == -ENOMEM)
		account_memlock(context);
}

static void release_iommu(struct file *file)
{
	if (!file->ctx)
		return;
	account_close(file);
	count_for(file);
	remove_context(file);
	iommufd_ctx_destroy(file->ctx);
	account_closed(file);
}

static void release_vfio(struct file *file)
{
	if (!file->cdev)
		return;
	account_device(file);
	vfio_cdev_release(file->cdev);
}

void device_release(struct file *file)
{
	switch (file->kind) {
	case FILE_IOMMU:
		release_iommu(file);
		break;
	case FILE_VFIO:
		release_vfio(file);
		break;
	case FILE_FAULT:
	case FILE_ACCESS:
	case FILE_VEVENTQ:
	case FILE_DMABUF:
		if (file->object)
			iommufd_file_release(file->object, iommufd_kind(file));
		break;
	case FILE_FAIL_NTH:
		break;
	}
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

static long iommu_ioctl(struct file *file, unsigned int cmd, uint64_t arg)
{
	uint64_t start, end;
	long ret;

	count_for(file);
	if (is_shrinking(cmd) && atomic_load_explicit(&file->grown, memory_order_relaxed))
		account_shrinking(file, cmd);
	start = account_now();
	ret = iommufd_ioctl(file->ctx, cmd, (void *)(uintptr_t)arg);
	if (!file->slot)
		return ret;
	end = account_now();
	account_count(file->slot, cmd, false, ret, end - start);
	if (unlikely(ret == -ENOMEM))
		account_memlock(file);
	if (!is_shrinking(cmd))
		atomic_store_explicit(&file->grown, true, memory_order_relaxed);
	account_sometimes(file, end);
	return ret;
}

static long vfio_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg)
{
	struct process *process = call_process(call);
	struct report_process *slot = process ? account_slot(process) : NULL;
	uint64_t start;
	long ret;

	if (cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT || cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		account_device(file);
	start = account_now();
	ret = vfio_cdev_ioctl(file->cdev, cmd, arg);
	if (slot)
		account_count(slot, cmd, true, ret, account_now() - start);
	if (cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		account_attach(file, ret);
	return ret;
}

long device_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg)
{
	bool fail = atomic_load_explicit(&fail_in_use, memory_order_relaxed);
	long ret = -ENOTTY;

	if (fail)
		fail_begin(call->caller.tid);
	if (file->kind == FILE_VFIO)
		ret = vfio_ioctl(file, call, cmd, arg);
	else if (file->kind == FILE_IOMMU)
		ret = iommu_ioctl(file, cmd, arg);
	publish_installed(call, ret);
	if (fail)
		fail_end(call->caller.tid);
	return ret;
}

/* How many allocations are to go until one fails, as the kernel shows it. */
static ssize_t read_fail_nth(const struct file *file, uint64_t to, size_t length)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u\n", fail_get(file->tid));

	/* Reading ends the injection, as its one reader would do next. */
	length = MIN(length, (size_t)n);
	return iommufd_copy_to_user(NULL, to, text, length) ? -EFAULT : (ssize_t)length;
}

static ssize_t write_fail_nth(const struct file *file, uint64_t from, size_t length)
{
	char text[16] = "";

	if (length >= sizeof(text))
		return -EINVAL;
	if (iommufd_copy_from_user(NULL, text, from, length))
		return -EFAULT;
	fail_set(file->tid, (unsigned int)strtoul(text, NULL, 0));
	return (ssize_t)length;
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

ssize_t device_read(struct file *file, uint64_t to, size_t length)
{
	ssize_t done;

	if (file->kind == FILE_FAIL_NTH)
		return read_fail_nth(file, to, length);
	if (!file_is_polled(file) || !object_of(file))
		return -EINVAL;
	done = iommufd_file_read(object_of(file), iommufd_kind(file), (void *)(uintptr_t)to, length,
				 true);
	if (file->kind != FILE_FAULT)
		return done;
	return count_faults(file, done, sizeof(struct iommu_hwpt_pgfault), false);
}

ssize_t device_write(struct file *file, uint64_t from, size_t length)
{
	ssize_t done;

	if (file->kind == FILE_FAIL_NTH)
		return write_fail_nth(file, from, length);
	if (file->kind != FILE_FAULT || !object_of(file))
		return -EINVAL;
	done = iommufd_file_write(object_of(file), IOMMUFD_FILE_FAULT, (void *)(uintptr_t)from,
				  length);
	return count_faults(file, done, sizeof(struct iommu_hwpt_page_response), true);
}

static long check_mmap(const struct file *file, int prot, int flags)
{
	int type = flags & MAP_TYPE;

	if (file->kind != FILE_IOMMU)
		return -ENODEV;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	return prot & PROT_EXEC ? -EPERM : 0;
}

long device_mmap(struct file *file, const uint64_t *args)
{
	long ret = check_mmap(file, (int)args[2], (int)args[3]);

	if (!ret)
		ret = iommufd_mmap(file->ctx, args[5], args[1]);
	/* Our memory is at that place of the program's file. */
	return ret ? ret : CONTINUE;
}
