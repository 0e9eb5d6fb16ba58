/* SPDX-License-Identifier: MIT */
/*
 * The processes that use one of our files, by their numbers. A thread that calls has
 * a number only; whose it is, is found once and then only made sure of.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/memcontrol.h>

#include "mm/memcontrol.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"

#define CHAINS       256
#define PF_EXITING   0x4 /* of the kernel, in /proc/PID/stat */
#define THREAD_SLOTS 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct process *chains[CHAINS];

/* What the process of a thread was when it was looked for. A guess, checked before use. */
static _Atomic(uint64_t) thread_processes[THREAD_SLOTS]; /* tid << 32 | pid */

/* Whether thread @tid is one of process @pid now. */
static bool is_thread_of(pid_t tid, pid_t pid)
{
	return !syscall(SYS_tgkill, pid, tid, 0) || errno != ESRCH;
}

static bool read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(text, 1, size - 1, file);
	fclose(file);
	text[length] = '\0';
	return length;
}

static pid_t look_up_pid(pid_t tid)
{
	char text[1024];
	const char *at;

	if (!read_proc(tid, "status", text, sizeof(text)))
		return 0;
	at = strstr(text, "\nTgid:");
	return at ? (pid_t)strtol(at + 6, NULL, 10) : 0;
}

pid_t process_pid(pid_t tid)
{
	_Atomic(uint64_t) *slot = &thread_processes[(unsigned int)tid % THREAD_SLOTS];
	uint64_t guess = atomic_load_explicit(slot, memory_order_relaxed);
	pid_t pid = (pid_t)(uint32_t)guess;

	if ((pid_t)(guess >> 32) == tid && is_thread_of(tid, pid))
		return pid;
	pid = look_up_pid(tid);
	atomic_store_explicit(slot, (uint64_t)tid << 32 | (uint32_t)pid, memory_order_relaxed);
	return pid;
}

static struct process *find_locked(pid_t pid)
{
	struct process *p = chains[(unsigned int)pid % CHAINS];

	while (p && p->pid != pid)
		p = p->next;
	return p;
}

static void unlink_locked(struct process *process)
{
	struct process **at = &chains[(unsigned int)process->pid % CHAINS];

	while (*at && *at != process)
		at = &(*at)->next;
	if (*at)
		*at = process->next;
}

static struct process *process_new(pid_t pid)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->pid = pid;
	atomic_init(&process->refs, 1);
	pthread_mutex_init(&process->exit_lock, NULL);
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process->pidfd < 0) {
		free(process);
		return NULL;
	}
	process->cgroup = mem_cgroup_create(run_cgroup);
	if (process->cgroup)
		memcg_keep_exact(process->cgroup);
	if (read_proc(pid, "comm", process->comm, sizeof(process->comm)))
		process->comm[strcspn(process->comm, "\n")] = '\0';
	return process;
}

struct process *process_find(pid_t tid)
{
	pid_t pid = process_pid(tid);
	struct process *process;

	pthread_mutex_lock(&lock);
	process = pid ? find_locked(pid) : NULL;
	if (process)
		atomic_fetch_add(&process->refs, 1);
	pthread_mutex_unlock(&lock);
	return process;
}

struct process *process_of(pid_t tid)
{
	pid_t pid = process_pid(tid);
	struct process *process;
	bool is_new = false;

	pthread_mutex_lock(&lock);
	process = pid ? find_locked(pid) : NULL;
	if (!process && pid) {
		process = process_new(pid);
		is_new = process;
	}
	if (process) {
		atomic_fetch_add(&process->refs, 1);
		if (is_new) {
			process->next = chains[(unsigned int)pid % CHAINS];
			chains[(unsigned int)pid % CHAINS] = process;
		}
	}
	pthread_mutex_unlock(&lock);
	if (is_new)
		ends_watch(process, process->pidfd);
	return process;
}

void process_put(struct process *process)
{
	if (atomic_fetch_sub(&process->refs, 1) != 1)
		return;
	close(process->pidfd);
	pthread_mutex_destroy(&process->exit_lock);
	if (process->mm)
		iommufd_mm_put(process->mm);
	if (process->cgroup)
		mem_cgroup_put(process->cgroup);
	free(process);
}

/* ---- its address space ---- */

/*
 * What was opened stays that of the old program when the process executes another.
 * So after an exec has begun nothing is kept until the thread that began it, or that
 * took its place, makes another call.
 */
static bool may_keep(struct process *process, pid_t tid)
{
	if (!process->exec_tid)
		return true;
	if (tid != process->exec_tid && is_thread_of(process->exec_tid, process->pid))
		return false;
	process->exec_tid = 0;
	return true;
}

struct iommufd_mm *process_mm(struct process *process, pid_t tid)
{
	struct iommufd_mm *mm, *old = NULL;
	static atomic_bool said;

	pthread_mutex_lock(&lock);
	if (!may_keep(process, tid)) {
		old = process->mm;
		process->mm = NULL;
	}
	if (!process->mm) {
		mm = iommufd_mm_open(process->pid);
		if (!IS_ERR(mm))
			process->mm = mm;
	} else {
		mm = process->mm;
	}
	/* Another thread's exec may put that of the process. */
	if (!IS_ERR(mm))
		iommufd_mm_get(mm);
	pthread_mutex_unlock(&lock);
	if (old)
		iommufd_mm_put(old);
	if (IS_ERR(mm) && (PTR_ERR(mm) == -EACCES || PTR_ERR(mm) == -EPERM) &&
	    !atomic_exchange(&said, true))
		notice("%s[%d]: its memory cannot be used: /proc/%d/mem: %s", process->comm,
		       (int)process->pid, (int)process->pid, strerror((int)-PTR_ERR(mm)));
	return mm;
}

bool process_pinned(pid_t pid, unsigned long *pinned, unsigned long *locked)
{
	struct process *process = process_find(pid);
	bool known = false;

	if (!process)
		return false;
	pthread_mutex_lock(&lock);
	if (process->mm) {
		*pinned = atomic_load(&process->mm->pinned);
		*locked = atomic_load(&process->mm->locked);
		known = true;
	}
	pthread_mutex_unlock(&lock);
	process_put(process);
	return known;
}

void process_execs(struct process *process, pid_t tid)
{
	struct iommufd_mm *old;

	pthread_mutex_lock(&lock);
	old = process->mm;
	process->mm = NULL;
	process->exec_tid = tid;
	pthread_mutex_unlock(&lock);
	if (old)
		iommufd_mm_put(old);
}

/* ---- its end ---- */

static bool is_ending(pid_t pid, const char *thread)
{
	char name[48], text[512];
	unsigned long flags;
	const char *at;
	char state;

	snprintf(name, sizeof(name), "task/%.16s/stat", thread);
	if (!read_proc(pid, name, text, sizeof(text)))
		return true;
	/* The name may have blanks and brackets in it. */
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
		return true;
	return state == 'Z' || state == 'X' || (flags & PF_EXITING);
}

bool process_is_ending(const struct process *process)
{
	const struct dirent *entry;
	bool ending = true;
	char path[32];
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process->pid);
	threads = opendir(path);
	while (threads && ending && (entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			ending = is_ending(process->pid, entry->d_name);
	if (threads)
		closedir(threads);
	return ending;
}

static void note_status(struct process *process, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		atomic_store(&process->status, 1 + info->si_status);
}

void process_note_status(pid_t pid, const siginfo_t *info)
{
	struct process *process = process_find(pid);

	if (!process)
		return;
	note_status(process, info);
	process_put(process);
}

void process_ended(struct process *process)
{
	siginfo_t info = {.si_code = 0};

	/* Of a child of ours, unless it is reaped: then it has been noted before. */
	if (!waitid((idtype_t)P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT))
		note_status(process, &info);
	/* Its last closes come before the news of its end. */
	files_settle_all();
	account_exit(process, REPORT_KILLED, 0);
	files_forget();
	pthread_mutex_lock(&lock);
	unlink_locked(process);
	pthread_mutex_unlock(&lock);
	process_put(process);
}
