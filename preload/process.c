/* SPDX-License-Identifier: MIT */
/* The life of a process: begin, fork, exec, exit. */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "plat/plat.h"
#include "preload/preload.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static void forked(void)
{
	plat_forked();
	table_fork_child();
}

__attribute__((constructor(101))) static void process_begin(void)
{
	options_save();
	process.shared = share_memory();
	process.pid = getpid();
	account_start();
	trace_open();
	/* Without room nothing is ever opened. */
	if (process.shared)
		pthread_atfork(table_fork_prepare, table_fork_parent, forked);
}

/*
 * Descriptors would be closed by the kernel, which does not know what that means.
 * A signal handler that ends the process in the midst of a call must not wait
 * for the locks of that: then it is as if the process had been killed.
 */
static void process_end(void)
{
	if (!process.pid || calls_under_way || table_is_borrowed())
		return;
	table_reap();
	account_exit(REPORT_EXITED);
	table_drop_all();
	trace_flush();
	plat_exiting();
}

__attribute__((destructor(101))) static void process_destructor(void)
{
	process_end();
}

INTERPOSE void _exit(int status)
{
	process_end();
	real()->_exit(status);
}

INTERPOSE void _Exit(int status)
{
	_exit(status);
}

INTERPOSE pid_t fork(void)
{
	int error;
	pid_t pid;

	table_fork_begin();
	pid = real()->fork();
	error = errno;
	table_fork_end(pid);
	errno = error;
	return pid;
}

/* ---- exec ---- */

static unsigned int inherited;

static void count_inherited(int fd, struct file *file)
{
	int flags = real()->fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		inherited++;
}

/* An ELF file that asks for no dynamic linker, which would be the one to preload us. */
static bool is_static(const char *path)
{
	_Alignas(Elf64_Ehdr) unsigned char start[4096];
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)start;
	int fd = real()->open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : real()->pread(fd, start, sizeof(start), 0);

	if (fd >= 0)
		real()->close(fd);
	if (length < (ssize_t)sizeof(*header) || memcmp(start, ELFMAG, SELFMAG))
		return false;
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		uint64_t at = header->e_phoff + (uint64_t)i * header->e_phentsize;
		uint32_t type;

		if (at > (uint64_t)length || (uint64_t)length - at < sizeof(type))
			return false; /* not for us to say */
		memcpy(&type, start + at, sizeof(type));
		if (type == PT_INTERP)
			return false;
	}
	return true;
}

/*
 * The new program gets the descriptors but nothing that is behind them, which a
 * kernel would keep for it.
 */
static void exec_begins(const char *program)
{
	int error = errno;

	if (is_static(program))
		notice("%s is statically linked, so it runs without /dev/iommu", program);
	if (!atomic_load(&process.end)) {
		errno = error;
		return;
	}
	inherited = 0;
	table_for_each(count_inherited);
	if (inherited)
		notice("%s inherits %u descriptor%s of /dev/iommu or /dev/vfio, which will not "
		       "work "
		       "there (open them with O_CLOEXEC)",
		       program, inherited, inherited == 1 ? "" : "s");
	if (!table_is_borrowed()) {
		account_inherited(inherited);
		account_exit(REPORT_EXECED);
		table_exec();
		trace_flush();
	}
	errno = error;
}

static int exec_failed(int ret)
{
	int error = errno;

	if (atomic_load(&process.end) && !table_is_borrowed()) {
		table_exec_failed();
		account_go_on();
	}
	errno = error;
	return ret;
}

INTERPOSE int execve(const char *path, char *const argv[], char *const envp[])
{
	exec_begins(path);
	return exec_failed(real()->execve(path, argv, envp));
}

INTERPOSE int execv(const char *path, char *const argv[])
{
	exec_begins(path);
	return exec_failed(real()->execv(path, argv));
}

INTERPOSE int execvp(const char *file, char *const argv[])
{
	exec_begins(file);
	return exec_failed(real()->execvp(file, argv));
}

INTERPOSE int execvpe(const char *file, char *const argv[], char *const envp[])
{
	exec_begins(file);
	return exec_failed(real()->execvpe(file, argv, envp));
}

INTERPOSE int fexecve(int fd, char *const argv[], char *const envp[])
{
	exec_begins("fexecve()");
	return exec_failed(real()->fexecve(fd, argv, envp));
}

/* The arguments of execl() and its like, which end with a null pointer. */
#define LIST_MAX 4096

static size_t list_arguments(const char **argv, const char *first, va_list *args)
{
	size_t n = 0;

	for (const char *arg = first; n < LIST_MAX; arg = va_arg(*args, const char *)) {
		argv[n] = arg;
		if (!arg)
			return n;
		n++;
	}
	return 0;
}

INTERPOSE int execl(const char *path, const char *first, ...)
{
	const char *argv[LIST_MAX];
	va_list args;
	size_t n;

	va_start(args, first);
	n = list_arguments(argv, first, &args);
	va_end(args);
	return n ? execv(path, (char *const *)argv) : (int)libc_result(-E2BIG);
}

INTERPOSE int execlp(const char *file, const char *first, ...)
{
	const char *argv[LIST_MAX];
	va_list args;
	size_t n;

	va_start(args, first);
	n = list_arguments(argv, first, &args);
	va_end(args);
	return n ? execvp(file, (char *const *)argv) : (int)libc_result(-E2BIG);
}

INTERPOSE int execle(const char *path, const char *first, ...)
{
	const char *argv[LIST_MAX];
	char *const *envp;
	va_list args;
	size_t n;

	va_start(args, first);
	n = list_arguments(argv, first, &args);
	envp = va_arg(args, char *const *);
	va_end(args);
	return n ? execve(path, (char *const *)argv, envp) : (int)libc_result(-E2BIG);
}
