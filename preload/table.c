/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and the open files behind them.
 *
 * A file's memory is never used for anything else, so file_get() can take its
 * reference first and look whether the descriptor still is what it was after
 * that, without a lock.
 *
 * A file lives until the last descriptor in any process is closed. Who is killed
 * closes nothing, so each file knows how many descriptors each process has, and
 * whoever closes one, or opens another /dev/iommu, looks for processes that are
 * gone.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "plat/plat.h"
#include "preload/preload.h"

#define FILES_MAX 65536

struct process process PROCESS_PRIVATE = {.watch_start = UINT64_MAX};

/* Shared: guards what all processes have in common, and each one's table. */
static pthread_mutex_t lock;
static pthread_once_t lock_once = PTHREAD_ONCE_INIT;
static struct file *files; /* FILES_MAX, or NULL */
static unsigned int nr_files;
static struct file *free_files;

static void init_lock(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void lock_raw(void)
{
	pthread_once(&lock_once, init_lock);
	if (pthread_mutex_lock(&lock) == EOWNERDEAD)
		pthread_mutex_consistent(&lock);
}

static __thread sigset_t signals_before __attribute__((tls_model("initial-exec")));

/* Closing is allowed in a signal handler, so none may run while it is locked. */
static void lock_table(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &signals_before);
	lock_raw();
}

static void unlock_table(void)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &signals_before, NULL);
}

bool table_is_borrowed(void)
{
	return process.pid != getpid();
}

static bool get_unless_zero(struct file *file)
{
	unsigned int refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak(&file->refs, &refs, refs + 1))
			return true;
	return false;
}

static struct file *table_load(int fd)
{
	return __atomic_load_n(&process.table[fd], __ATOMIC_ACQUIRE);
}

struct file *file_get(int fd)
{
	struct file *file;

	while ((file = table_load(fd)) != NULL) {
		if (get_unless_zero(file)) {
			if (likely(table_load(fd) == file))
				return file;
			file_put(file);
		}
	}
	return NULL;
}

void file_hold(struct file *file)
{
	atomic_fetch_add(&file->refs, 1);
}

void file_put(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	file_release(file);
	lock_table();
	file->next_free = free_files;
	free_files = file;
	unlock_table();
}

/* References of processes that are gone; the caller drops them. */
static unsigned int reap_holders(struct file *file)
{
	unsigned int dead = 0;

	for (unsigned int i = 0; i < FILE_HOLDERS; i++) {
		struct file_holder *holder = &file->holders[i];

		if (holder->count && holder->pid != process.pid && kill(holder->pid, 0) &&
		    errno == ESRCH) {
			dead += holder->count;
			holder->count = 0;
		}
	}
	return dead;
}

/* Drop what processes that are gone held. */
static void reap_all(void)
{
	for (unsigned int i = 0;; i++) {
		unsigned int dead;

		lock_table();
		while (i < nr_files && !(dead = reap_holders(&files[i])))
			i++;
		dead = i < nr_files ? dead : 0;
		unlock_table();
		if (!dead)
			return;
		while (dead--)
			file_put(&files[i]);
	}
}

/* Not a variable: all of those are copied when a program starts. */
static struct file *new_file(void)
{
	if (!files)
		files = plat_reserve(FILES_MAX * sizeof(*files));
	return files && nr_files < FILES_MAX ? &files[nr_files++] : NULL;
}

struct file *file_alloc(enum file_kind kind)
{
	struct file *file;

	if (kind == FILE_IOMMU)
		reap_all();
	lock_table();
	file = free_files;
	if (file)
		free_files = file->next_free;
	else
		file = new_file();
	unlock_table();
	if (!file)
		return NULL;
	file->kind = kind;
	file->context = NULL;
	file->object = NULL;
	file->slot = NULL;
	atomic_store(&file->grown, false);
	memset(file->holders, 0, sizeof(file->holders));
	file->memlock_seen = 0;
	atomic_store(&file->refs, 1);
	return file;
}

/* A process that finds no place here is taken to live on. */
static void count_holder(struct file *file, int pid, int change)
{
	struct file_holder *unused = NULL;

	for (unsigned int i = 0; i < FILE_HOLDERS; i++) {
		struct file_holder *holder = &file->holders[i];

		if (holder->count && holder->pid == pid) {
			holder->count += (unsigned int)change;
			return;
		}
		if (!holder->count)
			unused = holder;
	}
	if (unused && change > 0)
		*unused = (struct file_holder){pid, (unsigned int)change};
}

/* Who was killed with the last descriptor of a file leaves it to be found. */
void table_reap(void)
{
	for (unsigned int i = 0; i < __atomic_load_n(&nr_files, __ATOMIC_RELAXED); i++) {
		unsigned int dead = 0;

		lock_table();
		if (atomic_load(&files[i].refs))
			dead = reap_holders(&files[i]);
		unlock_table();
		while (dead--)
			file_put(&files[i]);
	}
}

static int make_table(void)
{
	void *table;

	if (process.table)
		return 0;
	table = real()->mmap(NULL, DESCRIPTORS_MAX * sizeof(struct file *), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return -ENOMEM;
	process.table = table;
	return 0;
}

static void table_store(int fd, struct file *file)
{
	__atomic_store_n(&process.table[fd], file, __ATOMIC_RELEASE);
}

int table_install(int fd, struct file *file)
{
	struct file *before = NULL;
	int ret = fd < DESCRIPTORS_MAX ? 0 : -EMFILE;

	lock_table();
	if (!ret)
		ret = make_table();
	if (!ret) {
		before = process.table[fd];
		if (before)
			count_holder(before, process.pid, -1);
		file_hold(file);
		count_holder(file, process.pid, 1);
		table_store(fd, file);
		if (fd >= atomic_load(&process.end))
			atomic_store(&process.end, fd + 1);
	}
	unlock_table();
	/* Closed behind our back, or by a thread that races for the number. */
	if (before)
		file_put(before);
	return ret;
}

static void lower_end(void)
{
	int end = atomic_load(&process.end);

	while (end > 0 && !process.table[end - 1])
		end--;
	atomic_store(&process.end, end);
}

void table_remove(int fd)
{
	struct file *file;
	unsigned int dead = 0;
	int error = errno;

	lock_table();
	file = process.table ? process.table[fd] : NULL;
	if (file) {
		table_store(fd, NULL);
		lower_end();
		count_holder(file, process.pid, -1);
		dead = reap_holders(file);
	}
	unlock_table();
	if (file) {
		while (dead--)
			file_put(file);
		file_put(file);
	}
	errno = error;
}

int table_find(const struct file *file)
{
	for (int fd = 0; fd < atomic_load(&process.end); fd++)
		if (table_load(fd) == file)
			return fd;
	return -1;
}

int table_find_object(const void *object)
{
	for (int fd = 0; fd < atomic_load(&process.end); fd++) {
		const struct file *file = table_load(fd);

		if (file && file->kind == FILE_FAULT && file->object == object)
			return fd;
	}
	return -1;
}

void table_for_each(void (*each)(int fd, struct file *file))
{
	for (int fd = 0; fd < atomic_load(&process.end); fd++) {
		struct file *file = file_get(fd);

		if (file) {
			each(fd, file);
			file_put(file);
		}
	}
}

/*
 * The child's references are taken before there is a child, or the parent could
 * close the last descriptor first. Whose they are is noted by the parent where
 * it sees the fork, since a child may be killed before it does anything; the C
 * library's own forks only the child can note.
 */
static __thread bool fork_is_seen __attribute__((tls_model("initial-exec")));

static void for_each_locked(void (*each)(struct file *file, int pid), int pid)
{
	for (int fd = 0; fd < atomic_load(&process.end); fd++)
		if (process.table[fd])
			each(process.table[fd], pid);
}

static void hold_for_child(struct file *file, int pid)
{
	file_hold(file);
}

static void note_child(struct file *file, int pid)
{
	count_holder(file, pid, 1);
}

/* Never the last: the parent has one, and the lock keeps it. */
static void drop_for_child(struct file *file, int pid)
{
	atomic_fetch_sub(&file->refs, 1);
}

void table_fork_prepare(void)
{
	lock_raw();
	for_each_locked(hold_for_child, 0);
}

void table_fork_parent(void)
{
	if (!fork_is_seen)
		pthread_mutex_unlock(&lock);
}

void table_fork_begin(void)
{
	fork_is_seen = true;
}

void table_fork_end(int child)
{
	fork_is_seen = false;
	if (!child)
		return;
	for_each_locked(child < 0 ? drop_for_child : note_child, child);
	process.related |= child > 0;
	pthread_mutex_unlock(&lock);
}

/* The lock is the parent's, which unlocks it. */
void table_fork_child(void)
{
	process.pid = getpid();
	process.watch_start = UINT64_MAX;
	process.watch_end = 0;
	process.slot = NULL;
	process.slot_taken = false;
	process.related = true;
	if (fork_is_seen)
		return;
	lock_table();
	for_each_locked(note_child, process.pid);
	unlock_table();
}

void table_drop_all(void)
{
	for (int fd = 0; fd < atomic_load(&process.end); fd++)
		if (table_load(fd))
			table_remove(fd);
}

void table_exec(void)
{
	process.nr_dropped = 0;
	for (int fd = 0; fd < atomic_load(&process.end); fd++) {
		struct file *file = table_load(fd);

		if (!file || atomic_load(&file->refs) == 1 || process.nr_dropped == DROPPED_MAX)
			continue;
		process.dropped[process.nr_dropped++] = fd;
		lock_table();
		count_holder(file, process.pid, -1);
		unlock_table();
		file_put(file);
	}
}

void table_exec_failed(void)
{
	while (process.nr_dropped) {
		int fd = process.dropped[--process.nr_dropped];
		struct file *file = table_load(fd);

		lock_table();
		if (get_unless_zero(file))
			count_holder(file, process.pid, 1);
		else
			table_store(fd, NULL);
		unlock_table();
	}
}
