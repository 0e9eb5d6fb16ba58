/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "trace/filter.h"

extern char **environ;

static const struct {
	const char *program;
	size_t length;
	const char *magic;
} formats[] = {
	{"xz", 6, "\xfd\x37zXZ"}, {"gzip", 2, "\x1f\x8b"},        {"zstd", 4, "\x28\xb5\x2f\xfd"},
	{"bzip2", 3, "BZh"},      {"lz4", 4, "\x04\x22\x4d\x18"},
};

static const char *program_for(const char *magic, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (length >= formats[i].length &&
		    !memcmp(magic, formats[i].magic, formats[i].length))
			return formats[i].program;
	return NULL;
}

static int write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0)
			return -1;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/*
 * In a child process: write the bytes that were read for detection, then the rest of
 * the pipe.
 */
static void __attribute__((noreturn)) feed(int from, int to, const char *magic, size_t length)
{
	char data[65536];
	ssize_t n = (ssize_t)length;

	memcpy(data, magic, length);
	while (n > 0 && !write_all(to, data, (size_t)n))
		n = read(from, data, sizeof(data));
	_exit(n < 0);
}

/* A descriptor that reads the whole input from its first byte on. */
static int from_start(struct trace_filter *filter, int fd, const char *magic, size_t length)
{
	int ends[2];

	if (lseek(fd, -(off_t)length, SEEK_CUR) >= 0)
		return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	filter->feeder = fork();
	if (filter->feeder == 0)
		feed(fd, ends[1], magic, length);
	close(ends[1]);
	return ends[0];
}

static int spawn(struct trace_filter *filter, int in, int out)
{
	char *argv[] = {(char *)filter->program, "-dc", NULL};
	posix_spawn_file_actions_t actions;
	int ret;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	/* Its error output is dropped, since we print a message of our own. */
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	ret = posix_spawnp(&filter->child, filter->program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

int trace_filter_start(struct trace_filter *filter, int fd, const char *magic, size_t length)
{
	int in, ends[2], ret;

	*filter = (struct trace_filter){.program = program_for(magic, length)};
	if (!filter->program)
		return fd;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	in = from_start(filter, fd, magic, length);
	ret = in < 0 ? -errno : spawn(filter, in, ends[1]);
	if (in >= 0)
		close(in);
	close(ends[1]);
	if (!ret)
		return ends[0];
	close(ends[0]);
	trace_filter_end(filter, false);
	return ret;
}

int trace_filter_end(struct trace_filter *filter, bool finished)
{
	int status = 0;

	if (filter->child > 0) {
		if (!finished)
			kill(filter->child, SIGPIPE);
		waitpid(filter->child, &status, 0);
	}
	if (filter->feeder > 0) {
		if (!finished)
			kill(filter->feeder, SIGPIPE);
		waitpid(filter->feeder, NULL, 0);
	}
	filter->child = filter->feeder = 0;
	return status ? -1 : 0;
}
