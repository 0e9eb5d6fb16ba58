/* SPDX-License-Identifier: MIT */
/*
 * Open files of programs.
 *
 * A file is a memfd, or a pipe for one that is polled, with one open description,
 * which the program gets and the supervisor does not keep. The inode is what it is
 * known by, whatever descriptor of whatever process it is reached through. When the
 * last descriptor and mapping of it is gone, inotify tells of a close: the kernel
 * queues that before the close or the end of the process returns, so a call that comes
 * after a close is served after the release.
 *
 * Others may open and close the inode by its path in /proc, which looks the same. So the
 * description that programs have holds a lock (flock()), and the supervisor has another
 * description, which gets the lock when the first is gone. The kernel tells of the close
 * a moment before it drops the lock: what is still locked is looked at again, at each call
 * and by the thread of ends.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"

#define CHAINS 1024

static int events = -1; /* of inotify */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *chains[CHAINS]; /* open ones */
static struct file *by_watch[CHAINS];
static struct file *doubtful; /* open ones that may be closed */

/*
 * A last close, from its event on until the file is released. What else goes with the
 * file is part of it. A thread takes it and carries it out; until then @file is alive.
 */
struct release {
	struct release *next;
	struct file *file; /* not to be looked into once it is taken */
	const struct file *context;
	struct process *opener; /* with a reference */
	int device;             /* of VFIO, or -1 */
	bool taken;
};

static struct release *releasing;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;

int files_start(void)
{
	events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return events < 0 ? -errno : 0;
}

int files_descriptor(void)
{
	return events;
}

struct file *file_alloc(enum file_kind kind, struct process *opener)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	/* So that its close needs no memory. */
	file->release = calloc(1, sizeof(*file->release));
	if (!file->release) {
		free(file);
		return NULL;
	}
	file->kind = kind;
	file->watch = -1;
	file->own = -1;
	file->signal = -1;
	file->memory = -1;
	atomic_init(&file->refs, 1);
	if (opener) {
		atomic_fetch_add(&opener->refs, 1);
		file->opener = opener;
	}
	return file;
}

void file_hold(struct file *file)
{
	atomic_fetch_add(&file->refs, 1);
}

bool file_hold_live(struct file *file)
{
	unsigned int refs = atomic_load(&file->refs);

	while (refs)
		if (atomic_compare_exchange_weak(&file->refs, &refs, refs + 1))
			return true;
	return false;
}

void file_put(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	device_release(file);
	if (file->context)
		file_put(file->context);
	if (file->parent)
		file_put(file->parent);
	if (file->own >= 0)
		close(file->own);
	if (file->shared)
		munmap(file->shared, FILE_SHARED_SIZE);
	if (file->opener)
		process_put(file->opener);
	free(file->release);
	free(file);
}

void file_begin_call(struct file *file)
{
	atomic_fetch_add(&file->calls, 1);
}

void file_end_call(struct file *file)
{
	if (atomic_fetch_sub(&file->calls, 1) == 1 && atomic_load(&file->closed))
		files_settle(file, NULL);
	file_put(file);
}

/* ---- the one description ---- */

static int open_again(int fd, int flags)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/*
 * Nothing can be written to it behind our back, but for the regions of a device, and
 * what a shell writes to a file of sysfs by whatever number.
 */
static int open_memory(struct file *file, int flags)
{
	int fd = memfd_create("uiommu", MFD_CLOEXEC | MFD_ALLOW_SEALING), again;
	uint64_t size = device_memory_size(file);

	if (fd < 0)
		return -errno;
	again = file->kind == FILE_IOMMU && options->test_abi ? file_share(file, fd) : 0;
	if (!again && size && ftruncate(fd, (off_t)size))
		again = -errno;
	if (again) {
		close(fd);
		return again;
	}
	if (file->kind != FILE_ATTRIBUTE)
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	/* Nothing to execute. */
	fchmod(fd, 0666);
	again = open_again(fd, flags & (O_ACCMODE | O_NONBLOCK));
	if (again < 0) {
		close(fd);
		return again;
	}
	file->own = fd;
	if (size || file->kind == FILE_ATTRIBUTE)
		file->memory = fd;
	return again;
}

/*
 * Readable while there is a byte in it; and always writable, if it is written to. A read
 * that is not brought here must not block: the kernel's queues never do.
 */
static int open_pipe(struct file *file)
{
	int ends[2], again;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	again = open_again(ends[0], (file->kind == FILE_FAULT ? O_RDWR : O_RDONLY) | O_NONBLOCK);
	file->signal = again < 0 ? -1 : open_again(ends[0], O_RDWR | O_NONBLOCK);
	if (again >= 0 && file->signal < 0) {
		close(again);
		again = file->signal;
	}
	file->own = file->signal;
	close(ends[0]);
	close(ends[1]);
	return again;
}

static int watch(struct file *file, int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file->watch = inotify_add_watch(events, path, IN_CLOSE);
	if (file->watch < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	return 0;
}

static struct file **chain_of(ino_t ino)
{
	return &chains[(size_t)ino % CHAINS];
}

static struct file **watch_chain_of(int number)
{
	return &by_watch[(unsigned int)number % CHAINS];
}

int file_open(struct file *file, int flags)
{
	int fd = file_is_polled(file) ? open_pipe(file) : open_memory(file, flags), ret;
	struct stat st;

	if (fd < 0)
		return fd;
	ret = fstat(fd, &st) ? -errno : watch(file, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file_hold(file); /* being open */
	pthread_mutex_lock(&lock);
	file->next = *chain_of(file->ino);
	*chain_of(file->ino) = file;
	file->next_watch = *watch_chain_of(file->watch);
	*watch_chain_of(file->watch) = file;
	pthread_mutex_unlock(&lock);
	return fd;
}

struct file *file_of_stat(const struct stat *st)
{
	struct file *file;

	pthread_mutex_lock(&lock);
	file = *chain_of(st->st_ino);
	while (file && (file->ino != st->st_ino || file->dev != st->st_dev))
		file = file->next;
	if (file)
		file_hold(file);
	pthread_mutex_unlock(&lock);
	return file;
}

struct file *file_get(pid_t tid, int fd)
{
	char path[48];
	struct stat st;

	if (fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, fd);
	return stat(path, &st) ? NULL : file_of_stat(&st);
}

/* Called with locks of the library held. */
void file_signal(const void *object, bool readable)
{
	char byte[16];

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < CHAINS; i++)
		for (struct file *file = chains[i]; file; file = file->next) {
			if (!file_is_polled(file) ||
			    __atomic_load_n(&file->signals, __ATOMIC_RELAXED) != object)
				continue;
			while (read(file->signal, byte, sizeof(byte)) > 0)
				;
			if (readable && write(file->signal, "", 1) < 0)
				break;
		}
	pthread_mutex_unlock(&lock);
}

/* ---- the last close ---- */

static void add_release(struct file *file)
{
	struct release *release = file->release;

	*release = (struct release){
		.next = releasing,
		.file = file,
		.context = file->context,
		.opener = file->opener,
		.device = file->kind == FILE_VFIO && file->cdev ? (int)vfio_cdev_index(file->cdev)
								: -1,
	};
	if (release->opener)
		atomic_fetch_add(&release->opener->refs, 1);
	file->release = NULL;
	releasing = release;
	atomic_store(&file->closed, true);
}

static bool is_closed(const struct file *file)
{
	return !flock(file->own, LOCK_EX | LOCK_NB);
}

/* Take a file out of the tables of open ones. */
static void take_closed(struct file *file)
{
	struct file **at = chain_of(file->ino);

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	at = watch_chain_of(file->watch);
	while (*at != file)
		at = &(*at)->next_watch;
	*at = file->next_watch;
	files_forget();
	inotify_rm_watch(events, file->watch);
	add_release(file);
}

static void doubt(struct file *file)
{
	if (file->doubtful)
		return;
	file->doubtful = true;
	file->next_doubtful = doubtful;
	doubtful = file;
}

static void doubt_watch(int number)
{
	struct file *file = *watch_chain_of(number);

	while (file && file->watch != number)
		file = file->next_watch;
	if (file)
		doubt(file);
}

/* Events were lost. */
static void doubt_all(void)
{
	for (unsigned int i = 0; i < CHAINS; i++)
		for (struct file *file = chains[i]; file; file = file->next)
			doubt(file);
}

static void collect_closed(void)
{
	/* Events have no names: the watches are of files. */
	struct inotify_event next[64];
	struct file **at = &doubtful;
	ssize_t length;

	while ((length = read(events, next, sizeof(next))) > 0)
		for (size_t i = 0; i < (size_t)length / sizeof(next[0]); i++)
			if (next[i].mask & IN_Q_OVERFLOW)
				doubt_all();
			else if (next[i].mask & IN_CLOSE)
				doubt_watch(next[i].wd);
	while (*at) {
		struct file *file = *at;

		if (is_closed(file)) {
			*at = file->next_doubtful;
			take_closed(file);
		} else {
			at = &file->next_doubtful;
		}
	}
}

/* Unlocks while it is carried out. */
static void carry_out(struct release *release)
{
	struct release **at = &releasing;

	release->taken = true;
	pthread_mutex_unlock(&lock);
	device_closing(release->file);
	/* Unless a call that is under way, or another file, needs it still. */
	file_put(release->file);
	pthread_mutex_lock(&lock);
	while (*at != release)
		at = &(*at)->next;
	*at = release->next;
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&lock);
	if (release->opener)
		process_put(release->opener);
	free(release);
	pthread_mutex_lock(&lock);
}

/* A call on the file releases it at its own end, which nobody waits for. */
static bool is_in_call(const struct release *release)
{
	return !release->taken && atomic_load(&release->file->calls);
}

/* Whether a call on @file, or of @process, may notice that a file is not released yet. */
static bool may_notice(const struct release *other, const struct file *file,
		       const struct process *process)
{
	if (process && other->opener == process)
		return true;
	if (!file)
		return false;
	if (other->opener == file->opener || other->context == file ||
	    (file->context && (file->context == other->file || file->context == other->context)))
		return true;
	return file->kind == FILE_VFIO && other->device == (int)vfio_cdev_index(file->cdev);
}

void files_settle(const struct file *file, const struct process *process)
{
	struct release *release;
	bool others;

	pthread_mutex_lock(&lock);
	collect_closed();
	do {
		others = false;
		for (release = releasing; release; release = release->next) {
			if (is_in_call(release))
				continue;
			if (may_notice(release, file, process))
				break;
			others |= !release->taken;
		}
		if (release && release->taken)
			pthread_cond_wait(&released, &lock);
		else if (release)
			carry_out(release);
	} while (release);
	pthread_mutex_unlock(&lock);
	/* What these need may be held by a call that takes long. */
	if (others)
		ends_wake();
}

bool files_settle_all(void)
{
	struct release *release;
	bool all;

	pthread_mutex_lock(&lock);
	collect_closed();
	do {
		release = releasing;
		while (release && (release->taken || is_in_call(release)))
			release = release->next;
		if (release)
			carry_out(release);
	} while (release);
	all = !doubtful;
	pthread_mutex_unlock(&lock);
	return all;
}
