/* SPDX-License-Identifier: MIT */
/* The memory limit of the cgroup that this process really is in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/run.h"

#define PATH_BYTES 1024

/* "max", nothing there, and version 1's idea of no limit are all none. */
static uint64_t read_limit(const char *path)
{
	FILE *file = fopen(path, "re");
	char text[64] = "";
	uint64_t limit;

	if (!file)
		return UINT64_MAX;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	if (text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	limit = strtoull(text, NULL, 10);
	return limit >= (uint64_t)INT64_MAX - 65535 ? UINT64_MAX : limit;
}

/* From the cgroup up to the mount: a limit above counts as well. */
static void least_limit(const char *mount, const char *cgroup, const char *file, uint64_t *limit,
			char *where, size_t size)
{
	char dir[PATH_BYTES / 2], path[PATH_BYTES];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", cgroup);
	do {
		uint64_t found;

		slash = strrchr(dir, '/');
		if (slash && !slash[1])
			*slash = '\0';
		snprintf(path, sizeof(path), "%s%s/%s", mount, dir, file);
		found = read_limit(path);
		if (found < *limit) {
			*limit = found;
			snprintf(where, size, "%s", path);
		}
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

/* A line of /proc/self/cgroup: "0::/path", or "4:cpu,memory:/path". */
static void limit_of_line(char *line, uint64_t *limit, char *where, size_t size)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	char *save, *name;

	if (!path)
		return;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	controllers++;
	if (!*controllers) {
		least_limit("/sys/fs/cgroup", path, "memory.max", limit, where, size);
		least_limit("/sys/fs/cgroup/unified", path, "memory.max", limit, where, size);
		return;
	}
	for (name = strtok_r(controllers, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (!strcmp(name, "memory"))
			least_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", limit,
				    where, size);
}

uint64_t run_real_limit(char *where, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	uint64_t limit = UINT64_MAX;
	char line[PATH_BYTES / 2];

	where[0] = '\0';
	while (file && fgets(line, sizeof(line), file))
		limit_of_line(line, &limit, where, size);
	if (file)
		fclose(file);
	return limit;
}
