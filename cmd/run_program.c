/* SPDX-License-Identifier: MIT */
/*
 * Finding the program, and telling beforehand what would not run as it should.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/run.h"

/* As env(1), nice(1) and shells do. */
static void __attribute__((noreturn)) cannot_start(const char *path, int error)
{
	leave(error == ENOENT ? CMD_NOT_FOUND : CMD_CANNOT_RUN, "%s: %s", quoted(path),
	      strerror(error));
}

static void __attribute__((noreturn)) refuse(const char *path, const char *why)
{
	leave(CMD_CANNOT_RUN, "%s: %s", quoted(path), why);
}

/* Why it cannot be executed; 0 when it can. */
static int not_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return EACCES;
	return 0;
}

static void __attribute__((noreturn)) refuse_file(const char *path, int error)
{
	if (error == EACCES && !access(path, F_OK))
		refuse(path, "is not an executable file");
	cannot_start(path, error);
}

/* The first that can be run; else what is said of the first that is there. */
static char *search_path(const char *name)
{
	const char *dir = getenv("PATH");
	char *path = NULL, *found = NULL;
	int error, why = ENOENT;

	for (dir = dir ? dir : "/bin:/usr/bin"; *dir && *name;) {
		size_t length = strcspn(dir, ":");

		if (asprintf(&path, "%.*s%s%s", (int)length, dir, length ? "/" : "./", name) < 0)
			out_of_memory();
		error = not_executable(path);
		if (!error)
			return path;
		if (!found && error != ENOENT && error != ENOTDIR) {
			found = path;
			why = error;
		} else {
			free(path);
		}
		dir += length + (dir[length] == ':');
	}
	if (found)
		refuse_file(found, why);
	leave(CMD_NOT_FOUND, "%s: no such program in PATH", quoted(name));
}

char *run_find_program(const char *name)
{
	char *path = strchr(name, '/') ? strdup(name) : search_path(name);
	int error;

	if (!path)
		out_of_memory();
	error = not_executable(path);
	if (error)
		refuse_file(path, error);
	return path;
}
