/* SPDX-License-Identifier: MIT */
/*
 * Finding the program, and telling beforehand whether a preloaded library can
 * get into it: otherwise it would run, but without us and without a word.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/run.h"

/* Of scripts that name scripts: the kernel's own limit. */
#define INTERPRETERS_MAX 4

/* The length of what was read from the start of a file. */
static size_t read_start(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		die("%s: cannot be read, to see whether it is dynamically linked: %s", path,
		    strerror(errno));
	n = read(fd, buf, size);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

/* What the dynamic linker does with LD_PRELOAD then is ignore it. */
static void check_privileges(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		die("%s: %s", path, strerror(errno));
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		die("%s: is set-user-ID, so nothing can be preloaded into it", path);
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		die("%s: is set-group-ID, so nothing can be preloaded into it", path);
	if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		die("%s: has file capabilities, so nothing can be preloaded into it", path);
}

static void check_elf(const char *path, const unsigned char *start, size_t length)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)start;
	Elf64_Ehdr own;

	read_start("/proc/self/exe", &own, sizeof(own));
	if (length < sizeof(*header) || header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
	    header->e_machine != own.e_machine)
		die("%s: is for another kind of processor than uiommu, so it cannot be run with it",
		    path);
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		size_t at = header->e_phoff + (size_t)i * header->e_phentsize;

		if (at + sizeof(Elf64_Phdr) <= length &&
		    ((const Elf64_Phdr *)(start + at))->p_type == PT_INTERP)
			return;
	}
	die("%s: is statically linked, so nothing can be preloaded into it", path);
}

static void check_file(const char *path, unsigned int depth);

static void check_script(const char *path, char *line, unsigned int depth)
{
	char *interpreter = line + 2 + strspn(line + 2, " \t");

	interpreter[strcspn(interpreter, " \t\n")] = '\0';
	if (!*interpreter || depth == INTERPRETERS_MAX)
		die("%s: names no interpreter that could be run", path);
	check_file(interpreter, depth + 1);
}

static void check_file(const char *path, unsigned int depth)
{
	_Alignas(Elf64_Ehdr) unsigned char start[8192] = {0};
	size_t length = read_start(path, start, sizeof(start) - 1);

	if (length >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG)) {
		check_privileges(path);
		check_elf(path, start, length);
	} else if (length >= 2 && start[0] == '#' && start[1] == '!') {
		check_script(path, (char *)start, depth);
	} else {
		die("%s: is neither a program nor a script that names its interpreter", path);
	}
}

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
	check_file(path, 0);
	return path;
}
