/* SPDX-License-Identifier: MIT */
/* What the numbers in a report are called. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <uiommu/abi/vfio.h>

#include "cmd/cmd.h"
#include "cmd/run.h"
#include "iommufd/iommufd.h"

const char *cmd_run_name(const char *option)
{
	const char *name = option ? option : getenv("UIOMMU_NAME");
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (!option && (!name || !*name))
		return NULL;
	if (!*name || name[strspn(name, letters)] || strlen(name) > RUN_NAME_MAX)
		die("%s: '%s' is no name: expected up to %d letters, digits, '.', '_' and '-'",
		    option ? "--name" : "UIOMMU_NAME", name, RUN_NAME_MAX);
	return name;
}

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

/* Those of a group's or a device's file, by what follows VFIO_BASE. From 12 on a container has its
 * own. */
static const char *device_ioctl_name(uint32_t cmd)
{
	static const char *const names[] = {
		[3] = "VFIO_GROUP_GET_STATUS",
		[4] = "VFIO_GROUP_SET_CONTAINER",
		[5] = "VFIO_GROUP_UNSET_CONTAINER",
		[6] = "VFIO_GROUP_GET_DEVICE_FD",
		[7] = "VFIO_DEVICE_GET_INFO",
		[8] = "VFIO_DEVICE_GET_REGION_INFO",
		[9] = "VFIO_DEVICE_GET_IRQ_INFO",
		[10] = "VFIO_DEVICE_SET_IRQS",
		[11] = "VFIO_DEVICE_RESET",
		[12] = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO",
		[13] = "VFIO_DEVICE_PCI_HOT_RESET",
		[14] = "VFIO_DEVICE_QUERY_GFX_PLANE",
		[15] = "VFIO_DEVICE_GET_GFX_DMABUF",
		[16] = "VFIO_DEVICE_IOEVENTFD",
		[17] = "VFIO_DEVICE_FEATURE",
		[18] = "VFIO_DEVICE_BIND_IOMMUFD",
		[19] = "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
		[20] = "VFIO_DEVICE_DETACH_IOMMUFD_PT",
	};
	uint32_t number = cmd - VFIO_GET_API_VERSION;

	return number < sizeof(names) / sizeof(names[0]) ? names[number] : NULL;
}

const char *run_ioctl_name(uint32_t cmd, bool device, char text[32])
{
	const char *name = device ? device_ioctl_name(cmd) : iommufd_ioctl_name(cmd);

	if (name)
		return name;
	snprintf(text, 32, "0x%x", cmd);
	return text;
}

const char *run_counted_name(const struct report_process *s, unsigned int index, char text[32])
{
	bool device = index < REPORT_NUMBERS;

	if (s->ioctls[index].cmd == REPORT_VARIOUS)
		return device ? "others, of a device" : "others";
	return run_ioctl_name(s->ioctls[index].cmd, device, text);
}

static bool is_error_of(const struct report_process *s, unsigned int index,
			const struct report_error *error)
{
	unsigned int first = index - index % REPORT_NUMBERS;

	if (error->device != (index < REPORT_NUMBERS))
		return false;
	if (s->ioctls[index].cmd != REPORT_VARIOUS)
		return s->ioctls[index].cmd == error->cmd;
	for (unsigned int i = first; i < first + REPORT_NUMBERS; i++)
		if (s->ioctls[i].calls && s->ioctls[i].cmd == error->cmd)
			return false;
	return true;
}

uint64_t run_error_count(const struct report_process *s, unsigned int index, unsigned int i)
{
	uint64_t count = 0;

	if (!is_error_of(s, index, &s->errors[i]))
		return 0;
	for (unsigned int k = 0; k < REPORT_ERRORS && s->errors[k].count; k++) {
		if (s->errors[k].error != s->errors[i].error ||
		    !is_error_of(s, index, &s->errors[k]))
			continue;
		if (k < i)
			return 0;
		count += s->errors[k].count;
	}
	return count;
}

uint64_t run_calls_since_look(const struct report_process *s)
{
	uint64_t calls = 0;

	for (unsigned int i = 0; i < REPORT_IOCTLS; i++)
		calls += s->ioctls[i].calls;
	return calls > s->looked ? calls - s->looked : 0;
}

const char *run_object_name(uint32_t type)
{
	return type > IOMMUFD_OBJ_NONE && type < IOMMUFD_OBJ_MAX ? iommufd_object_type_name(type)
								 : "object";
}

const char *run_maker(const struct report_object *object, char text[32])
{
	if (object->created_cmd)
		return run_ioctl_name(object->created_cmd, false, text);
	/* Where a container is used, this one is made first. */
	if (object->type == IOMMUFD_OBJ_IOAS)
		return "VFIO_SET_IOMMU";
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
