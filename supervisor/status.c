/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/status, where a kernel shows what a process has pinned: VmPin, and VmLck of
 * pages that count for the process alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

#define KIB_PER_PAGE 4

/* Add pages to a line that has a number of KiB. */
static void add_pages(FILE *to, const char *line, const char *name, unsigned long npages)
{
	unsigned long long kib = 0;

	sscanf(line + strlen(name), "%llu", &kib);
	fprintf(to, "%s\t%8llu kB\n", name, kib + npages * (unsigned long long)KIB_PER_PAGE);
}

static void copy(FILE *from, FILE *to, unsigned long pinned, unsigned long locked)
{
	char line[4096];

	while (fgets(line, sizeof(line), from)) {
		if (!strncmp(line, "VmPin:", 6))
			add_pages(to, line, "VmPin:", pinned);
		else if (!strncmp(line, "VmLck:", 6))
			add_pages(to, line, "VmLck:", locked);
		else
			fputs(line, to);
	}
}

/* A file of its own, open for reading only. */
static int open_copy(FILE *from, unsigned long pinned, unsigned long locked)
{
	int fd = memfd_create("status", MFD_CLOEXEC), again = -1;
	char path[32];
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");

	if (!to) {
		if (fd >= 0)
			close(fd);
		return -ENFILE;
	}
	copy(from, to, pinned, locked);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!fflush(to))
		again = open(path, O_RDONLY | O_CLOEXEC);
	fclose(to);
	return again < 0 ? -ENFILE : again;
}

long status_open(pid_t pid)
{
	unsigned long pinned, locked;
	char path[32];
	FILE *from;
	int fd;

	if (!process_pinned(pid, &pinned, &locked) || !pinned)
		return CONTINUE;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	from = fopen(path, "re");
	if (!from)
		return CONTINUE;
	fd = open_copy(from, pinned, locked);
	fclose(from);
	return fd;
}
