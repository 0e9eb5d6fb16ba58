/* SPDX-License-Identifier: MIT */
/*
 * Files that ioctls make: which kind does what.
 */
#include "iommufd/iommufd.h"

ssize_t iommufd_file_read(void *file, enum iommufd_file_kind kind, void *buf, size_t len,
			  bool nonblock)
{
	return kind == IOMMUFD_FILE_FAULT ? iommufd_fault_read(file, buf, len) : -EINVAL;
}

ssize_t iommufd_file_write(void *file, enum iommufd_file_kind kind, const void *buf, size_t len)
{
	return kind == IOMMUFD_FILE_FAULT ? iommufd_fault_write(file, buf, len) : -EINVAL;
}

short iommufd_file_poll(void *file, enum iommufd_file_kind kind, short events)
{
	return kind == IOMMUFD_FILE_FAULT ? iommufd_fault_poll(file, events) : 0;
}

void iommufd_file_release(void *file, enum iommufd_file_kind kind)
{
	if (kind == IOMMUFD_FILE_FAULT)
		iommufd_fault_release(file);
	else
		iommufd_test_file_release(file);
}
