/* SPDX-License-Identifier: MIT */
/*
 * Worker threads, which take the system calls of all programs from the listener. One is
 * enough, and quicker than several that take turns, as long as no call takes long and no
 * two come at once. A watcher looks every millisecond, while there are calls, whether
 * one waits to be received, and has another thread receive then; so no program waits for
 * the long call of another. What is not needed any more is put aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1ul /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, of Linux 6.6 */

#define WORKER_STACK (512 << 10)

#define TICK_NS     1000000
#define IDLE_TICKS  20
#define QUIET_TICKS 64
#define EXIT_TICKS  50

/* A newer kernel's may be longer. */
union notification {
	struct seccomp_notif notif;
	char room[512];
};

__thread struct call *current_call;

static int listener = -1;
static struct window window;
/* Threads that receive calls, or serve one; and those that wait until they are needed. */
static atomic_int receivers, serving, wanted = 1, waiting;
static sem_t needed;
/* The main thread waits for the end of calls. */
static atomic_bool ending;
/* The watcher sleeps while there are no calls. */
static atomic_bool active, watcher_sleeps;
static sem_t watcher_needed;
/* The choice of a free number and its use. */
static pthread_mutex_t give_lock = PTHREAD_MUTEX_INITIALIZER;
static int next_number;

bool call_is_valid(const struct call *call)
{
	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id);
}

static bool caller_is_valid(struct iommufd_caller *caller)
{
	return call_is_valid(container_of(caller, struct call, caller));
}

struct process *call_process(struct call *call)
{
	if (!call->process) {
		call->process = process_of(call->caller.tid);
		if (call->process)
			call->caller.pid = call->process->pid;
	}
	return call->process;
}

/* Files of ours are devices to the program, and have neither memory nor events. */
static int caller_descriptor(struct iommufd_caller *caller, int fd)
{
	struct file *ours = file_get(caller->tid, fd);

	if (!ours)
		return call_take(container_of(caller, struct call, caller), fd);
	file_put(ours);
	return -EINVAL;
}

static struct iommufd_mm *caller_mm(struct iommufd_caller *caller)
{
	struct call *call = container_of(caller, struct call, caller);
	struct process *process = call_process(call);
	struct iommufd_mm *mm;

	if (call->mm)
		return call->mm;
	if (!process)
		return ERR_PTR(call_is_valid(call) ? -ENFILE : -ESRCH);
	mm = process_mm(process, caller->tid);
	if (!IS_ERR(mm))
		call->mm = mm;
	return mm;
}

/* Without it nothing of the program is seen here. */
static void tell_unreadable(pid_t tid)
{
	static atomic_bool said;

	if (!atomic_exchange(&said, true))
		notice("process %d: its memory cannot be read, so it finds no devices: it is not "
		       "dumpable (PR_SET_DUMPABLE, or a program file that its user may not read), "
		       "which takes CAP_SYS_PTRACE",
		       (int)tid);
}

ssize_t call_text(struct call *call, uint64_t at, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* Few are longer; and up to the end of a page: the next one may be missing. */
		size_t part = MIN(done ? 4096 : 192, 4096 - ((at + done) & 4095));
		struct iovec local = {text + done, MIN(part, size - done)};
		struct iovec remote = {(void *)(uintptr_t)(at + done), local.iov_len};
		ssize_t n = process_vm_readv(call->caller.tid, &local, 1, &remote, 1, 0);
		const char *end;

		if (n <= 0) {
			if (n < 0 && errno == EPERM)
				tell_unreadable(call->caller.tid);
			return -EFAULT;
		}
		end = memchr(text + done, '\0', (size_t)n);
		if (end)
			return end - text;
		done += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* ---- descriptors of the caller ---- */

static bool is_free(pid_t tid, int number)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, number);
	return lstat(path, &st) && errno == ENOENT;
}

/* From the top down, where programs have few; -1 for none. */
static int free_number(pid_t tid)
{
	int size = window.end - window.start;

	for (int i = 0; i < size; i++) {
		if (next_number <= window.start)
			next_number = window.end;
		if (is_free(tid, --next_number))
			return next_number;
	}
	return -1;
}

bool call_is_in_window(int fd)
{
	return fd >= window.start && fd < window.end;
}

static int add_fd(const struct call *call, struct seccomp_notif_addfd *add)
{
	int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, add);

	return number < 0 ? -errno : number;
}

int call_give(struct call *call, int fd, int flags, bool in_window)
{
	struct seccomp_notif_addfd add = {
		.id = call->id,
		.srcfd = (unsigned int)fd,
		.newfd_flags = (unsigned int)flags & O_CLOEXEC,
	};
	int number, ret = -EBADF;

	pthread_mutex_lock(&give_lock);
	number = in_window ? free_number(call->caller.tid) : -1;
	if (number >= 0) {
		add.flags = SECCOMP_ADDFD_FLAG_SETFD;
		add.newfd = (unsigned int)number;
		ret = add_fd(call, &add);
		add.flags = 0;
		add.newfd = 0;
	}
	/* None is free, or a limit on descriptors is below it. */
	if (ret == -EBADF || ret == -EMFILE)
		ret = add_fd(call, &add);
	pthread_mutex_unlock(&give_lock);
	close(fd);
	if (call_is_in_window(ret))
		files_forget();
	return ret;
}

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

int call_take(const struct call *call, int fd)
{
	long pidfd = syscall(SYS_pidfd_open, call->caller.tid, PIDFD_THREAD), taken;

	/* Before Linux 6.9 there are none of threads but the first. */
	if (pidfd < 0)
		pidfd = syscall(SYS_pidfd_open, call->caller.tid, 0);
	if (pidfd < 0)
		return -errno;
	taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (taken < 0)
		taken = -errno;
	close((int)pidfd);
	return (int)taken;
}

/* ---- calls ---- */

static long dispatch(struct call *call)
{
	switch (call->nr) {
	case SYS_ioctl:
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_lseek:
	case SYS_ftruncate:
	case SYS_fstat:
	case SYS_dup:
	case SYS_fcntl:
	case SYS_mmap:
	case SYS_close:
		return descriptors_call(call);
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		files_change(call, (unsigned int)call->args[1], (unsigned int)call->args[1]);
		return CONTINUE;
	case SYS_close_range:
		files_change(call, (unsigned int)call->args[0], (unsigned int)call->args[1]);
		return CONTINUE;
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit_group:
	case SYS_seccomp:
		return exec_call(call);
	default:
		return paths_call(call);
	}
}

static void answer(const struct call *call, long result)
{
	struct seccomp_notif_resp response = {.id = call->id};

	if (result == CONTINUE)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		response.error = (int)result;
	else
		response.val = result;
	/* That the caller is gone is all that can be wrong. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void serve(const struct seccomp_notif *notif)
{
	struct call call = {
		.caller = {.tid = (pid_t)notif->pid,
			   .pid = (pid_t)notif->pid,
			   .mm = caller_mm,
			   .descriptor = caller_descriptor,
			   .is_valid = caller_is_valid},
		.id = notif->id,
		.nr = notif->data.nr,
	};
	long result;

	memcpy(call.args, notif->data.args, sizeof(call.args));
	current_call = &call;
	iommufd_caller = &call.caller;
	files_changed(call.caller.tid);
	result = dispatch(&call);
	iommufd_caller = NULL;
	current_call = NULL;
	answer(&call, result);
	if (call.mm)
		iommufd_mm_put(call.mm);
	if (call.process)
		process_put(call.process);
}

static void watch(void)
{
	if (!atomic_load_explicit(&active, memory_order_relaxed))
		atomic_store_explicit(&active, true, memory_order_seq_cst);
	if (atomic_load_explicit(&watcher_sleeps, memory_order_seq_cst) &&
	    atomic_exchange(&watcher_sleeps, false))
		sem_post(&watcher_needed);
}

static bool is_over(void)
{
	struct pollfd polled = {.fd = listener};

	return poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP);
}

/* One call. False when there are no programs any more. */
static bool receive_and_serve(unsigned int number)
{
	union notification next;
	bool valid = true;
	int serving_now;

	memset(&next.notif, 0, sizeof(next.notif));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &next.notif))
		/* Else the caller was killed meanwhile. */
		return errno == EINTR || (errno == ENOENT && !is_over());
	watch();
	serving_now = atomic_fetch_add(&serving, 1) + 1;
	if (likely(park_admits(number, &next.notif, serving_now)))
		do {
			if (valid)
				serve(&next.notif);
			atomic_store_explicit(&under_way->worker[number].id, 0,
					      memory_order_release);
			if (!park_next(number, &next.notif, atomic_load(&serving)))
				break;
			/* Whoever waited for long may have been killed. */
			valid = !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &next.notif.id);
		} while (true);
	atomic_fetch_sub(&serving, 1);
	if (unlikely(atomic_load(&ending)))
		wait_wake();
	return true;
}

bool serve_is_idle(void)
{
	atomic_store(&ending, true);
	return !atomic_load(&serving);
}

/* There are more than it needs, and this one is to wait until it is needed. */
static bool is_surplus(void)
{
	int now = atomic_load_explicit(&receivers, memory_order_relaxed);

	while (now > atomic_load_explicit(&wanted, memory_order_relaxed))
		if (atomic_compare_exchange_weak(&receivers, &now, now - 1))
			return true;
	return false;
}

static void *work(void *arg)
{
	unsigned int number = (unsigned int)(uintptr_t)arg;

	while (receive_and_serve(number)) {
		if (!is_surplus())
			continue;
		atomic_fetch_add(&waiting, 1);
		while (sem_wait(&needed))
			;
	}
	return NULL;
}

static void start_thread(void *(*function)(void *arg), int number)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, function, (void *)(uintptr_t)number) && function == work)
		atomic_fetch_sub(&receivers, 1);
	pthread_attr_destroy(&attr);
}

/* By the watcher, or at the start. */
static void add_receiver(void)
{
	static int workers;

	if (atomic_load(&waiting)) {
		atomic_fetch_add(&receivers, 1);
		atomic_fetch_sub(&waiting, 1);
		sem_post(&needed);
	} else if (workers < WORKERS_MAX) {
		atomic_fetch_add(&receivers, 1);
		start_thread(work, workers++);
	}
}

/* ---- how many receive ---- */

static bool calls_wait(void)
{
	struct pollfd polled = {.fd = listener, .events = POLLIN};

	return poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN);
}

/* A tick of the watcher. What waits for a receiver to get a processor is not meant. */
static void adjust(unsigned int *quiet)
{
	if (atomic_load(&serving) >= atomic_load(&receivers) && calls_wait()) {
		*quiet = 0;
		atomic_store(&wanted, atomic_load(&receivers) + 1);
		add_receiver();
	} else if (++*quiet % QUIET_TICKS == 0 && atomic_load(&wanted) > 1) {
		atomic_fetch_sub(&wanted, 1);
	}
}

/*
 * What the report says of an exit may take a lock that a call of the same process holds, and
 * only the end of the process ends: one whose memory another thread of it was to provide. So
 * no exit waits for long; what is left of it is done after. Whether one is under way.
 */
static bool let_exits_go(void)
{
	static struct {
		uint64_t id;
		unsigned int ticks;
	} seen[WORKERS_MAX];
	bool any = false;

	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		struct call call = {.id = atomic_load(&under_way->worker[i].id)};

		if (!call.id || atomic_load(&under_way->worker[i].nr) != SYS_exit_group)
			continue;
		any = true;
		if (seen[i].id != call.id) {
			seen[i].id = call.id;
			seen[i].ticks = 0;
		} else if (++seen[i].ticks == EXIT_TICKS) {
			answer(&call, CONTINUE);
		}
	}
	return any;
}

static void *watch_calls(void *arg)
{
	const struct timespec tick = {.tv_nsec = TICK_NS};
	unsigned int quiet = 0;

	for (;;) {
		for (unsigned int idle = 0; idle < IDLE_TICKS; idle++) {
			nanosleep(&tick, NULL);
			if (atomic_exchange(&active, false))
				idle = 0;
			adjust(&quiet);
			/* Nobody else takes notice of what comes during a long call. */
			if (let_exits_go() || atomic_load(&serving) >= atomic_load(&receivers))
				idle = 0;
		}
		atomic_store(&watcher_sleeps, true);
		if (atomic_load(&active))
			continue;
		while (sem_wait(&watcher_needed))
			;
	}
	return NULL;
}

int serve_start(int listener_fd, const struct window *numbers)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		return -errno;
	if (sizes.seccomp_notif > sizeof(union notification))
		return -EOVERFLOW;
	listener = listener_fd;
	window = *numbers;
	next_number = window.end;
	/* The caller goes on where the answer is given; older kernels do without. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
	sem_init(&needed, 0, 0);
	sem_init(&watcher_needed, 0, 0);
	add_receiver();
	start_thread(watch_calls, 0);
	return atomic_load(&receivers) ? 0 : -EAGAIN;
}
