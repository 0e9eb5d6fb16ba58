/* SPDX-License-Identifier: MIT */
/*
 * A program that tests/run_breaks.py runs under `uiommu run`: what a program may do with
 * its descriptors, threads and processes that no other test does. Only system calls; 0
 * and no word, or a line that says what is wrong; 77: the kernel lacks what it takes.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "run_program.h"

/* ---- a call that begins after a descriptor was replaced or closed ---- */

#define ROUNDS 300

static int number;
static long asked, answered; /* rounds */
static int result;

/* Whether the file has object 2, which the first does not have. */
static int has_second(void)
{
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd), .ioas_id = 2};

	/* There is no room for them, which is said of an object that is there. */
	return !ioctl(number, IOMMU_IOAS_IOVA_RANGES, &cmd) || errno == EMSGSIZE ? 0 : errno;
}

static void *call_always(void *arg)
{
	for (;;) {
		long round = __atomic_load_n(&asked, __ATOMIC_SEQ_CST);
		int ret = has_second();

		if (round == __atomic_load_n(&answered, __ATOMIC_SEQ_CST))
			continue;
		result = ret;
		__atomic_store_n(&answered, round, __ATOMIC_SEQ_CST);
	}
	return arg;
}

/* What a call says that another thread begins now. */
static int call_of_other(long round)
{
	__atomic_store_n(&asked, round, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&answered, __ATOMIC_SEQ_CST) != round)
		sched_yield();
	return result;
}

static void test_replaced(void)
{
	int a = open_iommu(), b = open_iommu();
	pthread_t thread;

	ioas_alloc(a);
	ioas_alloc(b);
	ioas_alloc(b);
	number = b - 8;
	check(dup2(a, number) == number);
	check(!pthread_create(&thread, NULL, call_always, NULL));
	for (long round = 1; round <= ROUNDS; round++) {
		check(dup2(round & 1 ? b : a, number) == number);
		check(call_of_other(round) == (round & 1 ? 0 : ENOENT));
	}
	for (long round = ROUNDS + 1; round <= 2 * ROUNDS; round++) {
		check(dup2(b, number) == number);
		sched_yield();
		check(!close(number));
		check(call_of_other(round) == EBADF);
	}
	_exit(0);
}

/* ---- memory that nobody provides ---- */

/* The kernel's own accesses to it wait until the process ends. */
static char *absent_memory(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	char *at = mmap(NULL, M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {.range = {(uintptr_t)at, M},
					.mode = UFFDIO_REGISTER_MODE_MISSING};

	if (fd < 0)
		exit(77);
	check(!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &range));
	return at;
}

static int stalled_fd;
static uint32_t stalled_ioas;

static void *map_absent(void *at)
{
	map(stalled_fd, stalled_ioas, at, M, M);
	return NULL;
}

static void *alloc_absent(void *at)
{
	ioctl(stalled_fd, IOMMU_IOAS_ALLOC, at);
	return NULL;
}

/* Until the thread is in its call, which /proc says. */
static void wait_for_call(pid_t tid)
{
	char path[64], number_of_ioctl[16], text[128] = "";
	int length = snprintf(number_of_ioctl, sizeof(number_of_ioctl), "%d ", SYS_ioctl);

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	while (strncmp(text, number_of_ioctl, (size_t)length)) {
		int fd = open(path, O_RDONLY);

		check(fd >= 0 && read(fd, text, sizeof(text)) > 0 && !close(fd));
		sched_yield();
	}
}

static void *(*stalling)(void *at);
static pid_t stalled_tid;

static void *begin_stalled(void *at)
{
	__atomic_store_n(&stalled_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	return stalling(at);
}

/* The end of the process is what ends the call. */
static void exit_in_call(void *(*call)(void *at), void (*leave)(int status))
{
	char *at = absent_memory();
	pthread_t thread;

	stalled_fd = open_iommu();
	stalled_ioas = ioas_alloc(stalled_fd);
	attach(stalled_fd, stalled_ioas);
	stalling = call;
	check(!pthread_create(&thread, NULL, begin_stalled, at));
	while (!__atomic_load_n(&stalled_tid, __ATOMIC_SEQ_CST))
		sched_yield();
	wait_for_call(stalled_tid);
	usleep(100000); /* for the supervisor to be in it; more or less shows less, not more */
	leave(5);
}

static void test_exit_in_map(void)
{
	exit_in_call(map_absent, exit);
}

static void test_exit_in_argument(void)
{
	exit_in_call(alloc_absent, _exit);
}

/* The end of the last thread, and not of the process. */
static void test_exit_thread(void)
{
	ioas_alloc(open_iommu());
	syscall(SYS_exit, 3);
}

#define CROWD 250

/* More calls than there are threads of the supervisor wait; another process goes on. */
static void test_crowd(void)
{
	char *at = absent_memory();
	pthread_t thread;
	pid_t pid;

	stalled_fd = open_iommu();
	stalling = alloc_absent;
	for (unsigned int i = 0; i < CROWD; i++) {
		__atomic_store_n(&stalled_tid, 0, __ATOMIC_SEQ_CST);
		check(!pthread_create(&thread, NULL, begin_stalled, at));
		while (!__atomic_load_n(&stalled_tid, __ATOMIC_SEQ_CST))
			sched_yield();
	}
	usleep(500000); /* as above */
	pid = fork();
	if (!pid) {
		int fd = open_iommu();

		check(ioas_alloc(fd) == 1 && !close(fd));
		_exit(0);
	}
	wait_for(pid, 0);
	_exit(5);
}

/* ---- others that open and close what a program has open ---- */

static void test_exec_file(void)
{
	char path[32], *argv[] = {path, NULL};
	int fd = open_iommu();

	ioas_alloc(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_errno(execve(path, argv, argv), EACCES);
	check_errno(syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH), EACCES);
	check(ioas_alloc(fd) == 2);
}

/* Between the lines that it writes and reads something outside happens to its file. */
static void test_foreign(void)
{
	int fd = open_iommu();
	char byte;

	ioas_alloc(fd);
	printf("%d %d\n", (int)getpid(), fd);
	fflush(stdout);
	check(read(STDIN_FILENO, &byte, 1) == 1);
	check(ioas_alloc(fd) == 2);
	check(!close(fd));
}

/* More last closes than events have room. */
static void test_many(void)
{
	unsigned int events;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	struct rlimit limit;

	check(file && fscanf(file, "%u", &events) == 1 && !fclose(file));
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < events + 2100)
		exit(77);
	limit.rlim_cur = limit.rlim_max;
	check(!setrlimit(RLIMIT_NOFILE, &limit));
	for (unsigned int i = 0; i < events + 1000; i++)
		check(open("/dev/iommu", O_RDWR) >= 0);
	raise(SIGKILL);
}

/* ---- limits on descriptors ---- */

#define CHILDREN 80

/* Each has a file open until all have tried. What opens fail with, other than @expected. */
static void open_in_children(const int *expected)
{
	int tried[2], go[2];
	char byte;

	check(!pipe(tried) && !pipe(go));
	for (unsigned int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		check(pid >= 0);
		if (pid)
			continue;
		close(go[1]);
		if (open("/dev/iommu", O_RDWR) < 0 && errno != expected[0] && errno != expected[1])
			printf("open: %s\n", strerror(errno));
		fflush(stdout);
		check(write(tried[1], "", 1) == 1);
		_exit((int)read(go[0], &byte, 1));
	}
	close(tried[1]);
	for (unsigned int i = 0; i < CHILDREN; i++)
		check(read(tried[0], &byte, 1) == 1);
	close(go[1]);
	while (wait(NULL) > 0)
		;
}

/* Each process has few, as its limit of 64 says; all together have more. */
static void test_soft_limit(void)
{
	struct rlimit limit;

	check(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur == 64);
	open_in_children((const int[]){0, 0});
}

/* The supervisor has no more than a process may have: that is what it says. */
static void test_hard_limit(void)
{
	open_in_children((const int[]){EMFILE, ENFILE});
}

/* What is no iommufd, and what is nothing. */
static void test_bind_other(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	int device = open("/dev/vfio/devices/vfio0", O_RDWR), null = open("/dev/null", O_RDWR);

	check(device >= 0 && null >= 0);
	bind.iommufd = null;
	check_errno(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), EBADFD);
	bind.iommufd = device;
	check_errno(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), EBADFD);
	check(!close(null));
	bind.iommufd = null;
	check_errno(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), EBADF);
}

static void test_not_dumpable(void)
{
	check(!prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	open("/dev/iommu", O_RDWR);
	open("/dev/iommu", O_RDWR);
}

static const struct {
	const char *name;
	void (*function)(void);
} tests[] = {
	{"replaced", test_replaced},
	{"exit-in-map", test_exit_in_map},
	{"exit-in-argument", test_exit_in_argument},
	{"exit-thread", test_exit_thread},
	{"crowd", test_crowd},
	{"exec-file", test_exec_file},
	{"foreign", test_foreign},
	{"many", test_many},
	{"bind-other", test_bind_other},
	{"not-dumpable", test_not_dumpable},
	{"soft-limit", test_soft_limit},
	{"hard-limit", test_hard_limit},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].function();
			return 0;
		}
	return 2;
}
