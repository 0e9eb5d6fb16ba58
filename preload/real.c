/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct real real_functions;
atomic_bool real_found;

#define FUNCTION(name)                             \
	{                                          \
		offsetof(struct real, name), #name \
	}

static const struct {
	size_t offset;
	const char *name;
} functions[] = {
	FUNCTION(open),        FUNCTION(openat),      FUNCTION(fopen),
	FUNCTION(fclose),      FUNCTION(opendir),     FUNCTION(close),
	FUNCTION(close_range), FUNCTION(closefrom),   FUNCTION(dup),
	FUNCTION(dup2),        FUNCTION(dup3),        FUNCTION(fcntl),
	FUNCTION(ioctl),       FUNCTION(read),        FUNCTION(write),
	FUNCTION(readv),       FUNCTION(writev),      FUNCTION(pread),
	FUNCTION(pwrite),      FUNCTION(mmap),        FUNCTION(munmap),
	FUNCTION(mremap),      FUNCTION(recvmsg),     FUNCTION(stat),
	FUNCTION(lstat),       FUNCTION(fstat),       FUNCTION(fstatat),
	FUNCTION(statx),       FUNCTION(access),      FUNCTION(faccessat),
	FUNCTION(fork),        FUNCTION(execve),      FUNCTION(execv),
	FUNCTION(execvp),      FUNCTION(execvpe),     FUNCTION(fexecve),
	FUNCTION(sigaction),   FUNCTION(sigprocmask), FUNCTION(pthread_sigmask),
	FUNCTION(_exit),
};

/*
 * Threads may come here at the same time: they store the same values. Neither
 * dlsym() nor anything else here allocates.
 */
void real_find(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void **slot = (void **)((char *)&real_functions + functions[i].offset);

		__atomic_store_n(slot, dlsym(RTLD_NEXT, functions[i].name), __ATOMIC_RELAXED);
	}
	atomic_store_explicit(&real_found, true, memory_order_release);
}
