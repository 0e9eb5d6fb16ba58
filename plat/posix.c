/* SPDX-License-Identifier: MIT */
/*
 * The platform on a POSIX system: address space from mmap(), threads, and the
 * asymmetric barrier of membarrier(2).
 */
#include "plat/plat.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plat/compiler.h"

#define HUGE_SIZE ((size_t)2 << 20)

_Static_assert(sizeof(struct plat_mutex) >= sizeof(pthread_mutex_t), "struct plat_mutex");

__thread struct mm_thread *plat_self __attribute__((tls_model("initial-exec")));

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;
static void (*_Atomic thread_end)(struct mm_thread *self);

static void thread_ended(void *self)
{
	thread_end(self);
	plat_self = NULL;
}

static void make_thread_key(void)
{
	if (pthread_key_create(&thread_key, thread_ended))
		plat_panic("no thread-specific key is left");
}

void plat_thread_started(struct mm_thread *self, void (*ended)(struct mm_thread *self))
{
	thread_end = ended;
	pthread_once(&thread_key_once, make_thread_key);
	pthread_setspecific(thread_key, self);
}

void plat_forked(void)
{
	if (!plat_self)
		return;
	pthread_setspecific(thread_key, NULL);
	plat_self = NULL;
}

static void (*_Atomic fork_handler)(void);

/* The child's thread is the one that forked, and has a copy of its variables. */
static void in_child(void)
{
	fork_handler();
}

static void register_fork_handler(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

void plat_watch_forks(void (*forked)(void))
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	fork_handler = forked;
	pthread_once(&once, register_fork_handler);
}

void *plat_reserve(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), head;
	char *raw, *base;

	/* The system's pages may be larger than the library's. */
	size = (size + page - 1) & ~(page - 1);
	raw = mmap(NULL, size + HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (raw == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)raw & (HUGE_SIZE - 1);
	base = raw + head;
	if (head)
		munmap(raw, head);
	munmap(base + size, HUGE_SIZE - head);
	return base;
}

void plat_unreserve(void *base, size_t size)
{
	munmap(base, size);
}

int plat_commit(void *base, size_t size)
{
	long page = sysconf(_SC_PAGESIZE);

	if (mprotect(base, size, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	if (size >= HUGE_SIZE)
		madvise(base, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
	if (!madvise(base, size, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL) /* the kernel has the command, but no memory */
		return -ENOMEM;
#endif
	for (size_t at = 0; at < size; at += (size_t)page)
		((volatile char *)base)[at] = 0;
	return 0;
}

static int membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

/* The barrier reaches the threads of this process only. */
bool plat_barrier_init(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

/* A seccomp filter may have been installed since the registration. */
bool plat_barrier_all(void)
{
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
}

uint64_t plat_clock_ms(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void plat_yield(void)
{
	sched_yield();
}

void plat_warn(const char *line)
{
	fprintf(stderr, "uiommu: %s\n", line);
}

void plat_panic(const char *line)
{
	plat_warn(line);
	abort();
}

void plat_mutex_init(struct plat_mutex *mutex)
{
	pthread_mutex_init((pthread_mutex_t *)mutex, NULL);
}

void plat_mutex_lock(struct plat_mutex *mutex)
{
	pthread_mutex_lock((pthread_mutex_t *)mutex);
}

void plat_mutex_unlock(struct plat_mutex *mutex)
{
	pthread_mutex_unlock((pthread_mutex_t *)mutex);
}
