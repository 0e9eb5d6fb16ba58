/* SPDX-License-Identifier: MIT */
/*
 * What tests/run_kinds.py runs under `uiommu run`: programs that start others, that
 * limit themselves, and that reach the files in unusual ways. The first argument says
 * which part; it exits with 0, or prints what was not as on Linux and exits with 1.
 */
#include <dirent.h>
#include <linux/close_range.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#endif

#include "run_program.h"
#include "run_sandbox.h"

extern char **environ;

/* An open file that does not close with an exec. */
static int open_inherited(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	check(fd >= 0);
	return fd;
}

/* ---- without a C library ---- */

static void test_raw(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map request = {.size = sizeof(request),
					 .flags = IOMMU_IOAS_MAP_READABLE |
						  IOMMU_IOAS_MAP_FIXED_IOVA,
					 .length = 4096};
	long fd = syscall(SYS_openat, AT_FDCWD, "/dev/iommu", O_RDWR, 0), copy;

	check(fd >= 0);
	check(!syscall(SYS_ioctl, fd, IOMMU_IOAS_ALLOC, &alloc));
	request.ioas_id = alloc.out_ioas_id;
	request.user_va = (uintptr_t)memory(4096);
	check(!syscall(SYS_ioctl, fd, IOMMU_IOAS_MAP, &request));
	check_errno(syscall(SYS_ioctl, fd, IOMMU_IOAS_MAP, &request), EEXIST);
	check_errno(syscall(SYS_read, fd, &request, 8), EINVAL);
	copy = syscall(SYS_dup, fd);
	check(copy >= 0 && !syscall(SYS_close, fd));
	check(!syscall(SYS_ioctl, copy, IOMMU_IOAS_ALLOC, &alloc));
	check(!syscall(SYS_close, copy));
	syscall(SYS_exit_group, 0);
}

/* ---- programs that start others ---- */

/* As another program: the file is open under this number. */
static void use_inherited(int fd)
{
	check(ioas_alloc(fd) == 2);
	check(!destroy(fd, 1));
	check(!close(fd));
}

static void test_spawn(void)
{
	char *argv[] = {"run-kinds", "inherited", "3", NULL};
	posix_spawn_file_actions_t actions;
	int fd = fcntl(open_inherited(), F_DUPFD_CLOEXEC, 20);
	pid_t pid;

	check(ioas_alloc(fd) == 1);
	check(!posix_spawn_file_actions_init(&actions));
	check(!posix_spawn_file_actions_adddup2(&actions, fd, 3));
	check(!posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ));
	wait_for(pid, 0);
	check_errno(destroy(fd, 1), ENOENT);
	check(!destroy(fd, 2));
}

static void test_shell(void)
{
	int fd = dup2(open_inherited(), 5);
	char command[512], own[256];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	check(fd == 5 && length > 0 && ioas_alloc(fd) == 1);
	own[length] = '\0';
	snprintf(command, sizeof(command),
		 "test -c /dev/iommu && exec 6<&5 5<&- && exec '%s' inherited 6", own);
	check(!system(command));
	check(!destroy(fd, 2));
}

static void test_clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	int fd = open_iommu(), made;
	long child = syscall(SYS_clone3, &args, sizeof(args));

	if (!child) {
		check(ioas_alloc(fd) == 1);
		_exit(0);
	}
	wait_for((pid_t)child, 0);
	check(!destroy(fd, 1));
	/* One that has the descriptors in common with us, but not the memory. */
	args.flags = CLONE_FILES;
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (!child) {
		made = open_iommu();
		check(made == dup2(made, made) && ioas_alloc(made) == 1);
		check(dup2(made, 30) == 30 && !close(fd));
		_exit(0);
	}
	wait_for((pid_t)child, 0);
	check_errno(destroy(fd, 1), EBADF);
	check(!destroy(30, 1));
}

/* Twice forked, in a session of its own, with the root as its directory. */
static void test_daemon(void)
{
	int fd = open_iommu(), result[2];
	char byte = 0;

	check(ioas_alloc(fd) == 1 && !pipe(result));
	if (!fork()) {
		check(setsid() > 0);
		if (fork())
			_exit(0);
		check(!chdir("/") && !close(result[0]));
		while (getppid() == getsid(0))
			usleep(1000);
		check(!map(fd, 1, memory(M), M, 0) && open_iommu() >= 0);
		check(write(result[1], "y", 1) == 1);
		_exit(0);
	}
	check(!close(result[1]));
	check(read(result[0], &byte, 1) == 1 && byte == 'y');
	check(unmap(fd, 1, 0, M) == 256);
}

/* ---- two programs and a socket ---- */

static union {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
} control;

static int socket_at(const char *path, struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	check(fd >= 0);
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	return fd;
}

static struct msghdr *message(void)
{
	static char byte = 'x';
	static struct iovec iov = {&byte, 1};
	static struct msghdr one = {.msg_iov = &iov, .msg_iovlen = 1};

	one.msg_control = &control;
	one.msg_controllen = sizeof(control);
	return &one;
}

/* Send the file, and end. */
static void send_file(const char *path)
{
	struct msghdr *m = message();
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct sockaddr_un address = {0};
	int fd = open_iommu(), to = socket_at(path, &address);

	check(ioas_alloc(fd) == 1 && !map(fd, 1, memory(M), M, 0));
	while (connect(to, (struct sockaddr *)&address, sizeof(address)))
		usleep(1000);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fd)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	check(sendmsg(to, m, 0) == 1);
}

/* Receive it, and use it when the other has ended. */
static void receive_file(const char *path)
{
	struct msghdr *m = message();
	struct sockaddr_un address = {0};
	int at = socket_at(path, &address), from, fd;
	char byte;

	check(!bind(at, (struct sockaddr *)&address, sizeof(address)) && !listen(at, 1));
	from = accept(at, NULL, NULL);
	check(from >= 0 && recvmsg(from, m, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof(fd));
	check(read(from, &byte, 1) == 0);
	check_errno(map(fd, 1, memory(M), M, 0), EEXIST);
	check(!map(fd, 1, memory(M), M, M));
	check(unmap(fd, 1, 0, SIZE_MAX) == 512);
	check(!destroy(fd, 1) && ioas_alloc(fd) == 1 && !close(fd));
}

/* ---- numbers ---- */

static void test_numbers(void)
{
	int fd = open_iommu(), high;

	check(ioas_alloc(fd) == 1);
	check(dup2(fd, 0) == 0 && dup3(fd, 3, O_CLOEXEC) == 3);
	check(ioas_alloc(0) == 2 && !destroy(3, 2));
	check(fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(0, F_GETFD) == 0);
	high = fcntl(0, F_DUPFD, 50);
	check(high == 50 && !close(high));
	high = fcntl(0, F_DUPFD_CLOEXEC, 3);
	check(high >= 3 && fcntl(high, F_GETFD) == FD_CLOEXEC && !destroy(high, 1));
	check(ioas_alloc(fd) == 1);
	/* Marked, and still open; then all of them are gone. */
	check(!syscall(SYS_close_range, 0, 2000, CLOSE_RANGE_CLOEXEC));
	check(fcntl(0, F_GETFD) == FD_CLOEXEC && !destroy(0, 1));
	check(!syscall(SYS_close_range, 3, ~0u, 0));
	check_errno(destroy(fd, 1), EBADF);
	check(ioas_alloc(0) == 1 && !close(0));
	check_errno(destroy(0, 1), EBADF);
	check(open("/dev/null", O_RDWR) == 0);
}

/* ---- links in /proc ---- */

static void test_proc(void)
{
	int fd = open_iommu(), again;
	char path[64], target[64];
	struct stat st;

	check(ioas_alloc(fd) == 1);
	for (int i = 0; i < 4; i++) {
		const char *const format[] = {"/proc/self/fd/%d", "/dev/fd/%d",
					      "/proc/thread-self/fd/%d", "/proc//self/./fd/%d"};
		ssize_t length;

		snprintf(path, sizeof(path), format[i], fd);
		length = readlink(path, target, sizeof(target));
		check(length == 10 && !memcmp(target, "/dev/iommu", 10));
		check(!stat(path, &st) && S_ISCHR(st.st_mode) && !lstat(path, &st) &&
		      S_ISLNK(st.st_mode));
		/* Another file of the same device, with objects of its own. */
		again = open(path, O_RDWR);
		check(again >= 0 && ioas_alloc(again) == 1 && !close(again));
		check_errno(open(path, O_RDWR | O_NOFOLLOW), ELOOP);
	}
	check(!destroy(fd, 1));
}

/* ---- ways to open ---- */

static void test_opens(void)
{
	static const char *const names[] = {"/dev/iommu",        "//dev/iommu",
					    "/dev//iommu",       "/dev/./iommu",
					    "/dev/../dev/iommu", "/proc/self/root/dev/iommu"};
	struct open_how how = {.flags = O_RDWR | O_CLOEXEC};
	int directory = open("/dev", O_RDONLY | O_DIRECTORY), fd;
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fd = open(names[i], O_RDWR);
		check(fd >= 0 && ioas_alloc(fd) == 1 && !close(fd));
	}
	fd = openat(directory, "iommu", O_RDWR);
	check(fd >= 0 && ioas_alloc(fd) == 1 && !close(fd));
	fd = openat(directory, "./vfio/devices/../devices/vfio0", O_RDWR);
	check(fd >= 0 && !close(fd));
	check_errno(open("/dev/iommu/", O_RDWR), ENOTDIR);
	check_errno(open("/dev/iommu/x", O_RDWR), ENOTDIR);
	check_errno(open("/dev/vfio/devices/x", O_RDWR), ENOENT);
	check_errno(open("/dev/vfio", O_RDWR), EISDIR);
	fd = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/iommu", &how, sizeof(how));
	check(fd >= 0 && ioas_alloc(fd) == 1 && fcntl(fd, F_GETFD) == FD_CLOEXEC && !close(fd));
	how.resolve = RESOLVE_BENEATH;
	fd = (int)syscall(SYS_openat2, directory, "iommu", &how, sizeof(how));
	check(fd >= 0 && ioas_alloc(fd) == 1 && !close(fd));
	check_errno(syscall(SYS_openat2, directory, "/dev/iommu", &how, sizeof(how)), EXDEV);
	check_errno(syscall(SYS_openat2, directory, "../dev/iommu", &how, sizeof(how)), EXDEV);
	fd = open("/dev/iommu", O_PATH | O_CLOEXEC);
	check(fd >= 0 && !fstatat(fd, "", &st, AT_EMPTY_PATH) && S_ISCHR(st.st_mode));
	check(!fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 125));
	check_errno(destroy(fd, 1), EBADF);
	check(!close(fd));
}

static void test_statx(void)
{
	struct statx stx;
	struct stat st;
	int fd = open_iommu();

	check(!stat("/dev/iommu", &st));
	check(!syscall(SYS_statx, AT_FDCWD, "/dev/iommu", 0, STATX_BASIC_STATS, &stx));
	check(stx.stx_ino == st.st_ino && stx.stx_mode == st.st_mode);
	check(!syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx));
	check(S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == 10 && stx.stx_rdev_minor == 125);
	check(stx.stx_ino == st.st_ino && stx.stx_uid == getuid());
	check_errno(syscall(SYS_statx, AT_FDCWD, "/dev/iommux", 0, STATX_BASIC_STATS, &stx),
		    ENOENT);
}

static void test_listing(void)
{
	const struct dirent *entry;
	DIR *directory = opendir("/dev/vfio");
	bool found = false;
	int fd;

	check(directory);
	while ((entry = readdir(directory)) != NULL)
		found |= !strcmp(entry->d_name, "devices") && entry->d_type == DT_DIR;
	check(found);
	/* From where it is, by its descriptor, and back to the machine's own. */
	fd = openat(dirfd(directory), "devices/vfio0", O_RDWR);
	check(fd >= 0 && !close(fd));
	fd = openat(dirfd(directory), "../iommu", O_RDWR);
	check(fd >= 0 && ioas_alloc(fd) == 1 && !close(fd));
	fd = openat(dirfd(directory), "../null", O_WRONLY);
	check(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd));
	check(!faccessat(dirfd(directory), "../../dev/null", R_OK, 0));
	check(!closedir(directory));
	check(!access("/dev/vfio/../null", W_OK));
	fd = open("/dev/vfio/../null", O_WRONLY);
	check(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd));
	check_errno(open("/dev/vfio/../no-such-device", O_RDWR), ENOENT);
}

/* ---- epoll ---- */

static void test_epoll(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct epoll_event event = {.events = EPOLLIN};
	int fd = open_iommu(), set = epoll_create1(EPOLL_CLOEXEC);

	check(!ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	check_errno(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), EPERM);
	check(!epoll_ctl(set, EPOLL_CTL_ADD, (int)cmd.out_fault_fd, &event));
	check(epoll_wait(set, &event, 1, 0) == 0);
	event.events = EPOLLOUT | EPOLLIN;
	check(!epoll_ctl(set, EPOLL_CTL_MOD, (int)cmd.out_fault_fd, &event));
	check(epoll_wait(set, &event, 1, -1) == 1 && event.events == EPOLLOUT);
	check(!close((int)cmd.out_fault_fd));
	check(epoll_wait(set, &event, 1, 0) == 0);
	check(!destroy(fd, cmd.out_fault_id));
}

/* ---- io_uring, which goes by every filter ---- */

static void test_uring(void)
{
	struct io_uring_params params = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	struct io_uring_sqe *sqe;
	const struct io_uring_cqe *cqe;
	unsigned char *rings;
	size_t size;

	if (ring < 0) {
		printf("io_uring: %s\n", strerror(errno));
		exit(77);
	}
	check(params.features & IORING_FEAT_SINGLE_MMAP);
	size = params.cq_off.cqes + params.cq_entries * sizeof(*cqe);
	if (size < params.sq_off.array + params.sq_entries * 4)
		size = params.sq_off.array + params.sq_entries * 4;
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	check(rings != MAP_FAILED && sqe != MAP_FAILED);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_OPENAT;
	sqe->fd = AT_FDCWD;
	sqe->addr = (uintptr_t) "/dev/iommu";
	sqe->open_flags = O_RDWR;
	__atomic_store_n((unsigned int *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	check(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	cqe = (const struct io_uring_cqe *)(rings + params.cq_off.cqes);
	/* What the machine has there: mostly nothing. */
	check(cqe->res >= 0 || cqe->res == -ENOENT || cqe->res == -EACCES || cqe->res == -EINVAL);
	check(ioas_alloc(open_iommu()) == 1);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"raw", test_raw},
	{"spawn", test_spawn},
	{"shell", test_shell},
	{"clone3", test_clone3},
	{"daemon", test_daemon},
	{"numbers", test_numbers},
	{"proc", test_proc},
	{"opens", test_opens},
	{"statx", test_statx},
	{"listing", test_listing},
	{"epoll", test_epoll},
	{"uring", test_uring},
	{"filter-kill", filter_kill},
	{"filter-errno", filter_errno},
	{"listener", test_listener},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "inherited"))
		use_inherited(atoi(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "send"))
		send_file(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "receive"))
		receive_file(argv[2]);
	else
		argc = argc == 2 ? 2 : 0;
	for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	return argc == 3 ? 0 : 1;
}
