/* SPDX-License-Identifier: MIT */
/*
 * A `uiommu run` is found by the memfd of its report, which is among its
 * descriptors in /proc. So there is no file to agree on, to clean up or to guard:
 * who may look is whom the kernel lets look.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/top.h"
#include "plat/compiler.h"

/* The kernel's name for it in /proc/PID/fd. */
#define LINK "/memfd:" REPORT_NAME

/* Who looks has it open too, but for reading only, which the link's mode says. */
static bool is_report(int directory, const char *name)
{
	char link[sizeof(LINK)];
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) || !(st.st_mode & S_IWUSR))
		return false;
	return readlinkat(directory, name, link, sizeof(link)) >= (ssize_t)sizeof(LINK) - 1 &&
	       !memcmp(link, LINK, sizeof(LINK) - 1);
}

/* The report that a process has open, or -1. */
static int open_report(pid_t pid, uint64_t *inode)
{
	const struct dirent *entry;
	char path[64];
	struct stat st;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir)) != NULL)
		if (is_report(dirfd(dir), entry->d_name))
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
	closedir(dir);
	if (fd >= 0 && !fstat(fd, &st))
		*inode = st.st_ino;
	return fd;
}

static ssize_t read_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	length = read(fd, text, size - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length;
}

/* The program's words, from behind "--" on. */
static void read_command(struct top_run *run)
{
	char text[4096];
	ssize_t length = read_file(run->pid, "cmdline", text, sizeof(text));
	const char *end = text + (length > 0 ? length : 0), *word = text;
	size_t used = 0;

	while (word < end && strcmp(word, "--") != 0)
		word += strlen(word) + 1;
	run->command[0] = '\0';
	for (word += 3; word < end; word += strlen(word) + 1)
		used += (size_t)snprintf(run->command + MIN(used, sizeof(run->command) - 1),
					 sizeof(run->command) - MIN(used, sizeof(run->command) - 1),
					 "%s%s", used ? " " : "", word);
	for (char *c = run->command; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/*
 * A program may hold its report open, and a child has all that its parent had for a
 * moment: of those with the same report the run is the one that it names.
 */
static void add_run(struct top_run **runs, size_t *nr, const struct top_run *run)
{
	struct {
		uint32_t magic, nr;
		int32_t owner;
	} head = {0};
	struct top_run *known = *runs, *end = known ? known + *nr : NULL;

	while (known < end && known->inode != run->inode)
		known++;
	if (known < end) {
		if (pread(run->fd, &head, sizeof(head), 0) != sizeof(head) ||
		    head.owner != run->pid) {
			close(run->fd);
			return;
		}
		close(known->fd);
		*known = *run;
		return;
	}
	*runs = realloc(*runs, (*nr + 1) * sizeof(*run));
	if (!*runs)
		out_of_memory();
	(*runs)[(*nr)++] = *run;
}

size_t top_find_all(struct top_run **runs)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t nr = 0;

	*runs = NULL;
	if (!proc)
		die("/proc: %s", strerror(errno));
	while ((entry = readdir(proc)) != NULL) {
		struct top_run run = {.pid = (pid_t)strtol(entry->d_name, NULL, 10)};

		run.fd = run.pid > 0 ? open_report(run.pid, &run.inode) : -1;
		if (run.fd < 0)
			continue;
		read_command(&run);
		add_run(runs, &nr, &run);
	}
	closedir(proc);
	return nr;
}

bool top_is_running(const struct top_run *run)
{
	uint64_t inode;
	int fd = open_report(run->pid, &inode);

	if (fd >= 0)
		close(fd);
	/* Another run may have got the number. */
	return fd >= 0 && inode == run->inode;
}
