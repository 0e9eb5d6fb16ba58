/* SPDX-License-Identifier: MIT */
/* What the numbers in a report are called. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <uiommu/abi/vfio.h>

#include "cmd/run.h"
#include "iommufd/iommufd.h"

uint32_t run_processes(const struct report *report)
{
	uint32_t n = report->nr_processes;

	return n < REPORT_PROCESSES ? n : REPORT_PROCESSES;
}

uint64_t run_nanoseconds(const struct report_process *s, uint64_t ticks)
{
	double ns;

	if (s->last.ticks <= s->first.ticks)
		return 0;
	ns = (double)ticks * (double)(s->last.ns - s->first.ns) /
	     (double)(s->last.ticks - s->first.ticks);
	/* The numbers are a program's, who may have written what it liked. */
	return ns < 1e18 ? (uint64_t)ns : 0;
}

const char *run_ioctl_name(uint32_t cmd, char text[32])
{
	static const struct {
		uint32_t cmd;
		const char *name;
	} vfio[] = {
		{VFIO_DEVICE_BIND_IOMMUFD, "VFIO_DEVICE_BIND_IOMMUFD"},
		{VFIO_DEVICE_ATTACH_IOMMUFD_PT, "VFIO_DEVICE_ATTACH_IOMMUFD_PT"},
		{VFIO_DEVICE_DETACH_IOMMUFD_PT, "VFIO_DEVICE_DETACH_IOMMUFD_PT"},
		{VFIO_DEVICE_GET_INFO, "VFIO_DEVICE_GET_INFO"},
		{VFIO_DEVICE_RESET, "VFIO_DEVICE_RESET"},
	};
	const char *name = iommufd_ioctl_name(cmd);

	for (size_t i = 0; !name && i < sizeof(vfio) / sizeof(vfio[0]); i++)
		if (vfio[i].cmd == cmd)
			name = vfio[i].name;
	if (name)
		return name;
	snprintf(text, 32, "0x%x", cmd);
	return text;
}

const char *run_object_name(uint32_t type)
{
	return type > IOMMUFD_OBJ_NONE && type < IOMMUFD_OBJ_MAX ? iommufd_object_type_name(type)
								 : "object";
}

const char *run_maker(const struct report_object *object, char text[32])
{
	if (object->created_cmd)
		return run_ioctl_name(object->created_cmd, text);
	return object->type == IOMMUFD_OBJ_DEVICE ? "VFIO_DEVICE_BIND_IOMMUFD"
						  : "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
}

const char *run_error_name(int error, char text[32])
{
	const char *name = strerrorname_np(error);

	if (name)
		return name;
	snprintf(text, 32, "errno %d", error);
	return text;
}

void run_describe_end(int status, char *text, size_t size)
{
	const char *name;

	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(text, size, "killed by SIG%s", name ? name : "?");
	} else {
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
	}
}
