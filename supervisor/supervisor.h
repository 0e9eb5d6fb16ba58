/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: what its files offer each other.
 *
 * One process holds the whole stack. A program and all that it starts reach it by
 * system calls, which a seccomp filter brings here (filter.c). Worker threads take
 * them one at a time each (serve.c), and answer with a result, with a descriptor, or
 * by letting the kernel carry the call out as if nothing had happened.
 *
 * Nothing of the supervisor is in the memory of a program. What a program points to
 * is copied once; a descriptor of ours is known by the inode of its file, never by
 * its number.
 *
 * Locks, in the order in which they are taken: a context's (iommufd/), process_lock,
 * files_lock. Each is held for table lookups only, except that of a context.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <uiommu/iommufd.h>

#include "iommufd/user.h"
#include "supervisor/report.h"
#include "supervisor/run.h"

struct vfio_cdev;
struct vfio_container;
struct vfio_group;
struct vfio_pci;
struct process;
struct file;
struct node;

/* ---- launch.c ---- */

extern const struct supervisor_options *options;
/* Of the run: its limits are those of all programs together. */
extern struct mem_cgroup *run_cgroup;
/* A line on standard error. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Pass a descriptor, or a negative errno in its place, through a socket. */
int send_descriptor(int to, int fd);
/* What was passed, and in *@value what was sent as a number. -EPIPE without any. */
int receive_descriptor(int from, int *value);

/* ---- wait.c: until all is over ---- */

struct wait {
	pid_t program, fallback;
	int signals;              /* signalfd */
	int listener;             /* seccomp's */
	void (*call)(int status); /* when the program has ended, or NULL */
	int status;               /* of the program */
	bool ended;               /* the program has */
	bool unused;              /* no process is under the filter any more */
	bool told;                /* a signal to end has been passed on */
	bool finishing;           /* what remains is the thread's of ends.c */
	uint64_t give_up;         /* 0, or the time at which nothing is waited for any more */
	bool over;
};

extern const int forwarded_signals[];
extern const size_t nr_forwarded_signals;

int wait_start(void);
/* The main thread may have to look again whether all is over. */
void wait_wake(void);
/* Until no process, call or open file is left, or that is cut short. 0 or -errno. */
int wait_for_all(struct wait *wait);

/* ---- ends.c: a thread that takes notice of ends ---- */

int ends_start(void);
/* Have it call process_ended() when @pidfd says so. */
void ends_watch(struct process *process, int pidfd);
/* There are last closes for it. */
void ends_wake(void);
/* No process is left: wait_wake() when all of it is done, which ends_done() says. */
void ends_finish(void);
bool ends_done(void);

/* ---- fallback.c ---- */

#define WORKERS_MAX 128
/* Calls that wait until their process has ended others. */
#define PARKED_MAX 1024

/* In memory that the fallback shares: calls that are received and not yet answered. */
struct under_way {
	_Atomic uint64_t latest; /* the id of a recent one */
	struct {
		_Atomic uint64_t id; /* or 0 */
		_Atomic int nr;
	} worker[WORKERS_MAX + PARKED_MAX]; /* those that are parked come last */
};

extern struct under_way *under_way;

/* Before there are threads or programs: a socket for the listener, kept until the end. */
int fallback_start(pid_t *pid);

/* ---- filter.c ---- */

/*
 * Descriptors that the supervisor gives have numbers in [start, end), as far as there
 * is room; calls that read or write such a descriptor are notified too.
 */
struct window {
	int start, end;
};

/* Filter this thread and all that it starts: the listener, or a negative errno. */
int filter_install(const struct window *window);

/* ---- serve.c ---- */

/* A system call of a program. */
struct call {
	struct iommufd_caller caller; /* first: the thread that called */
	uint64_t id;
	int nr;
	uint64_t args[6];
	struct process *process; /* or NULL: call_process() */
	struct iommufd_mm *mm;   /* once it was asked for, with a reference */
	struct file *installed;  /* that it has given to the caller, or NULL */
	void *installed_object;  /* what is to be behind that */
	bool bad_kind;           /* a descriptor in it is open, but no iommufd */
};

/* The one that this thread serves. */
extern __thread struct call *current_call;

int serve_start(int listener, const struct window *window);
/* No call is under way. From the first time on the end of each makes a wait_wake(). */
bool serve_is_idle(void);
/* The thread is still in the call: its number in /proc is not another's. */
bool call_is_valid(const struct call *call);
/* Its process, in the table of processes from now on; NULL when it is gone. */
struct process *call_process(struct call *call);
/*
 * Put @fd into the caller's table, in the window or with the lowest number: the number,
 * or a negative errno. @flags: O_CLOEXEC. Closes @fd, before the caller goes on: else
 * what the caller closes could have its last close here, and too late.
 */
int call_give(struct call *call, int fd, int flags, bool in_window);
bool call_is_in_window(int fd);
/* A copy of the caller's descriptor, or a negative errno. */
int call_take(const struct call *call, int fd);
/* A text at @at in the caller's memory: its length, or -EFAULT, -ENAMETOOLONG. */
ssize_t call_text(struct call *call, uint64_t at, char *text, size_t size);

/* A result of a handler: let the kernel carry the call out. */
#define CONTINUE LONG_MIN

/* ---- park.c: no process takes all workers ---- */

/*
 * Whether worker @number is to serve it now, of @serving that serve something, itself with
 * them; else it waits until park_next() gives it to one that has served another.
 */
bool park_admits(unsigned int number, const struct seccomp_notif *notif, int serving);
/* It has served what it was to. False: there is nothing else for it. */
bool park_next(unsigned int number, struct seccomp_notif *notif, int serving);

/* ---- process.c ---- */

struct process {
	pid_t pid;
	int pidfd;
	atomic_uint refs;
	struct process *next;        /* in a chain of the table */
	struct iommufd_mm *mm;       /* or NULL; under process_lock */
	pid_t exec_tid;              /* a thread that may be about to exec, or 0 */
	struct mem_cgroup *cgroup;   /* of the files that it opens */
	struct report_process *slot; /* or NULL */
	atomic_bool slot_taken;      /* or there was none to take */
	pthread_mutex_t exit_lock;   /* while its end is described */
	atomic_int status;           /* 1 + what it has ended with by itself, or 0 */
	char comm[16];
};

/* The number of the process of a thread, or 0. */
pid_t process_pid(pid_t tid);
struct process *process_of(pid_t tid);
/* One that is known, or NULL. */
struct process *process_find(pid_t tid);
void process_put(struct process *process);
/* Its address space, with a reference; an ERR_PTR. */
struct iommufd_mm *process_mm(struct process *process, pid_t tid);
/* Pages that it has pinned, and those that count for it alone. False: it is not known. */
bool process_pinned(pid_t pid, unsigned long *pinned, unsigned long *locked);
/* A thread of it is about to exec, or to end the process. */
void process_execs(struct process *process, pid_t tid);
/* A child of ours has ended, and is not reaped yet. */
void process_note_status(pid_t pid, const siginfo_t *info);
/* Ended: by the thread of ends.c. */
void process_ended(struct process *process);
/* It is being torn down: its descriptors are closed because it ends. */
bool process_is_ending(const struct process *process);

/* ---- file.c ---- */

enum file_kind {
	FILE_IOMMU,
	FILE_VFIO,
	FILE_FAULT,
	FILE_ACCESS,
	FILE_VEVENTQ,
	FILE_DMABUF,
	FILE_FAIL_NTH,  /* /proc/PID/task/TID/fail-nth */
	FILE_GROUP,     /* /dev/vfio/GROUP */
	FILE_CONFIG,    /* configuration space, in sysfs */
	FILE_ATTRIBUTE, /* another file of sysfs that is opened to be written to */
};

/* What a FILE_ATTRIBUTE does, by struct node.which. */
enum attribute {
	ATTRIBUTE_KEPT, /* what is written is what is read */
	ATTRIBUTE_BIND,
	ATTRIBUTE_UNBIND,
	ATTRIBUTE_PROBE,
	ATTRIBUTE_RESET,
	ATTRIBUTE_NOTHING,
};

/*
 * An open file of a program's, also before it has a descriptor and while its last
 * close is handled.
 */
struct file {
	atomic_uint refs; /* its being open, calls under way, files that need this one */
	enum file_kind kind;
	const struct node *node; /* that it was opened by, or NULL */
	dev_t dev;
	ino_t ino;
	int watch;               /* of inotify */
	int own;                 /* a description of our own, or -1: file.c */
	struct file *next;       /* in a chain by inode */
	struct file *next_watch; /* in a chain by watch */
	bool doubtful;           /* in the list of files that may be closed */
	struct file *next_doubtful;
	struct release *release; /* until it is closed */
	atomic_uint calls;       /* under way */
	atomic_bool closed;      /* its last close has been seen */
	unsigned int number;     /* of a FILE_IOMMU, from 1 */
	struct file *context;    /* the FILE_IOMMU that it holds, or NULL */
	union {
		struct iommufd_ctx *ctx;
		struct vfio_cdev *cdev;
		void *object; /* what iommufd has made: FILE_FAULT to FILE_DMABUF; NULL until the
				 call that made it has ended */
		pid_t tid;    /* FILE_FAIL_NTH */
		struct vfio_group *group;
		struct vfio_pci *pci; /* FILE_CONFIG */
	};
	struct vfio_container *container; /* FILE_IOMMU: of /dev/vfio/vfio, else NULL */
	struct file *parent;              /* FILE_VFIO: the group that it is of, or NULL */
	int memory;                       /* @own, if something is in it, or -1 */
	_Atomic int64_t position;         /* FILE_CONFIG */
	int signal;                       /* @own, of one that is polled: our end of its pipe */
	const void *signals;              /* the object whose events it shows, or NULL */
	void *shared;                     /* FILE_IOMMU: what programs see that map it, or NULL */
	struct process *opener;           /* with a reference */
	struct report_process *slot;      /* FILE_IOMMU: of the opener, or NULL */
	uint64_t memlock_seen;            /* of its context's failures, by account_memlock() */
	atomic_bool grown;                /* since its usage was last accounted */
	atomic_bool held;                 /* by the process that ends now */
	atomic_bool described;            /* in the report, as open at the end of its opener */
	struct file *next_context;        /* FILE_IOMMU: in the list of all */
};

int files_start(void);
/* Readable when a last close is to be handled. */
int files_descriptor(void);
/* A new file with one reference; NULL without memory. */
struct file *file_alloc(enum file_kind kind, struct process *opener);
void file_put(struct file *file);
void file_hold(struct file *file);
/* The same of one that may be on its way to be released: then false. */
bool file_hold_live(struct file *file);
/*
 * Make its one open description: a descriptor of this process, to be given to the
 * program and closed. A negative errno.
 */
int file_open(struct file *file, int flags);
/* What is behind a descriptor of the thread's, with a reference, or NULL. */
struct file *file_get(pid_t tid, int fd);
/* The same for the path of one in /proc. */
struct file *file_of_stat(const struct stat *st);
/* A call on it, with the reference of file_get_of(), which the end of the call drops. */
void file_begin_call(struct file *file);
void file_end_call(struct file *file);
/* Handle every last close that came before now, as far as @file or @process could notice. */
void files_settle(const struct file *file, const struct process *process);
/* All that wait for no call. False: some have to be looked at again. */
bool files_settle_all(void);
/* What iommufd has made of it, or NULL. */
static inline void *file_object(const struct file *file)
{
	return __atomic_load_n(&file->object, __ATOMIC_ACQUIRE);
}

static inline bool file_is_polled(const struct file *file)
{
	return file->kind == FILE_FAULT || file->kind == FILE_VEVENTQ;
}

/* The file of @object, which is polled, has become readable, or ceased to be. */
void file_signal(const void *object, bool readable);

/* ---- lookup.c ---- */

/* file_get() of the caller's, which is remembered for a while. */
struct file *file_get_of(struct call *call, int fd);
/* A descriptor may be another file's, or none's, by now. */
void files_forget(void);
/* The kernel, which carries @call out, may close these, or put others in their place. */
void files_change(const struct call *call, unsigned int first, unsigned int last);
/* The same of all that a process has, which is about to exec. */
void files_change_all(const struct call *call);
/* The thread's last call is done, since it makes another. */
void files_changed(pid_t tid);

/* ---- shared.c: what programs see that map a file ---- */

#define FILE_SHARED_SIZE (16u << 20)

/* Have the memory of @fd, which is to be @file's, at file->shared. */
int file_share(struct file *file, int fd);
/* Whether a process has some of [offset, + length) mapped. */
bool file_is_mapped(const struct file *file, uint64_t offset, uint64_t length);

/* ---- device.c ---- */

/* Open one of ours. A descriptor of this process, see file_open(). */
int device_open(struct call *call, enum file_kind kind, const struct node *node, unsigned int index,
		int flags);
void device_stat(const struct file *file, unsigned int *mode, uint64_t *rdev);
/* What a link of it in /proc says. */
void device_link(const struct file *file, char *text, size_t size);
/* The FILE_IOMMU that a file is or keeps, with a reference, or NULL. */
struct file *device_context(struct file *file);
/* Every FILE_IOMMU that is not released yet, also closed ones that a device keeps. */
void contexts_for_each(void (*each)(struct file *file, void *arg), void *arg);
void device_release(struct file *file);
/* Before a close that may be the last one: what is to be told of the context. */
void device_closing(struct file *file);
long device_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg);
/* ---- host.c ---- */

extern const struct iommufd_host iommufd_host;
extern const struct vfio_host host_of_vfio;
/* Of one that has a file_object(). */
enum iommufd_file_kind host_kind(const struct file *file);
/* An ioctl has ended with @ret: what it has made is there from now on, or never. */
void host_publish(struct call *call, long ret);

/* ---- transfer.c ---- */

/* @position: where in it, or -1 for where the last one ended. */
ssize_t device_read(struct file *file, uint64_t to, size_t length, int64_t position);
ssize_t device_write(struct file *file, uint64_t from, size_t length, int64_t position);
int64_t device_seek(struct file *file, int64_t offset, int whence);
/* mmap() with @args: CONTINUE, and the kernel does it; or a negative errno. */
long device_mmap(struct file *file, const uint64_t *args);
/* Bytes that its memory has room for, which the program may map; 0: none. */
uint64_t device_memory_size(const struct file *file);
#define IOMMU_DEVICE     makedev(10, 125) /* as Linux gives out */
#define CONTAINER_DEVICE makedev(10, 196)
#define VFIO_MAJOR       511
#define GROUP_MAJOR      510

/* ---- sysfs.c: PCI devices as sysfs and /dev show them ---- */

/* Make the devices that the command line asks for: 0, or -1 with one line in @error. */
int sysfs_make_devices(char *error, size_t size);
/* Their nodes: 0 or -ENOMEM. */
int sysfs_add(void);
/* What is written to a file of sysfs: bytes, or a negative errno. */
ssize_t sysfs_write(const struct node *node, const char *text, size_t length);

/* ---- fault.c: accesses of devices that are refused ---- */

void fault_start(void);
/* The last words about them; devices go. */
void fault_end(void);

/* ---- fail.c: faults that are injected into the calls of one thread ---- */

extern atomic_bool fail_in_use;
void fail_set(pid_t tid, unsigned int nth);
/* How many allocations are to go until one fails; 0: none, or it has. */
unsigned int fail_get(pid_t tid);
/* Around a call that is served for it. */
void fail_begin(pid_t tid);
/* Whether one has failed since the last fail_set(). */
bool fail_was_hit(void);
void fail_end(pid_t tid);

/* ---- tree.c: what there is to be found by a path ---- */

enum node_kind {
	NODE_DIRECTORY,
	NODE_DEVICE,
	NODE_TEXT,
	NODE_LINK,
	NODE_ATTRIBUTE, /* a file of sysfs that does something */
};

/* Chains that a node is in. */
enum {
	NEXT_BY_PATH,
	NEXT_BY_INODE,
	NEXT_BY_NATIVE,
	NEXT_CHAINS,
};

struct node {
	char *path;
	enum node_kind kind;
	enum file_kind file; /* NODE_DEVICE, NODE_ATTRIBUTE */
	unsigned int index;  /* of a device or group of VFIO */
	unsigned int which;  /* NODE_ATTRIBUTE: enum attribute */
	_Atomic(unsigned int) mode;
	atomic_bool hidden;
	char *text; /* what is in it, or where a link leads, at the start */
	dev_t dev;  /* of what stands for it in our directory */
	ino_t ino;
	dev_t native_dev; /* of what the machine has at this path, or 0 */
	ino_t native_ino;
	struct node *next[NEXT_CHAINS];
};

/* While the tree is made, which is before there are threads; all: 0 or -ENOMEM. */
int tree_add_directory(const char *path);
int tree_add_device(const char *path, enum file_kind file, unsigned int index);
int tree_add_text(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
int tree_add_link(const char *path, const char *target);
int tree_add_attribute(const char *path, enum file_kind file, unsigned int index,
		       unsigned int which, unsigned int mode, const char *text);

int tree_start(void);
void tree_end(void);
const struct node *tree_find(const char *path);
/* That a descriptor is of, by its inode: ours, or the machine's of the same path. */
const struct node *tree_of_stat(const struct stat *st);
/* Whether it stands for a node, or is in a file system of the machine's that has some. */
bool tree_may_have(dev_t dev, ino_t ino);
/* Open what stands for it. */
int tree_open(const struct node *node, int flags);
/* Stat it. False on success, as stat(). */
bool tree_stat(const struct node *node, struct stat *st);
void tree_chmod(const struct node *node, unsigned int mode);
/* What is read from it from now on. */
void tree_set_text(const struct node *node, const char *text);
/* Let a file or link be there, or not. */
void tree_show(const char *path, bool show);
/* inotify_add_watch() for it, a negative errno. */
int tree_watch(const struct node *node, int watcher, uint32_t mask);
/* Children of @node from number *at on, in the format of getdents64(): bytes. */
size_t tree_list(const struct node *node, unsigned int *at, void *buf, size_t size, int64_t base);
/* Correct what a listing of our directory says of our files. */
void tree_correct(const struct node *node, void *buf, size_t size);

/* ---- resolve.c ---- */

/* What a path leads to. Nothing set: nothing of ours. */
struct found {
	const struct node *node;
	struct file *file;  /* by a link in /proc/PID/fd, with a reference */
	pid_t fail_nth;     /* /proc/PID/task/TID/fail-nth: the thread, or 0 */
	pid_t status;       /* /proc/PID/status: the process, or 0; the kernel's for all but open */
	bool fault_setting; /* a file below /sys/kernel/debug/fail* */
	bool is_link;       /* the link itself, which was not followed */
	bool from_tree;     /* the kernel would begin in our own directory */
	bool direct;        /* by names only: no link, no ".." */
	bool absolute;      /* it begins at the root */
	int error;          /* it goes on below what is no directory */
	bool outside;       /* by a directory that is only here to what is not: @path */
	char path[PATH_MAX];
};

/* Where @path of the caller's leads, from directory @dir if it is relative. */
void resolve(struct call *call, int dir, const char *path, bool follow, struct found *found);

/* ---- outside.c: what the kernel would not find, because the way there is only here ---- */

/* The same path as the caller sees it; false when only the caller may use it. */
bool outside_path(const struct call *call, const struct found *found, char path[PATH_MAX + 32]);

/* ---- status.c ---- */

/*
 * A descriptor of this process: /proc/PID/status with what the process has pinned.
 * CONTINUE for none of that.
 */
long status_open(pid_t pid);

/* ---- system calls: each returns a result, a negative errno or CONTINUE ---- */

long paths_call(struct call *call);
/* A call's path, read, and what it leads to: 0, CONTINUE, or a negative errno. */
long paths_find(struct call *call, int dir, uint64_t at, bool follow, struct found *found);
long names_call(struct call *call);
void stat_file(const struct call *call, const struct file *file, struct stat *st);
/* False when it cannot be. */
bool stat_node(const struct call *call, const struct node *node, struct stat *st);
long descriptors_call(struct call *call);
long exec_call(struct call *call);

/* ---- account.c ---- */

void account_start(struct report *report);
/* The run is over. */
void account_end(void);
/* The slot of this process, or NULL when there is none left. */
struct report_process *account_slot(struct process *process);
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
void account_closed(const struct file *file);
void account_munmap(struct report_process *slot, const struct report_munmap *event);
/* The process ends like this, with what it has not closed. */
void account_exit(struct process *process, enum report_state state, int status);
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

/* Tell what of the memory that a context maps its process has given back. */
void memory_check(struct file *context);
/* The callback of struct iommufd_host. */
void memory_gone(void *context, uint64_t address, uint64_t length, uint64_t iova, uint64_t mapped);

/* ---- mapping.c, trace.c ---- */

/* What is done in this thread counts here; NULL: nowhere. */
extern __thread struct report_counters *counters_here
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
extern bool tracing;
/* A failure is told at the end, as that of a later write. */
void trace_open(const char *path);
void trace_map(uint64_t iova, uint64_t paddr, uint64_t size);
void trace_unmap(uint64_t iova, uint64_t size, uint64_t unmapped);
void trace_flush(void);

#endif
