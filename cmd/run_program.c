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

/* Of scripts that name scripts: the kernel's own limit. */
#define INTERPRETERS_MAX 4

/* The length of what was read from the start of a file. */
static size_t read_start(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == EACCES)
		refuse(path, "cannot be read, to see whether it is dynamically linked");
	if (fd < 0)
		cannot_start(path, errno);
	n = read(fd, buf, size);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

/* What the dynamic linker does with LD_PRELOAD then is ignore it. */
static void check_privileges(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		cannot_start(path, errno);
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		refuse(path, "is set-user-ID, so nothing can be preloaded into it");
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		refuse(path, "is set-group-ID, so nothing can be preloaded into it");
	if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		refuse(path, "has file capabilities, so nothing can be preloaded into it");
}

static void check_elf(const char *path, const unsigned char *start, size_t length)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)start;
	Elf64_Ehdr own;

	read_start("/proc/self/exe", &own, sizeof(own));
	if (length < sizeof(*header) || header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
	    header->e_machine != own.e_machine)
		refuse(path, "is for another kind of processor than uiommu, so it cannot be run "
			     "with it");
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		size_t at = header->e_phoff + (size_t)i * header->e_phentsize;

		if (at + sizeof(Elf64_Phdr) <= length &&
		    ((const Elf64_Phdr *)(start + at))->p_type == PT_INTERP)
			return;
	}
	refuse(path, "is statically linked, so nothing can be preloaded into it");
}

static void check_file(const char *path, unsigned int depth);

static void check_script(const char *path, char *line, unsigned int depth)
{
	char *interpreter = line + 2 + strspn(line + 2, " \t");

	interpreter[strcspn(interpreter, " \t\n")] = '\0';
	if (!*interpreter || depth == INTERPRETERS_MAX)
		refuse(path, "names no interpreter that could be run");
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
		refuse(path, "is neither a program nor a script that names its interpreter");
	}
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
	check_file(path, 0);
	return path;
}
