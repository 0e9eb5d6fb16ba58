/* SPDX-License-Identifier: MIT */
/*
 * Files that ioctls make: which kind does what.
 */
#include "iommufd/eventq.h"

ssize_t iommufd_file_read(void *file, enum iommufd_file_kind kind, void *buf, size_t len,
			  bool nonblock)
{
	switch (kind) {
	case IOMMUFD_FILE_FAULT:
		return iommufd_fault_read(file, buf, len);
	case IOMMUFD_FILE_VEVENTQ:
		return iommufd_veventq_read(file, buf, len);
	default:
		return -EINVAL;
	}
}

ssize_t iommufd_file_write(void *file, enum iommufd_file_kind kind, const void *buf, size_t len)
{
	return kind == IOMMUFD_FILE_FAULT ? iommufd_fault_write(file, buf, len) : -EINVAL;
}

static bool is_eventq(enum iommufd_file_kind kind)
{
	return kind == IOMMUFD_FILE_FAULT || kind == IOMMUFD_FILE_VEVENTQ;
}

short iommufd_file_poll(void *file, enum iommufd_file_kind kind, short events)
{
	return is_eventq(kind) ? iommufd_eventq_poll(file, events) : 0;
}

void iommufd_file_release(void *file, enum iommufd_file_kind kind)
{
	if (is_eventq(kind))
		iommufd_eventq_release(file);
	else if (kind == IOMMUFD_FILE_DMABUF)
		iommufd_dmabuf_release(file);
	else
		iommufd_test_file_release(file);
}
