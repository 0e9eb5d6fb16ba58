/* SPDX-License-Identifier: MIT */
/*
 * A `uiommu run` is found by the memfd of its report, which is among its
 * descriptors in /proc. So there is no file to agree on, to clean up or to guard:
 * the kernel says which user may look.
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
#define LINK    "/memfd:" REPORT_NAME
#define DELETED " (deleted)"

/*
 * Another `uiommu top` has it open too, but for reading only, which the link's mode says.
 * @name: what follows the memfd's own name.
 */
static bool is_report(int directory, const char *entry, char name[RUN_NAME_MAX + 1])
{
	char link[sizeof(LINK) + 1 + RUN_NAME_MAX + sizeof(DELETED)];
	const char *after;
	struct stat st;
	ssize_t length;

	if (fstatat(directory, entry, &st, AT_SYMLINK_NOFOLLOW) || !(st.st_mode & S_IWUSR))
		return false;
	length = readlinkat(directory, entry, link, sizeof(link) - 1) - (ssize_t)strlen(DELETED);
	if (length < (ssize_t)strlen(LINK) || memcmp(link, LINK, strlen(LINK)) != 0)
		return false;
	link[length] = '\0';
	after = link + strlen(LINK);
	if (*after && (*after++ != ':' || strlen(after) > RUN_NAME_MAX))
		return false;
	strcpy(name, after);
	return true;
}

/* The report that a process has open, or -1. */
static int open_report(struct top_run *run)
{
	const struct dirent *entry;
	char path[64];
	struct stat st;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)run->pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir)) != NULL)
		if (is_report(dirfd(dir), entry->d_name, run->name))
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
	closedir(dir);
	if (fd >= 0 && !fstat(fd, &st))
		run->inode = st.st_ino;
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

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
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
	make_printable(run->command);
	make_printable(run->name);
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

size_t top_find_all(struct top_run **runs, const char *name)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t nr = 0;

	*runs = NULL;
	if (!proc)
		die("/proc: %s", strerror(errno));
	while ((entry = readdir(proc)) != NULL) {
		struct top_run run = {.pid = (pid_t)strtol(entry->d_name, NULL, 10)};

		run.fd = run.pid > 0 ? open_report(&run) : -1;
		if (run.fd < 0)
			continue;
		if (name && strcmp(run.name, name) != 0) {
			close(run.fd);
			continue;
		}
		read_command(&run);
		add_run(runs, &nr, &run);
	}
	closedir(proc);
	return nr;
}

bool top_is_running(const struct top_run *run)
{
	struct top_run now = {.pid = run->pid};
	int fd = open_report(&now);

	if (fd >= 0)
		close(fd);
	/* Another run may have got the number. */
	return fd >= 0 && now.inode == run->inode;
}
