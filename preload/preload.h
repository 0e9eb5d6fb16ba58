/* SPDX-License-Identifier: MIT */
/*
 * libuiommu-preload.so: what its files offer each other.
 *
 * A descriptor of ours is a real one, of a memfd or an eventfd, so its number is
 * the kernel's to give, and polling, passing O_CLOEXEC on, and the limit on
 * descriptors need nothing from us. A table by number tells what is behind it.
 *
 * Processes that fork go on with the same open files, as in the kernel: the
 * library's memory, its variables and ours are mapped shared (share.c), but for
 * struct process, which each process has for itself. Who dies without closing
 * is noticed at the next close by another (table.c).
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommufd.h>

#include "preload/real.h"
#include "preload/shared.h"

struct vfio_cdev;

enum file_kind {
	FILE_IOMMU,
	FILE_VFIO,
	FILE_FAULT,
	FILE_ACCESS,
	FILE_FAIL_NTH, /* /proc/self/fail-nth */
};

#define FILE_HOLDERS 8

/* The descriptors that one process has of a file. */
struct file_holder {
	int pid;
	unsigned int count;
};

/* An open file. Its memory is never given back, so a stale pointer can be looked at. */
struct file {
	atomic_uint refs; /* descriptors, calls under way, files that need this one */
	enum file_kind kind;
	unsigned int number;  /* of a FILE_IOMMU, from 1 */
	struct file *context; /* the FILE_IOMMU that it holds, or NULL */
	union {
		struct iommufd_ctx *ctx;
		struct vfio_cdev *cdev;
		void *object;     /* FILE_FAULT, FILE_ACCESS */
		unsigned int nth; /* FILE_FAIL_NTH */
	};
	struct report_process *slot; /* FILE_IOMMU: who opened it, or NULL */
	uint64_t memlock_seen;       /* of its context's failures, by account_memlock() */
	atomic_bool grown;           /* since its usage was last accounted */
	struct file_holder holders[FILE_HOLDERS]; /* under the table's lock */
	struct file *next_free;
};

#define DESCRIPTORS_MAX (1 << 20)
#define DROPPED_MAX     64

/* Not shared with children, who get a copy. One page, for the sake of that. */
struct process {
	_Alignas(4096) atomic_int end; /* highest descriptor of ours + 1 */
	int pid;
	struct file **table;  /* DESCRIPTORS_MAX, or NULL */
	uint64_t watch_start; /* all memory that is mapped for DMA */
	uint64_t watch_end;   /* lies between these */
	bool fail_nth_set;
	bool shared;                 /* share_memory() has found room */
	bool related;                /* there was a fork: the library is shared */
	struct report_process *slot; /* where this process is accounted, or NULL */
	bool slot_taken;             /* or there was none to take */
	unsigned int nr_dropped;     /* descriptors that an exec has given up */
	int dropped[DROPPED_MAX];
};

extern struct process process;

/* ---- table.c ---- */

/* The one comparison that calls on other descriptors pay. */
static inline bool maybe_ours(int fd)
{
	return unlikely((unsigned int)fd <
			(unsigned int)atomic_load_explicit(&process.end, memory_order_relaxed));
}

/* What is behind a descriptor, with a reference, or NULL. */
struct file *file_get(int fd);
void file_put(struct file *file);
void file_hold(struct file *file);

/* A new file with one reference; NULL when there are too many. */
struct file *file_alloc(enum file_kind kind);

/* Enter and take out a descriptor, which takes and drops a reference. */
int table_install(int fd, struct file *file);
void table_remove(int fd);
/* A descriptor of this process for a file, or -1. */
int table_find(const struct file *file);
/* The same for the fault file with this object. Takes no lock. */
int table_find_object(const void *object);
void table_for_each(void (*each)(int fd, struct file *file));
/* Drop what processes hold that are gone. */
void table_reap(void);
/* True in a child of vfork(), whose descriptors are its own but not its memory. */
bool table_is_borrowed(void);

/* Handlers of pthread_atfork(). */
void table_fork_prepare(void);
void table_fork_parent(void);
void table_fork_child(void);
/* Around a fork() that we see: the parent says whose its child's descriptors are. */
void table_fork_begin(void);
void table_fork_end(int child);
/* The process ends: drop what it holds. */
void table_drop_all(void);
/*
 * Before an exec, drop what others hold too: what only this process holds goes
 * with its memory. After one that failed, take it again.
 */
void table_exec(void);
void table_exec_failed(void);

/* ---- files.c ---- */

/* -ENOENT when the path is not one of ours; else a descriptor or a negative errno. */
int files_open(const char *path, int flags);
/* The mode that stat() shows and the device number; false when not ours. */
bool files_stat(const char *path, unsigned int *mode, uint64_t *rdev);
void file_release(struct file *file);
void file_stat(const struct file *file, unsigned int *mode, uint64_t *rdev);
/* Not 0 in a signal handler that has interrupted one of the thread's own calls. */
extern __thread unsigned int calls_under_way
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * After a fork others would wait for ever for the library's locks if a signal
 * ended this process inside a call: then signals wait for the call.
 */
static inline bool signals_hold(sigset_t *before)
{
	sigset_t all;

	if (likely(!process.related) || calls_under_way)
		return false;
	sigfillset(&all);
	return !pthread_sigmask(SIG_BLOCK, &all, before);
}

static inline void signals_let(bool held, const sigset_t *before)
{
	if (unlikely(held))
		pthread_sigmask(SIG_SETMASK, before, NULL);
}

long file_ioctl(struct file *file, unsigned int cmd, void *arg);
ssize_t file_read(struct file *file, void *buf, size_t len);
ssize_t file_write(struct file *file, const void *buf, size_t len);

/* ---- options.c ---- */

struct options {
	char format[20];
	unsigned int address_width;
	unsigned int devices;
	enum iommufd_phys_mode phys;
	uint64_t memlock;
	unsigned int fail_nth;
	bool test_abi;
	struct mem_cgroup *owner;
};

/* Remember the environment, before the program changes it. */
void options_save(void);
/* Taken from what it was, at the first call. */
const struct options *options(void);
/* The one that is needed before it is known whether anything is ours. */
bool test_abi_wanted(void);

/* ---- account.c ---- */

/* Find the report; before any fork. */
void account_start(void);
/* The slot that files of this process are accounted in, or NULL. */
struct report_process *account_slot(void);
/* @device: an ioctl of a device's file, where the same numbers mean others. */
void account_count(struct report_process *slot, unsigned int cmd, bool device, long ret,
		   uint64_t ticks);
/* After a call that failed for want of memory: whether the limit on locked memory was why. */
void account_memlock(struct file *file);
/* Bring a context's domains up to date. */
void account_context(struct file *file);
/* The same unless looks have become dear and the time for one has not come. */
void account_if_cheap(struct file *file);
/* The same where it does not cost more than a small part of the time. */
void account_sometimes(struct file *file, uint64_t now);
/* A context is about to go. */
void account_close(struct file *file);
/* It has gone. */
void account_closed(struct report_process *slot);
void account_munmap(struct report_process *slot, const struct report_munmap *event);
/* The process ends, in this state. */
void account_exit(enum report_state state);
/* It does not end after all. */
void account_go_on(void);
void account_inherited(unsigned int count);
/* Lines of the trace are lost. */
void account_trace_failed(int error);
uint64_t account_clock(void); /* nanoseconds */

/* Ticks, of whatever is quickest to read. */
static inline uint64_t account_now(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return account_clock();
#endif
}

/* ---- memory.c ---- */

/* Memory was mapped for DMA by this ioctl, which succeeded. */
void memory_watch(struct iommufd_ctx *ctx, unsigned int cmd, const void *arg);

/* ---- others ---- */

/* share.c */
/* False when there is no room: the program has to do without our files. */
bool share_memory(void);
/* mapping.c */
/* What is done in this thread counts here; NULL: nowhere. */
extern __thread struct report_counters *counters_here
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
/* trace.c */
extern bool tracing;
void trace_map(uint64_t iova, uint64_t paddr, uint64_t size);
void trace_unmap(uint64_t iova, uint64_t size, uint64_t unmapped);
/*
 * One line more, of up to @room bytes: where its event is to be written, with its
 * newline, up to what trace_end() is told.
 */
char *trace_begin(size_t room);
void trace_end(const char *at);
/* trace_dma.c */
void trace_dma_open(void);
void trace_open(void);
void trace_flush(void);
/* A line on standard error. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A result as the C library gives it. */
static inline long libc_result(long ret)
{
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

#endif
