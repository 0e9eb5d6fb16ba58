/* SPDX-License-Identifier: MIT */
#include "cmd/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cmd/cmd.h"

#define LINKS_MAX       40  /* of a path, as the kernel */
#define DESCRIPTORS_MAX 256 /* that are looked at */
#define NAMES_MAX       100 /* tried for the file beside */

struct output {
	struct output *next; /* of those that are not finished */
	const char *option, *path;
	char *target; /* the file that there is to be; NULL: something else than a file */
	char *beside; /* what is written meanwhile; NULL: the target, which was empty */
	int fd;
	off_t start; /* what is before it is not ours */
	int error;   /* the first */
	FILE *stream;
};

static struct output *outputs;
static pid_t owner; /* of the files beside */

/* ---- the end of the process ---- */

static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU};

#define NR_DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* A file that was empty is empty again. */
static void remove_output(const struct output *output)
{
	if (output->beside)
		unlink(output->beside);
	else if (output->target && output->fd >= 0 && ftruncate(output->fd, 0))
		return;
}

static void remove_unfinished(void)
{
	for (const struct output *output = outputs; output && getpid() == owner;
	     output = output->next)
		remove_output(output);
}

/* The action is the default one by now. */
static void die_of(int sig)
{
	remove_unfinished();
	raise(sig);
}

static void watch_end(void)
{
	struct sigaction act = {.sa_handler = die_of, .sa_flags = (int)SA_RESETHAND}, old;

	if (owner)
		return;
	owner = getpid();
	atexit(remove_unfinished);
	for (size_t i = 0; i < NR_DEADLY; i++)
		if (!sigaction(deadly[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &act, NULL);
}

/* While the list and the files beside do not say the same. */
static void hold_signals(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaddset(&set, deadly[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

static void release_signals(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

/* ---- which file ---- */

static void __attribute__((noreturn)) refuse(const struct output *output, int error)
{
	fail("%s: %s: %s", output->option, quoted(output->path), strerror(error));
}

/* @name as seen from the directory of @path. The caller frees it. */
static char *sibling(const char *path, const char *name)
{
	const char *slash = name[0] == '/' ? NULL : strrchr(path, '/');
	char *joined;

	if (asprintf(&joined, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name) < 0)
		out_of_memory();
	return joined;
}

/* Where a file would be made: links to nothing are followed. */
static char *end_of_links(const struct output *output)
{
	char *path = strdup(output->path), *followed;
	char link[4096];

	for (int links = 0; path; links++) {
		ssize_t length = readlink(path, link, sizeof(link) - 1);

		if (length < 0)
			return path;
		if (links == LINKS_MAX)
			refuse(output, ELOOP);
		link[length] = '\0';
		followed = sibling(path, link);
		free(path);
		path = followed;
	}
	out_of_memory();
}

/*
 * A descriptor that is open on the same file, such as standard output: another one that
 * shares its place in the file, or -1. What is only read must not be replaced.
 */
static int open_already(const struct output *output, const struct stat *file)
{
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		struct stat st;
		int flags;

		if (fstat(fd, &st) || st.st_ino != file->st_ino || st.st_dev != file->st_dev)
			continue;
		flags = fcntl(fd, F_GETFL);
		if ((flags & O_ACCMODE) != O_RDONLY)
			return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		/* What was inherited may be read by others. */
		if (fd == STDIN_FILENO || (fcntl(fd, F_GETFD) & FD_CLOEXEC))
			fail("%s: %s: is the input", output->option, quoted(output->path));
	}
	return -1;
}

static void refuse_twice(const struct output *output)
{
	for (const struct output *other = outputs; other; other = other->next)
		if (other != output && other->target && !strcmp(other->target, output->target))
			fail("%s: %s: is the file of %s", output->option, quoted(output->path),
			     other->option);
}

/* ---- opening ---- */

static void open_directly(struct output *output)
{
	output->fd = open(output->path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (output->fd < 0)
		refuse(output, errno);
}

/* False with errno when there is a file of that name, or none can be made. */
static bool make_file(struct output *output, char *path)
{
	sigset_t old;
	int error;

	/* A signal finds either no file or its name. */
	hold_signals(&old);
	output->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	error = errno;
	if (output->fd >= 0)
		output->beside = path;
	release_signals(&old);
	errno = error;
	return output->fd >= 0;
}

/* A new file in the directory of the target; its mode is what a new file gets. */
static void make_beside(struct output *output)
{
	char name[64], *path;

	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), ".uiommu-%d-%u", (int)getpid(), i);
		path = sibling(output->target, name);
		if (make_file(output, path))
			return;
		free(path);
		if (errno != EEXIST)
			break;
	}
	refuse(output, errno);
}

/* The owner as far as this user may give files away. */
static void copy_owner_and_mode(const struct output *output, const struct stat *old)
{
	bool kept = !fchown(output->fd, old->st_uid, old->st_gid) ||
		    !fchown(output->fd, (uid_t)-1, old->st_gid);

	if (fchmod(output->fd, old->st_mode & (kept ? 0777 : 0707)))
		refuse(output, errno);
}

static void open_file(struct output *output)
{
	struct stat old;

	if (stat(output->path, &old)) {
		if (errno != ENOENT)
			refuse(output, errno);
		output->target = end_of_links(output);
		refuse_twice(output);
		make_beside(output);
		return;
	}
	if (!S_ISREG(old.st_mode)) {
		open_directly(output);
		return;
	}
	output->fd = open_already(output, &old);
	if (output->fd >= 0)
		return;
	output->target = realpath(output->path, NULL);
	if (!output->target) {
		open_directly(output); /* it has no name any more */
		return;
	}
	refuse_twice(output);
	/* A user that may not write the file may not replace it either. */
	open_directly(output);
	if (!old.st_size)
		return; /* nothing is lost, and another process may have it open for reading */
	close(output->fd);
	make_beside(output);
	copy_owner_and_mode(output, &old);
}

/* ---- the stream ---- */

/* As write(), but all or nothing, and the reason is kept. */
static ssize_t write_stream(void *cookie, const char *data, size_t bytes)
{
	struct output *output = cookie;

	for (size_t done = 0; done < bytes && !output->error;) {
		ssize_t n = write(output->fd, data + done, bytes - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			output->error = errno;
	}
	return output->error ? 0 : (ssize_t)bytes;
}

/* Where our part begins in a file that was there before. */
static off_t find_start(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	return fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
}

struct output *output_open(const char *option, const char *path)
{
	static const cookie_io_functions_t functions = {.write = write_stream};
	struct output *output = calloc(1, sizeof(*output));
	sigset_t old;

	if (!output)
		out_of_memory();
	output->option = option;
	output->path = path;
	output->fd = -1;
	fflush(stdout); /* which may be the same file */
	hold_signals(&old);
	watch_end();
	output->next = outputs;
	outputs = output;
	release_signals(&old);
	open_file(output); /* may wait for the reader of a FIFO */
	output->start = find_start(output->fd);
	output->stream = fopencookie(output, "w", functions);
	if (!output->stream)
		out_of_memory();
	return output;
}

FILE *output_stream(struct output *output)
{
	return output->stream;
}

int output_fd(const struct output *output)
{
	return output->fd;
}

void output_reserve(struct output *output, uint64_t bytes)
{
	char needed[BYTES_TEXT], free_text[BYTES_TEXT];
	struct statvfs fs;
	uint64_t free_bytes;

	if (!output->target || fstatvfs(output->fd, &fs) || !fs.f_blocks)
		return;
	free_bytes = (uint64_t)(getuid() ? fs.f_bavail : fs.f_bfree) * fs.f_frsize;
	if (bytes > free_bytes)
		fail("%s: %s: takes %s, and there are %s left on its file system", output->option,
		     quoted(output->path), format_bytes(bytes, needed),
		     format_bytes(free_bytes, free_text));
}

void output_restart(struct output *output)
{
	fflush(output->stream);
	/* What is no file cannot be shortened; nor can what was read of it be taken back. */
	if (lseek(output->fd, output->start, SEEK_SET) < 0)
		return;
	if (ftruncate(output->fd, output->start) && errno != EINVAL && !output->error)
		output->error = errno;
}

void output_failed(struct output *output, int error)
{
	if (!output->error)
		output->error = error;
}

/* Is what was written the file of that name, or has it been taken away? */
static bool is_in_place(const struct output *output)
{
	struct stat named, written;

	return !stat(output->target, &named) && !fstat(output->fd, &written) &&
	       named.st_ino == written.st_ino && named.st_dev == written.st_dev;
}

/* Once it is closed, which may tell that not all was written after all. */
static void put_in_place(struct output *output)
{
	struct output **link = &outputs;
	sigset_t old;

	hold_signals(&old);
	if (!output->beside && output->error)
		remove_output(output);
	if (close(output->fd))
		output_failed(output, errno);
	if (output->beside && !output->error && rename(output->beside, output->target))
		output->error = errno;
	if (output->beside && output->error)
		unlink(output->beside);
	while (*link != output)
		link = &(*link)->next;
	*link = output->next;
	release_signals(&old);
}

int output_finish(struct output *output)
{
	int status = 0;

	if (fclose(output->stream))
		output_failed(output, errno ? errno : EIO);
	if (output->target && !output->beside && !is_in_place(output))
		output_failed(output, ENOENT);
	put_in_place(output);
	if (output->error) {
		complain("%s: %s: %s", output->option, quoted(output->path),
			 strerror(output->error));
		status = CMD_FAILED;
	}
	free(output->target);
	free(output->beside);
	free(output);
	return status;
}
