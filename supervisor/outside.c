/* SPDX-License-Identifier: MIT */
/*
 * Paths that lead by one of our directories, which the machine does not have, to what
 * is the machine's: /dev/vfio/../null. The kernel would not find it, so it is opened or
 * looked at from here. That is right only for a caller with the same rights as we have:
 * another one is left to what the kernel says.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

/* The lines of users, groups and capabilities, one after the other. */
static bool read_rights(int pid, char *rights, size_t size)
{
	static const char *const keys[] = {"Uid:", "Gid:", "Groups:", "CapEff:"};
	char path[48], line[4096];
	size_t used = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			size_t length = strlen(line);

			if (strncmp(line, keys[i], strlen(keys[i])) != 0 || length >= size - used)
				continue;
			memcpy(rights + used, line, length + 1);
			used += length;
		}
	if (file)
		fclose(file);
	return used;
}

static bool has_our_rights(const struct call *call)
{
	char theirs[8192], ours[8192];

	return read_rights(call->caller.tid, theirs, sizeof(theirs)) &&
	       read_rights((int)getpid(), ours, sizeof(ours)) && !strcmp(theirs, ours) &&
	       call_is_valid(call);
}

bool outside_path(const struct call *call, const struct found *found, char path[PATH_MAX + 32])
{
	if (!has_our_rights(call))
		return false;
	snprintf(path, PATH_MAX + 32, "/proc/%d/root%s", (int)call->caller.tid, found->path);
	return true;
}
