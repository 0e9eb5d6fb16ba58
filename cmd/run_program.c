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

static bool is_executable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static char *search_path(const char *name)
{
	const char *dir = getenv("PATH");
	char *path = NULL;

	for (dir = dir ? dir : "/bin:/usr/bin"; *dir;) {
		size_t length = strcspn(dir, ":");

		if (asprintf(&path, "%.*s%s%s", (int)length, dir, length ? "/" : "./", name) < 0)
			out_of_memory();
		if (is_executable(path))
			return path;
		free(path);
		dir += length + (dir[length] == ':');
	}
	die("%s: no such program in PATH", name);
}

char *run_find_program(const char *name)
{
	char *path;

	if (!*name)
		die("the program's name is empty");
	path = strchr(name, '/') ? strdup(name) : search_path(name);
	if (!path)
		out_of_memory();
	if (access(path, F_OK))
		die("%s: %s", path, strerror(errno));
	if (!is_executable(path))
		die("%s: is not an executable file", path);
	return path;
}
