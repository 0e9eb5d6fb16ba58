/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of programs, and what they ask of seccomp. Every exec is carried out by
 * the kernel; what cannot work under the supervisor is told of, or refused, before.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

/* The file as the caller finds it; a negative errno. */
static int open_program(struct call *call, int dir, const char *path)
{
	char full[PATH_MAX + 64];
	int length;

	if (path[0] == '/')
		length = snprintf(full, sizeof(full), "/proc/%d/root%s", (int)call->caller.tid,
				  path);
	else if (dir == AT_FDCWD)
		length = snprintf(full, sizeof(full), "/proc/%d/cwd/%s", (int)call->caller.tid,
				  path);
	else
		length = snprintf(full, sizeof(full), "/proc/%d/fd/%d%s%s", (int)call->caller.tid,
				  dir, *path ? "/" : "", path);
	if (length < 0 || (size_t)length >= sizeof(full))
		return -ENAMETOOLONG;
	length = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return length < 0 ? -errno : length;
}

/* What no_new_privs takes away. */
static void tell_privileges(const struct call *call, const struct stat *st, const char *path)
{
	char own[32];
	struct stat self;

	snprintf(own, sizeof(own), "/proc/%d", (int)call->caller.tid);
	if (stat(own, &self))
		return;
	if ((st->st_mode & S_ISUID) && st->st_uid != self.st_uid)
		notice("%s: is set-user-ID, and runs without that here", path);
	else if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != self.st_gid)
		notice("%s: is set-group-ID, and runs without that here", path);
}

#if defined(__x86_64__)
#define IS_SHORT_MACHINE(m) ((m) == EM_386 || (m) == EM_X86_64)
#elif defined(__aarch64__)
#define IS_SHORT_MACHINE(m) ((m) == EM_ARM)
#else
#define IS_SHORT_MACHINE(m) true
#endif

/* A program of 32 bits, whose system calls have numbers that the filter does not know. */
static bool is_short(int fd)
{
	Elf32_Ehdr header;

	return pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	       !memcmp(header.e_ident, ELFMAG, SELFMAG) && header.e_ident[EI_CLASS] == ELFCLASS32 &&
	       IS_SHORT_MACHINE(header.e_machine);
}

static long begins(struct call *call, int dir, uint64_t at)
{
	struct process *process = process_find(call->caller.tid);
	long ret = CONTINUE;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	/* All that is to be closed by it; the threads that go with it may make calls till then. */
	files_change_all(call);
	if (process) {
		process_execs(process, call->caller.tid);
		process_put(process);
	}
	if (call_text(call, at, path, sizeof(path)) < 0)
		return CONTINUE;
	fd = open_program(call, dir, path);
	if (fd < 0)
		return CONTINUE;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && call_is_valid(call)) {
		tell_privileges(call, &st, path);
		if (is_short(fd)) {
			notice("%s: is a 32-bit program, which cannot be run here", path);
			ret = -ENOEXEC;
		}
	}
	close(fd);
	return ret;
}

/* What was closed before is closed by now, and what is not is still open. */
static long ends(struct call *call)
{
	struct process *process = process_find(call->caller.tid);

	if (!process)
		return CONTINUE;
	files_settle(NULL, process);
	account_exit(process, REPORT_EXITED, (int)(call->args[0] & 0xff));
	process_put(process);
	return CONTINUE;
}

/* Ours, which says itself what is wrong with being started here. */
static bool is_supervisor(pid_t tid)
{
	char path[32];
	struct stat own, its;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)tid);
	return !stat(path, &its) && !stat("/proc/self/exe", &own) && own.st_ino == its.st_ino &&
	       own.st_dev == its.st_dev;
}

/*
 * The kernel answers EBUSY: there can be one listener only. A call without a filter
 * only asks what the kernel can do.
 */
static long listens(const struct call *call)
{
	char path[40], comm[20] = "";
	FILE *file;

	if (!call->args[2] || is_supervisor(call->caller.tid))
		return CONTINUE;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)call->caller.tid);
	file = fopen(path, "re");
	if (file && !fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	if (file)
		fclose(file);
	comm[strcspn(comm, "\n")] = '\0';
	notice("%s[%d]: wants system calls brought to itself by seccomp, which only one "
	       "process can, and that is uiommu: EBUSY",
	       comm, (int)call->caller.tid);
	return CONTINUE;
}

long exec_call(struct call *call)
{
	if (call->nr == SYS_seccomp)
		return listens(call);
	if (call->nr == SYS_exit_group)
		return ends(call);
	if (call->nr == SYS_execve)
		return begins(call, AT_FDCWD, call->args[0]);
	return begins(call, (int)call->args[0], call->args[1]);
}
