/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing and mapping of our files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uiommu/abi/iommufd.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"
#include "vfio/pci.h"

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

/* ---- files with positions ---- */

/* As read() and write() have it: from the position on, which moves; or from @position. */
static ssize_t move_position(struct file *file, int64_t position, ssize_t done)
{
	if (position < 0 && done > 0)
		atomic_fetch_add(&file->position, done);
	return done;
}

static uint64_t begin_at(const struct file *file, int64_t position)
{
	return (uint64_t)(position < 0 ? file->position : position);
}

static ssize_t transfer_config(struct file *file, uint64_t user, size_t length, int64_t position,
			       bool is_write)
{
	uint64_t at = begin_at(file, position);
	uint8_t data[VFIO_CONFIG_SIZE];

	if (at >= VFIO_CONFIG_SIZE)
		return 0;
	length = MIN(length, VFIO_CONFIG_SIZE - at);
	if (is_write) {
		if (iommufd_copy_from_user(NULL, data, user, length))
			return -EFAULT;
		vfio_config_write(file->pci, at, data, length);
	} else {
		vfio_config_read(file->pci, at, data, length);
		if (iommufd_copy_to_user(NULL, user, data, length))
			return -EFAULT;
	}
	return move_position(file, position, (ssize_t)length);
}

static ssize_t write_attribute(const struct file *file, uint64_t from, size_t length)
{
	char text[128];

	if (length > sizeof(text))
		return -EINVAL;
	if (iommufd_copy_from_user(NULL, text, from, length))
		return -EFAULT;
	return sysfs_write(file->node, text, length);
}

int64_t device_seek(struct file *file, int64_t offset, int whence)
{
	if (file->kind == FILE_FAIL_NTH || file->kind == FILE_ATTRIBUTE)
		return 0;
	if (file->kind != FILE_CONFIG)
		return -ESPIPE;
	if (whence == SEEK_CUR)
		offset += file->position;
	else if (whence == SEEK_END)
		offset += VFIO_CONFIG_SIZE;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	file->position = offset;
	return offset;
}

static long map_iommu(struct file *file, const uint64_t *args, bool shared)
{
	if (!shared)
		return -EINVAL;
	if (args[2] & PROT_EXEC)
		return -EPERM;
	return iommufd_mmap(file->ctx, args[5], args[1]);
}

long device_mmap(struct file *file, const uint64_t *args)
{
	unsigned int type = (unsigned int)args[3] & MAP_TYPE;
	bool shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
	long ret = -ENODEV;

	if (file->kind == FILE_IOMMU && !file->container)
		ret = map_iommu(file, args, shared);
	else if (file->kind == FILE_VFIO && file->cdev)
		ret = vfio_cdev_may_map(file->cdev, args[5], args[1], shared);
	/* Our memory is at that place of the program's file. */
	return ret ? ret : CONTINUE;
}

ssize_t device_read(struct file *file, uint64_t to, size_t length, int64_t position)
{
	ssize_t done;

	if (file->kind == FILE_CONFIG)
		return transfer_config(file, to, length, position, false);
	if (file->kind == FILE_VFIO)
		return move_position(
			file, position,
			vfio_cdev_read(file->cdev, begin_at(file, position), to, length));
	if (file->kind == FILE_FAIL_NTH)
		return read_fail_nth(file, to, length);
	if (!file_is_polled(file) || !file_object(file))
		return -EINVAL;
	if (file->kind == FILE_VEVENTQ)
		return iommufd_file_read(file_object(file), IOMMUFD_FILE_VEVENTQ,
					 (void *)(uintptr_t)to, length, true);
	done = iommufd_file_read(file_object(file), IOMMUFD_FILE_FAULT, (void *)(uintptr_t)to,
				 length, true);
	return count_faults(file, done, sizeof(struct iommu_hwpt_pgfault), false);
}

ssize_t device_write(struct file *file, uint64_t from, size_t length, int64_t position)
{
	ssize_t done;

	if (file->kind == FILE_CONFIG)
		return transfer_config(file, from, length, position, true);
	if (file->kind == FILE_ATTRIBUTE)
		return write_attribute(file, from, length);
	if (file->kind == FILE_VFIO)
		return move_position(
			file, position,
			vfio_cdev_write(file->cdev, begin_at(file, position), from, length));
	if (file->kind == FILE_FAIL_NTH)
		return write_fail_nth(file, from, length);
	if (file->kind != FILE_FAULT || !file_object(file))
		return -EINVAL;
	done = iommufd_file_write(file_object(file), IOMMUFD_FILE_FAULT, (void *)(uintptr_t)from,
				  length);
	return count_faults(file, done, sizeof(struct iommu_hwpt_page_response), true);
}
