/* SPDX-License-Identifier: MIT */
/*
 * What tests/run.py runs under `uiommu run`: an ordinary program that knows of
 * Linux's ABI only. The first argument says which part; it exits with 0, or
 * prints what was not as on Linux and exits with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run_program.h"
#include "run_signals.h"

/* ---- the parts ---- */

static void test_basic(void)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	int device = attach(fd, ioas);
	void *at = memory(4 * M);

	check(!map(fd, ioas, at, 4 * M, 1ul << 32));
	check(unmap(fd, ioas, 1ul << 32, 4 * M) == 1024);
	check(!close(device));
	check(!destroy(fd, ioas));
	check(!close(fd));
}

/* The domain goes with its device, with all that is mapped in it. */
static void test_detach(void)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	int device = attach(fd, ioas);

	check(!map(fd, ioas, memory(4 * M), 4 * M, 1ul << 32));
	check(!close(device));
	check(!close(fd));
}

static void test_leak(void)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);

	attach(fd, ioas);
	check(!map(fd, ioas, memory(4 * M), 4 * M, 1ul << 32));
}

static void test_killed(void)
{
	test_leak();
	raise(SIGKILL);
}

static void test_descriptors(void)
{
	int fd = open_iommu(), copies[5];
	uint32_t ioas = ioas_alloc(fd);

	check(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	copies[0] = dup(fd);
	copies[1] = dup2(fd, 100);
	copies[2] = dup3(fd, 101, O_CLOEXEC);
	copies[3] = fcntl(fd, F_DUPFD, 200);
	copies[4] = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	check(copies[1] == 100 && copies[2] == 101 && copies[3] == 200 && copies[4] == 201);
	check(fcntl(100, F_GETFD) == 0 && fcntl(101, F_GETFD) == FD_CLOEXEC);
	check_errno(dup3(fd, fd, 0), EINVAL);
	check(dup2(fd, fd) == fd);
	check(!close(fd));
	check_errno(destroy(fd, ioas), EBADF);
	check_errno(close(fd), EBADF);
	for (int i = 0; i < 5; i++)
		check_errno(map(copies[i], ioas, NULL, 0, 0), EINVAL);
	check(!destroy(copies[3], ioas));
	/* Another file takes the place of one of ours. */
	check(dup2(open("/dev/null", O_RDWR), fd) == fd);
	check(dup2(fd, 100) == 100);
	check_errno(ioctl(100, IOMMU_IOAS_ALLOC, NULL), ENOTTY);
	check(!syscall(SYS_close_range, 101, 200, 0)); /* musl has no function for it */
	check_errno(destroy(101, 1), EBADF);
	check(ioas_alloc(201));
	check(!close(201) && !close(copies[0]));
}

static void test_errors(void)
{
	int fd = open_iommu();
	struct iommu_ioas_alloc *cmd = memory(4096);
	char buf[8];

	check_errno(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)8), EFAULT);
	check_errno(ioctl(fd, IOMMU_IOAS_ALLOC, NULL), EFAULT);
	check_errno(ioctl(fd, TCGETS, buf), ENOTTY);
	cmd->size = sizeof(*cmd);
	cmd->flags = 0;
	check(!mprotect(cmd, 4096, PROT_READ));
	check_errno(ioctl(fd, IOMMU_IOAS_ALLOC, cmd), EFAULT);
	check_errno(read(fd, buf, sizeof(buf)), EINVAL);
	check_errno(write(fd, buf, sizeof(buf)), EINVAL);
	check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENXIO);
	check(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL);
	check(mmap(NULL, 4096, PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	check_errno(open("/dev/iommu", O_RDWR | O_DIRECTORY), ENOTDIR);
	check_errno(open("/dev/vfio/devices/vfio1", O_RDWR), ENOENT);
	check(!close(fd));
}

static void test_device(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int fd = open_iommu(), device, second;
	uint32_t ioas = ioas_alloc(fd);

	second = open("/dev/vfio/devices/vfio0", O_RDWR);
	check_errno(ioctl(second, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	device = attach(fd, ioas);
	bind.iommufd = fd;
	check_errno(ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL);
	check(!ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	check(info.num_regions == 0 && info.num_irqs == 0);
	check(!ioctl(device, VFIO_DEVICE_RESET));
	check_errno(destroy(fd, ioas), EBUSY);
	check(!ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	check(!destroy(fd, ioas));
	/* The device keeps the context. */
	check(!close(fd));
	check(!close(device));
	fd = open_iommu();
	bind.iommufd = fd;
	bind.flags = 1;
	check_errno(ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind), EINVAL);
	bind.flags = 0;
	bind.iommufd = STDIN_FILENO;
	check_errno(ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind), EBADFD);
	bind.iommufd = fd;
	check(!ioctl(second, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	check(!close(second) && !close(fd));
}

static void *map_many(void *arg)
{
	int fd = *(int *)arg;
	uint32_t ioas = ioas_alloc(fd);
	void *at = memory(64 * 4096);

	for (int i = 0; i < 500; i++) {
		int copy = dup(fd);

		check(!map(copy, ioas, at, 64 * 4096, (uint64_t)i << 20));
		check(unmap(fd, ioas, (uint64_t)i << 20, 64 * 4096) == 64);
		check(!close(copy));
	}
	check(!destroy(fd, ioas));
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[8];
	int fd = open_iommu();

	for (int i = 0; i < 8; i++)
		check(!pthread_create(&threads[i], NULL, map_many, &fd));
	for (int i = 0; i < 8; i++)
		check(!pthread_join(threads[i], NULL));
	check(!close(fd));
}

/* A number from 3 to 14, where what races can open and close each other's files. */
static int any_descriptor(unsigned int *seed)
{
	return 3 + rand_r(seed) % 12;
}

static void close_if_high(int fd)
{
	if (fd > 14)
		close(fd);
}

static void fork_and_die(int fd, unsigned int *seed)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	pid_t child = fork();

	if (!child) {
		ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);
		if (rand_r(seed) % 2)
			_exit(0);
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
}

static void *race(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	void *at = memory(M);

	for (int i = 0; i < 2000; i++) {
		int fd = any_descriptor(&seed);

		switch (rand_r(&seed) % 8) {
		case 0:
			close_if_high(open("/dev/iommu", O_RDWR | O_CLOEXEC));
			break;
		case 1:
			close(fd);
			break;
		case 2:
			close_if_high(dup(fd));
			break;
		case 3:
			dup2(fd, any_descriptor(&seed));
			break;
		case 4:
			if (rand_r(&seed) % 20 == 0)
				fork_and_die(fd, &seed);
			break;
		case 5:
			ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);
			break;
		case 6:
			map(fd, 1, at, 4096, (uint64_t)(rand_r(&seed) % 64) << 16);
			break;
		default:
			unmap(fd, 1, 0, UINT64_MAX);
		}
	}
	return NULL;
}

static void test_races(void)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		check(!pthread_create(&threads[i], NULL, race, (void *)(i + 1)));
	for (int i = 0; i < 4; i++)
		check(!pthread_join(threads[i], NULL));
	for (int fd = 3; fd <= 14; fd++)
		close(fd);
}

static void test_fork(void)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	char *at = memory(M);
	pid_t child = fork();

	if (!child) {
		check(!map(fd, ioas, at, M, 0x10000000));
		check(ioas_alloc(fd) == ioas + 1);
		check(!close(fd));
		check_errno(destroy(fd, ioas), EBADF);
		_exit(0);
	}
	wait_for(child, 0);
	/* It is the same open file: what the child made is here. */
	check_errno(map(fd, ioas, at, M, 0x10000000), EEXIST);
	check(!destroy(fd, ioas + 1));
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	check(!kill(child, SIGKILL));
	wait_for(child, SIGKILL);
	check(unmap(fd, ioas, 0x10000000, M) == 256);
	/* The last close, although the child has not closed its own. */
	check(!close(fd));
}

/* The parent goes, the child goes on. */
static void test_daemon(void)
{
	int fd = open_iommu(), result[2];
	uint32_t ioas = ioas_alloc(fd);
	char byte = 0;

	check(!pipe(result));
	if (!fork()) {
		if (!fork()) {
			usleep(50000);
			check(!map(fd, ioas, memory(M), M, 0));
			check(write(result[1], "y", 1) == 1);
			_exit(0);
		}
		_exit(0);
	}
	check(!close(fd));
	check(!close(result[1]));
	check(read(result[0], &byte, 1) == 1 && byte == 'y');
}

static void test_vfork(void)
{
	int fd = open_iommu();
	pid_t child = vfork();

	if (!child) {
		close(fd);
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	wait_for(child, 0);
	check(ioas_alloc(fd));
	check(!close(fd));
}

/* The open file goes on as another program, with what was mapped through it. */
static void test_exec(void)
{
	int fd = open("/dev/iommu", O_RDWR);
	char number[16];
	uint32_t ioas;

	check(fd >= 0);
	check_errno(execl("/nonexistent", "x", (char *)NULL), ENOENT);
	ioas = ioas_alloc(fd);
	check(!map(fd, ioas, memory(M), M, 0x10000000));
	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "run-program", "exec-after", number, (char *)NULL);
	check(false);
}

static void exec_after(int fd)
{
	void *at = memory(M);

	check_errno(map(fd, 1, at, M, 0x10000000), EEXIST);
	check(!map(fd, 1, at, M, 0x20000000));
	check(unmap(fd, 1, 0, SIZE_MAX) == 512);
	check(ioas_alloc(fd) == 2);
	check(!close(fd));
	check_errno(destroy(fd, 2), EBADF);
}

static void test_exec_cloexec(void)
{
	open_iommu();
	execlp("true", "true", (char *)NULL);
	check(false);
}

static void test_paths(void)
{
	struct stat st, fst;
	FILE *stream;
	int fd;

	check(!access("/dev/iommu", R_OK | W_OK));
	check_errno(access("/dev/iommu", X_OK), EACCES);
	check(!stat("/dev/iommu", &st) && S_ISCHR(st.st_mode));
	fd = openat(AT_FDCWD, "/dev/iommu", O_RDWR);
	check(fd >= 0 && !fstat(fd, &fst) && fst.st_rdev == st.st_rdev && S_ISCHR(fst.st_mode));
	check(!close(fd));
	check(!stat("/dev/vfio/devices/vfio0", &st) && S_ISCHR(st.st_mode));
	check_errno(stat("/dev/vfio/devices/vfio00", &st), ENOENT);
	check_errno(stat("/dev/iommu0", &st), ENOENT);
	stream = fopen("/dev/iommu", "r+");
	check(stream && ioas_alloc(fileno(stream)));
	fd = fileno(stream);
	check(!fclose(stream));
	check_errno(destroy(fd, 1), EBADF);
}

static void test_poll(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	int fd = open_iommu();
	struct pollfd polled[2];
	char buf[4096];
	fd_set readable;
	struct timeval now = {0, 0};

	check(!ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	check(fcntl((int)cmd.out_fault_fd, F_GETFD) == FD_CLOEXEC);
	polled[0] = (struct pollfd){(int)cmd.out_fault_fd, POLLIN, 0};
	polled[1] = (struct pollfd){(int)cmd.out_fault_fd, POLLOUT, 0};
	check(poll(polled, 1, 0) == 0);
	check(poll(polled + 1, 1, 0) == 1 && polled[1].revents == POLLOUT);
	FD_ZERO(&readable);
	FD_SET((int)cmd.out_fault_fd, &readable);
	check(select((int)cmd.out_fault_fd + 1, &readable, NULL, NULL, &now) == 0);
	check(read((int)cmd.out_fault_fd, buf, sizeof(struct iommu_hwpt_pgfault) * 2) == 0);
	check_errno(destroy(fd, cmd.out_fault_id), EBUSY);
	check(!close((int)cmd.out_fault_fd));
	check(!destroy(fd, cmd.out_fault_id));
	check(!close(fd));
}

static void test_passing(void)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int fd = open_iommu(), pair[2], passed;
	uint32_t ioas = ioas_alloc(fd);

	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	check(sendmsg(pair[0], &message, 0) == 1);
	check(recvmsg(pair[1], &message, 0) == 1);
	memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(passed));
	check(passed != fd && !destroy(passed, ioas));
	check(!close(fd) && ioas_alloc(passed) && !close(passed));
}

/* Map until the budget is used up; what was mapped before must still be there. */
static void test_budget(void)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	char *at = memory(4096);
	uint64_t n = 0;

	attach(fd, ioas);
	while (!map(fd, ioas, at, 4096, n << 30))
		n++;
	check(errno == ENOMEM && n > 3);
	check_errno(map(fd, ioas, at, 4096, n << 30), ENOMEM);
	/* To be told so takes memory, too. */
	n--;
	check(unmap(fd, ioas, n << 30, 4096) == 1);
	for (uint64_t i = 0; i < n; i++)
		check_errno(map(fd, ioas, at, 4096, i << 30), EEXIST);
	for (uint64_t i = 0; i < n; i++)
		check(unmap(fd, ioas, i << 30, 4096) == 1);
	check(!map(fd, ioas, at, 4096, n << 30));
	check(unmap(fd, ioas, n << 30, 4096) == 1);
	printf("%d\n", (int)n);
}

static void test_munmap(void)
{
	int fd = open_iommu(), device;
	uint32_t ioas = ioas_alloc(fd);
	char *at = memory(4 * M), *other = memory(M);

	device = attach(fd, ioas);
	check(!map(fd, ioas, at, 4 * M, 0x40000000));
	check(!munmap(other, M));
	check(!munmap(at + M, 2 * M));
	check(!close(device));
	check(!close(fd));
	check(!munmap(at, M));
}

/* Opens until one fails, then once more. */
static void test_fail(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	check(fd == -1 && errno == ENOMEM);
	check(!close(open_iommu()));
}

static void test_nothing(void)
{
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"basic", test_basic},
	{"detach", test_detach},
	{"leak", test_leak},
	{"killed", test_killed},
	{"crash", test_crash},
	{"descriptors", test_descriptors},
	{"errors", test_errors},
	{"device", test_device},
	{"threads", test_threads},
	{"races", test_races},
	{"fork", test_fork},
	{"daemon", test_daemon},
	{"vfork", test_vfork},
	{"exec", test_exec},
	{"exec-cloexec", test_exec_cloexec},
	{"paths", test_paths},
	{"poll", test_poll},
	{"passing", test_passing},
	{"budget", test_budget},
	{"munmap", test_munmap},
	{"signals", test_signals},
	{"handler", test_handler},
	{"relatives", test_relatives},
	{"fail", test_fail},
	{"nothing", test_nothing},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "exec-after")) {
		exec_after(atoi(argv[2]));
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	printf("no such test\n");
	return 1;
}
