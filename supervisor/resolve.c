/* SPDX-License-Identifier: MIT */
/*
 * From a path to what it leads to, as the caller sees it: with its working directory
 * and its root, through symbolic links, and through the links in /proc that stand for
 * its descriptors.
 *
 * Nearly all paths are not ours and are answered by one question to the system, which
 * says what file system they end in. The others are walked by name. A caller that
 * changes a path meanwhile gains nothing: what is not ours is opened by the kernel,
 * with the caller's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

#define LINKS_MAX 40

struct walk {
	struct call *call;
	struct found *found;
	bool follow;
	bool only_here; /* it came by a directory that the machine does not have */
	unsigned int links;
	char at[PATH_MAX];       /* where it has come to, without links; "" is the root */
	char rest[2 * PATH_MAX]; /* what is left to walk */
};

/* ---- is it worth walking? ---- */

/* An absolute path that does not begin with the name of one of our trees. */
static bool is_elsewhere(const char *path)
{
	static const char *const tops[] = {"dev", "sys", "proc"};
	size_t length;

	while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || !path[1])))
		path++;
	length = strcspn(path, "/");
	if (!length || strstr(path, ".."))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		if (length == strlen(tops[i]) && !strncmp(path, tops[i], length))
			return false;
	return true;
}

static dev_t proc_device(void)
{
	static _Atomic(dev_t) known;
	struct stat st;

	if (!known && !stat("/proc", &st))
		known = st.st_dev;
	return known;
}

/* The way to what is in /proc/PID for a directory of the caller's. */
static void directory_link(const struct call *call, int dir, char *link, size_t size)
{
	if (dir == AT_FDCWD)
		snprintf(link, size, "/proc/%d/cwd", (int)call->caller.tid);
	else
		snprintf(link, size, "/proc/%d/fd/%d", (int)call->caller.tid, dir);
}

/* A directory of our own, whose parents are others than the kernel's. */
static bool begins_here(const struct call *call, int dir)
{
	const struct node *node;
	char link[48];
	struct stat st;

	directory_link(call, dir, link, sizeof(link));
	if (stat(link, &st))
		return false;
	node = tree_of_stat(&st);
	return node && st.st_ino == node->ino && st.st_dev == node->dev;
}

/*
 * Whether the path ends, by the system's own account, in a file system that has
 * nothing to do with us.
 */
static bool is_foreign(struct call *call, int dir, const char *path, bool follow)
{
	char full[PATH_MAX + 64];
	struct statx stx;
	dev_t dev;

	if (path[0] != '/' && strstr(path, "..") && begins_here(call, dir))
		return false;
	if (path[0] == '/') {
		if (!is_elsewhere(path))
			return false;
		snprintf(full, sizeof(full), "%s", path);
	} else if (dir == AT_FDCWD) {
		snprintf(full, sizeof(full), "/proc/%d/cwd/%s", (int)call->caller.tid, path);
	} else {
		snprintf(full, sizeof(full), "/proc/%d/fd/%d/%s", (int)call->caller.tid, dir, path);
	}
	if (statx(AT_FDCWD, full, AT_STATX_DONT_SYNC | (follow ? 0 : AT_SYMLINK_NOFOLLOW),
		  STATX_INO, &stx))
		return false;
	dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	return dev != proc_device() && !tree_may_have(dev, stx.stx_ino);
}

/* ---- walking ---- */

/* Put @text in front of what is left. */
static bool prepend(struct walk *walk, const char *text)
{
	size_t length = strlen(text), left = strlen(walk->rest);

	if (length + left + 2 > sizeof(walk->rest))
		return false;
	memmove(walk->rest + length + 1, walk->rest, left + 1);
	memcpy(walk->rest, text, length);
	walk->rest[length] = '/';
	if (text[0] == '/')
		walk->at[0] = '\0';
	return true;
}

/* The next name of what is left, or false at the end. */
static bool next_name(struct walk *walk, char name[NAME_MAX + 1])
{
	size_t skip = strspn(walk->rest, "/"), length = strcspn(walk->rest + skip, "/");

	if (!length)
		return false;
	/* The kernel is to say so. */
	if (length > NAME_MAX) {
		walk->found->node = NULL;
		return false;
	}
	memcpy(name, walk->rest + skip, length);
	name[length] = '\0';
	memmove(walk->rest, walk->rest + skip + length, strlen(walk->rest + skip + length) + 1);
	return true;
}

static bool is_last(const struct walk *walk)
{
	return !walk->rest[strspn(walk->rest, "/")];
}

/* A decimal number, all of @text. */
static bool parse_number(const char *text, int *number)
{
	char *end;
	long n = strtol(text, &end, 10);

	*number = (int)n;
	return text[0] >= '0' && text[0] <= '9' && !*end && n <= INT_MAX;
}

/* /proc/PID/... or /proc/PID/task/TID/...: the thread, and what comes behind; or 0. */
static pid_t parse_proc(const char *at, const char **behind)
{
	int pid = 0, tid = 0, used = 0;

	if (sscanf(at, "/proc/%d/task/%d%n", &pid, &tid, &used) == 2 && used &&
	    (at[used] == '/' || !at[used])) {
		*behind = at + used;
		return tid;
	}
	used = 0;
	if (sscanf(at, "/proc/%d%n", &pid, &used) == 1 && used && (at[used] == '/' || !at[used])) {
		*behind = at + used;
		return pid;
	}
	return 0;
}

enum step {
	STEP_ON,
	STEP_END,
};

/* A link to a descriptor, which may be one of ours or of a directory of ours. */
static enum step step_descriptor(struct walk *walk, pid_t tid, int fd)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, fd);
	if (stat(path, &st))
		return STEP_END;
	walk->found->node = tree_of_stat(&st);
	if (!walk->found->node)
		walk->found->file = file_of_stat(&st);
	if (!walk->found->node || walk->found->node->kind != NODE_DIRECTORY)
		return STEP_END;
	snprintf(walk->at, sizeof(walk->at), "%s", walk->found->node->path);
	walk->found->from_tree = true;
	walk->only_here = !walk->found->node->native_ino;
	return STEP_ON;
}

/* What in /proc depends on who looks, or is ours; -1: nothing of that. */
static int step_proc(struct walk *walk, const char *name)
{
	const char *behind;
	char text[48];
	pid_t tid;
	int fd;

	if (!strcmp(walk->at, "/proc")) {
		const struct process *process;

		if (strcmp(name, "self") != 0 && strcmp(name, "thread-self") != 0)
			return -1;
		process = call_process(walk->call);
		if (!process)
			return STEP_END;
		if (name[0] == 's')
			snprintf(text, sizeof(text), "%d", (int)process->pid);
		else
			snprintf(text, sizeof(text), "%d/task/%d", (int)process->pid,
				 (int)walk->call->caller.tid);
		if (is_last(walk) && !walk->follow)
			return STEP_END;
		return prepend(walk, text) ? STEP_ON : STEP_END;
	}
	tid = parse_proc(walk->at, &behind);
	if (!tid)
		return -1;
	if (!*behind && options->test_abi && !strcmp(name, "fail-nth")) {
		walk->found->fail_nth = tid;
		return STEP_END;
	}
	if (!*behind && !strcmp(name, "status") && is_last(walk)) {
		walk->found->status = tid;
		return -1;
	}
	if (strcmp(behind, "/fd") != 0 || !parse_number(name, &fd))
		return -1;
	fd = (int)step_descriptor(walk, tid, fd);
	if (!walk->found->file && !walk->found->node)
		return -1;
	if (is_last(walk) && !walk->follow) {
		walk->found->is_link = true;
		return STEP_END;
	}
	return fd;
}

static bool append(struct walk *walk, const char *name)
{
	size_t length = strlen(walk->at), more = strlen(name);

	if (length + more + 2 > sizeof(walk->at))
		return false;
	walk->at[length] = '/';
	memcpy(walk->at + length + 1, name, more + 1);
	return true;
}

/* A symbolic link, in the directory that is the first @before bytes of where it is. */
static enum step follow_link(struct walk *walk, const char *target, size_t before)
{
	walk->found->direct = false;
	walk->at[before] = '\0';
	walk->found->node = tree_find(walk->at);
	return ++walk->links > LINKS_MAX || !prepend(walk, target) ? STEP_END : STEP_ON;
}

/* One name that is neither "." nor "..". */
static enum step step_name(struct walk *walk, const char *name)
{
	char full[PATH_MAX + 32], target[PATH_MAX];
	size_t before = strlen(walk->at);
	ssize_t length;
	int step;

	if (!strncmp(walk->at, "/proc", 5)) {
		walk->found->direct = false;
		step = step_proc(walk, name);
		if (step >= 0)
			return (enum step)step;
	}
	if (!append(walk, name))
		return STEP_END;
	walk->found->node = tree_find(walk->at);
	if (walk->found->node && walk->found->node->kind == NODE_LINK &&
	    !(is_last(walk) && !walk->follow)) {
		snprintf(target, sizeof(target), "%s", walk->found->node->text);
		return follow_link(walk, target, before);
	}
	if (walk->found->node) {
		walk->only_here |= !walk->found->node->native_ino;
		return STEP_ON;
	}
	if (is_last(walk) && !walk->follow)
		return STEP_END;
	snprintf(full, sizeof(full), "/proc/%d/root%s", (int)walk->call->caller.tid, walk->at);
	length = readlink(full, target, sizeof(target) - 1);
	if (length < 0)
		return errno == EINVAL ? STEP_ON : STEP_END;
	target[length] = '\0';
	return follow_link(walk, target, before);
}

/* To the directory above: false when this is none. */
static bool step_up(struct walk *walk)
{
	char full[PATH_MAX + 32], *slash = strrchr(walk->at, '/');
	struct stat st;

	snprintf(full, sizeof(full), "/proc/%d/root%s", (int)walk->call->caller.tid, walk->at);
	if (!walk->found->node && slash && (stat(full, &st) || !S_ISDIR(st.st_mode)))
		return false;
	if (slash)
		*slash = '\0';
	walk->found->node = tree_find(walk->at);
	walk->found->direct = false;
	return true;
}

static bool is_fault_setting(const struct walk *walk, const char *name)
{
	return options->test_abi && !strcmp(walk->at, "/sys/kernel/debug") &&
	       !strncmp(name, "fail", 4) && !is_last(walk);
}

static void walk_names(struct walk *walk)
{
	char name[NAME_MAX + 1];

	while (next_name(walk, name)) {
		if (walk->found->node && walk->found->node->kind != NODE_DIRECTORY) {
			walk->found->error = -ENOTDIR;
			return;
		}
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			if (!step_up(walk))
				return;
			continue;
		}
		if (is_fault_setting(walk, name)) {
			walk->found->node = NULL;
			walk->found->fault_setting = true;
			return;
		}
		walk->found->node = NULL;
		if (step_name(walk, name) == STEP_END)
			return;
	}
}

/* Where a relative path begins. */
static bool begin(struct walk *walk, int dir)
{
	char link[48];
	const struct node *node;
	struct stat st;
	ssize_t length;

	directory_link(walk->call, dir, link, sizeof(link));
	if (stat(link, &st) || !S_ISDIR(st.st_mode))
		return false;
	node = tree_of_stat(&st);
	if (node) {
		snprintf(walk->at, sizeof(walk->at), "%s", node->path);
		walk->found->node = node;
		walk->found->from_tree = st.st_ino == node->ino && st.st_dev == node->dev;
		walk->only_here = walk->found->from_tree;
		return true;
	}
	length = readlink(link, walk->at, sizeof(walk->at) - 1);
	if (length <= 0 || walk->at[0] != '/')
		return false;
	walk->at[length == 1 ? 0 : length] = '\0';
	return true;
}

/* What it leads to is the machine's, but not by the machine's directories. */
static void leave(struct walk *walk)
{
	struct found *found = walk->found;
	int length = snprintf(found->path, sizeof(found->path), "%s%s%s", walk->at,
			      walk->rest[0] && walk->rest[0] != '/' ? "/" : "", walk->rest);

	found->outside = length >= 0 && (size_t)length < sizeof(found->path);
}

void resolve(struct call *call, int dir, const char *path, bool follow, struct found *found)
{
	struct walk walk;

	memset(found, 0, offsetof(struct found, path));
	found->direct = true;
	found->absolute = path[0] == '/';
	if (!path[0] || is_foreign(call, dir, path, follow))
		return;
	walk.call = call;
	walk.found = found;
	walk.follow = follow || path[strlen(path) - 1] == '/';
	walk.only_here = false;
	walk.links = 0;
	walk.at[0] = '\0';
	snprintf(walk.rest, sizeof(walk.rest), "%s", path);
	if (path[0] != '/' && !begin(&walk, dir))
		return;
	walk_names(&walk);
	if (walk.only_here && !found->node && !found->file && !found->fail_nth &&
	    !found->fault_setting)
		leave(&walk);
}
