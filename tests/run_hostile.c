/* SPDX-License-Identifier: MIT */
/*
 * What tests/run_hostile.py runs under `uiommu run`: programs that die inside calls,
 * call in signal handlers, race their arguments, or write over all of their memory.
 * The first argument says which part, the second how often.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iommufd/test_abi.h"
#include "run_program.h"

#define SIZE (16 * M)

static unsigned int rounds;
static int shared_fd;
static uint32_t shared_ioas;
static void *shared_memory;

static void begin(void)
{
	shared_fd = open_iommu();
	shared_ioas = ioas_alloc(shared_fd);
	shared_memory = memory(SIZE);
	attach(shared_fd, shared_ioas);
}

/* ---- dying inside a call ---- */

static void __attribute__((noreturn)) map_for_ever(void)
{
	for (;;) {
		map(shared_fd, shared_ioas, shared_memory, SIZE, 1ul << 32);
		unmap(shared_fd, shared_ioas, 1ul << 32, SIZE);
	}
}

static void *map_in_thread(void *arg)
{
	map_for_ever();
	return NULL;
}

static void __attribute__((noreturn)) open_for_ever(void)
{
	for (;;) {
		int fd = open_iommu();

		map(fd, ioas_alloc(fd), shared_memory, M, 0);
		close(fd);
	}
}

enum death {
	KILLED_MAPPING,
	KILLED_OPENING,
	EXITS,
	TERMINATED,
	ABORTS,
	NR_DEATHS,
};

static void __attribute__((noreturn)) child(enum death death, unsigned int after_us)
{
	pthread_t thread;

	if (death == KILLED_MAPPING)
		map_for_ever();
	if (death == KILLED_OPENING)
		open_for_ever();
	pthread_create(&thread, NULL, map_in_thread, NULL);
	usleep(after_us);
	if (death == EXITS)
		_exit(0);
	if (death == ABORTS) {
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	for (;;)
		pause();
}

/* The parent goes on with the same file, whatever its children are doing. */
static void test_deaths(void)
{
	unsigned int seed = 1;

	begin();
	for (unsigned int i = 0; i < rounds; i++) {
		enum death death = i % NR_DEATHS;
		unsigned int after_us = 300 + (unsigned int)rand_r(&seed) % 2000;
		pid_t pid = fork();

		if (!pid)
			child(death, after_us);
		usleep(after_us);
		if (death == KILLED_MAPPING || death == KILLED_OPENING)
			kill(pid, SIGKILL);
		else if (death == TERMINATED)
			kill(pid, SIGTERM);
		check(waitpid(pid, NULL, 0) == pid);
		unmap(shared_fd, shared_ioas, 1ul << 32, SIZE);
		check(!map(shared_fd, shared_ioas, shared_memory, SIZE, 1ul << 33));
		check(unmap(shared_fd, shared_ioas, 1ul << 33, SIZE) == (int)(SIZE >> 12));
	}
}

/* ---- calls in a signal handler that has interrupted another ---- */

static volatile unsigned int handled;

static void call_in_handler(int sig)
{
	int error = errno, fd;
	uint32_t ioas;

	unmap(shared_fd, shared_ioas, 0, SIZE_MAX);
	map(shared_fd, shared_ioas, shared_memory, M, 1ul << 40);
	ioas = ioas_alloc(shared_fd);
	check(!map(shared_fd, ioas, shared_memory, 4096, 0));
	check(!destroy(shared_fd, ioas));
	fd = open("/dev/iommu", O_RDWR);
	check(fd >= 0 && !close(fd));
	handled++;
	errno = error;
}

static void test_handlers(void)
{
	struct sigaction act = {.sa_handler = call_in_handler, .sa_flags = SA_RESTART};
	unsigned int seed = 2;

	begin();
	sigaction(SIGALRM, &act, NULL);
	for (unsigned int i = 0; i < rounds; i++) {
		struct itimerval soon = {.it_value.tv_usec = 1 + rand_r(&seed) % 200};

		setitimer(ITIMER_REAL, &soon, NULL);
		if (map(shared_fd, shared_ioas, shared_memory, 4 * M, 1ul << 32))
			check(errno == EEXIST);
		if (unmap(shared_fd, shared_ioas, 1ul << 32, 4 * M) < 0)
			check(errno == ENOENT);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 0}, NULL);
	check(handled > rounds / 20);
}

/* ---- arguments that change, descriptors that are closed meanwhile ---- */

static struct iommu_ioas_map racing_map;
static volatile bool racing = true;

static void *change_arguments(void *arg)
{
	unsigned int seed = 3;
	uint32_t *word = (uint32_t *)&racing_map;

	while (racing)
		word[(unsigned int)rand_r(&seed) % (sizeof(racing_map) / 4)] =
			(uint32_t)rand_r(&seed) << (rand_r(&seed) % 24);
	return NULL;
}

static void *close_and_open(void *arg)
{
	while (racing) {
		int fd = open("/dev/iommu", O_RDWR);

		dup2(fd, 200);
		close(fd);
		ioctl(200, IOMMU_IOAS_MAP, &racing_map);
		close(200);
	}
	return NULL;
}

static void test_races(void)
{
	pthread_t threads[3];

	begin();
	check(!pthread_create(&threads[0], NULL, change_arguments, NULL));
	check(!pthread_create(&threads[1], NULL, close_and_open, NULL));
	check(!pthread_create(&threads[2], NULL, close_and_open, NULL));
	for (unsigned int i = 0; i < rounds; i++) {
		struct iommu_ioas_map fixed = {.size = sizeof(fixed),
					       .flags = 7,
					       .ioas_id = shared_ioas,
					       .user_va = (uintptr_t)shared_memory,
					       .length = M,
					       .iova = 1ul << 34};

		racing_map = fixed;
		ioctl(shared_fd, IOMMU_IOAS_MAP, &racing_map);
		ioctl(200, IOMMU_IOAS_ALLOC, &racing_map);
	}
	racing = false;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	unmap(shared_fd, shared_ioas, 0, SIZE_MAX);
}

static volatile unsigned int sweeps;

/* What has a number is read, from the moment that it has one, and closed. */
static void *read_all(void *arg)
{
	struct iommu_hwpt_pgfault fault;

	for (; racing; sweeps++)
		for (int fd = 768; fd < 1024; fd++)
			if (read(fd, &fault, sizeof(fault)) >= 0 || errno != EBADF)
				close(fd);
	return NULL;
}

/* A queue that cannot be told of, since its struct is not to be written. */
static void test_untold(void)
{
	struct iommu_fault_alloc alloc = {.size = sizeof(alloc)};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	check(page != MAP_FAILED);
	memcpy(page, &alloc, sizeof(alloc));
	check(!mprotect(page, 4096, PROT_READ));
	/* Here it is not closed. */
	shared_fd = fcntl(open_iommu(), F_DUPFD, 100);
	check(!pthread_create(&thread, NULL, read_all, NULL));
	for (unsigned int i = 0; i < rounds; i++) {
		check_errno(ioctl(shared_fd, IOMMU_FAULT_QUEUE_ALLOC, page), EFAULT);
		check(!ioctl(shared_fd, IOMMU_FAULT_QUEUE_ALLOC, &alloc));
		destroy(shared_fd, alloc.out_fault_id);
		for (unsigned int before = sweeps; i % 16 == 0 && sweeps == before;)
			sched_yield();
	}
	racing = false;
	pthread_join(thread, NULL);
}

/* ---- a wild store ---- */

struct range {
	char *start, *end;
};

/*
 * Everything that can be written, but the stack and the code that does it; the
 * process cannot go on after that, except by calls that need no memory of its own.
 */
static void test_scribble(void)
{
	static struct range ranges[512];
	unsigned int nr = 0;
	char line[512], rights[5];
	FILE *maps = fopen("/proc/self/maps", "r");
	int fd;

	begin();
	fd = shared_fd;
	check(!map(fd, shared_ioas, shared_memory, M, 1ul << 32));
	check(maps);
	while (fgets(line, sizeof(line), maps) && nr < 512) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[1] == 'w' &&
		    !strstr(line, "[stack]"))
			ranges[nr++] = (struct range){(char *)start, (char *)end};
	}
	/* The list is among what is written over, so each range is read before it goes. */
	for (unsigned int i = 0; i < nr; i++) {
		struct range range = ranges[i];

		for (char *at = range.start; at < range.end; at += 64)
			if (at < (char *)ranges || at >= (char *)(ranges + nr))
				*(volatile char *)at = (char)0xa5;
	}
	raise(SIGKILL);
}

/* ---- faults of devices, in processes that share a queue ---- */

struct queue {
	int iommu, fault;
	struct iommu_test_cmd request;
};

static void make_queue(struct queue *queue)
{
	struct iommu_fault_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_test_cmd mock = {.size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN};
	struct iommu_test_cmd replace = {.size = sizeof(replace),
					 .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE};
	struct iommu_hwpt_alloc parent = {.size = sizeof(parent),
					  .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_hwpt_alloc nested = {.size = sizeof(nested),
					  .flags = IOMMU_HWPT_FAULT_ID_VALID,
					  .data_type = 0xdead,
					  .data_len = sizeof(uint32_t)};
	uint32_t data = 0;

	queue->iommu = open_iommu();
	mock.id = ioas_alloc(queue->iommu);
	check(!ioctl(queue->iommu, IOMMU_TEST_CMD, &mock));
	check(!ioctl(queue->iommu, IOMMU_FAULT_QUEUE_ALLOC, &alloc));
	parent.dev_id = nested.dev_id = mock.mock_domain.out_idev_id;
	parent.pt_id = mock.id;
	check(!ioctl(queue->iommu, IOMMU_HWPT_ALLOC, &parent));
	nested.pt_id = parent.out_hwpt_id;
	nested.fault_id = alloc.out_fault_id;
	nested.data_uptr = (uintptr_t)&data;
	check(!ioctl(queue->iommu, IOMMU_HWPT_ALLOC, &nested));
	replace.id = mock.mock_domain.out_stdev_id;
	replace.mock_domain_replace.pt_id = nested.out_hwpt_id;
	check(!ioctl(queue->iommu, IOMMU_TEST_CMD, &replace));
	queue->fault = (int)alloc.out_fault_fd;
	queue->request = (struct iommu_test_cmd){.size = sizeof(queue->request),
						 .op = IOMMU_TEST_OP_TRIGGER_IOPF};
	queue->request.trigger_iopf.dev_id = mock.mock_domain.out_idev_id;
	queue->request.trigger_iopf.pasid = 1;
	queue->request.trigger_iopf.grpid = 2;
	queue->request.trigger_iopf.perm = IOMMU_PGFAULT_PERM_READ;
	queue->request.trigger_iopf.addr = 0xdeadbeaf000;
}

static void expect_fault(const struct queue *queue, int fd)
{
	struct iommu_hwpt_pgfault faults[4];
	struct iommu_hwpt_page_response response = {0};
	struct pollfd polled = {fd, POLLIN, 0};
	volatile size_t size = sizeof(faults); /* what _FORTIFY_SOURCE does not know */
	struct iovec iov = {&response, sizeof(response)};

	check(poll(&polled, 1, 0) == 1 && polled.revents == POLLIN);
	check(read(fd, faults, size) == sizeof(faults[0]));
	check(faults[0].addr == 0xdeadbeaf000 && poll(&polled, 1, 0) == 0);
	check(read(fd, faults, size) == 0);
	response.cookie = faults[0].cookie;
	if (rounds % 2)
		check(write(fd, &response, sizeof(response)) == sizeof(response));
	else
		check(pwritev2(fd, &iov, 1, -1, 0) == sizeof(response));
	check_errno(write(fd, &response, sizeof(response)), EINVAL);
}

static void fault_in_child(struct queue *queue, bool closes)
{
	pid_t pid = fork();

	if (!pid) {
		if (closes)
			close(queue->fault);
		_exit(ioctl(queue->iommu, IOMMU_TEST_CMD, &queue->request) ? 1 : 0);
	}
	wait_for(pid, 0);
	expect_fault(queue, queue->fault);
}

static void test_faults(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(0), copy;
	struct queue queue;

	make_queue(&queue);
	check(!ioctl(queue.iommu, IOMMU_TEST_CMD, &queue.request));
	expect_fault(&queue, queue.fault);
	fault_in_child(&queue, false);
	fault_in_child(&queue, true);
	copy = dup(queue.fault);
	check(copy >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &event));
	check(epoll_wait(epoll, &event, 1, 0) == 0);
	for (int i = 0; i < 3; i++) {
		check(!ioctl(queue.iommu, IOMMU_TEST_CMD, &queue.request));
		check(epoll_wait(epoll, &event, 1, 0) == 1);
		expect_fault(&queue, i % 2 ? copy : queue.fault);
	}
	check(!close(copy) && !close(queue.fault) && !close(queue.iommu));
}

/* ---- whatever way a device is read, it is one ---- */

static void test_reads(void)
{
	char buf[64];
	volatile size_t size = 16;
	int fd = open_iommu(), other;
	struct iovec iov = {buf, 16};
	char path[32];
	struct stat st;

	check_errno(read(fd, buf, size), EINVAL);
	check_errno(pread(fd, buf, size, 0), EINVAL);
	check_errno(preadv(fd, &iov, 1, 0), EINVAL);
	check_errno(pwritev(fd, &iov, 1, 0), EINVAL);
	check_errno(lseek(fd, 0, SEEK_END), ESPIPE);
	check_errno(ftruncate(fd, 4096), EINVAL);
	check(!fstat(fd, &st) && S_ISCHR(st.st_mode));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(buf, 0, sizeof(buf));
	check(readlink(path, buf, sizeof(buf)) == 10 && !strcmp(buf, "/dev/iommu"));
	other = open(path, O_RDWR);
	check(other >= 0 && ioas_alloc(other) == 1 && ioas_alloc(fd) == 1);
	check(!close(other) && !close(fd));
}

/* The program has nothing of ours in its memory. */
static void test_lock_all(void)
{
	unsigned long kib = 0;
	FILE *status = fopen("/proc/self/status", "r");
	char line[128];

	check(!close(open_iommu()));
	check(!mlockall(MCL_CURRENT | MCL_FUTURE) || errno == ENOMEM || errno == EPERM);
	check(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmSize: %lu", &kib);
	check(kib && kib < 64 << 10);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"deaths", test_deaths},     {"handlers", test_handlers}, {"races", test_races},
	{"scribble", test_scribble}, {"faults", test_faults},     {"reads", test_reads},
	{"lock-all", test_lock_all}, {"untold", test_untold},
};

int main(int argc, char **argv)
{
	rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	for (size_t i = 0; argc > 1 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	printf("no such test\n");
	return 1;
}
