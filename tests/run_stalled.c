/* SPDX-License-Identifier: MIT */
/*
 * What tests/run_stalled.py runs under `uiommu run`: an IOAS_MAP that waits for a page
 * for as long as the test wants, since the page is userfaultfd's to give. That it waits
 * is known by the event of that page's fault, and not by time.
 *
 * The first argument says which part. Status 77: the system has no userfaultfd for it.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run_program.h"

/* So few that each is asked for. */
#define SIZE (32 * 4096ul)

/* Memory that is not there, and the descriptor that gives it. */
struct missing {
	int fd;
	void *at;
};

static struct missing missing_memory(void)
{
	struct missing missing = {.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC)};
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	if (missing.fd < 0)
		exit(77);
	check(!ioctl(missing.fd, UFFDIO_API, &api));
	missing.at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(missing.at != MAP_FAILED);
	range.range.start = (uintptr_t)missing.at;
	range.range.len = SIZE;
	check(!ioctl(missing.fd, UFFDIO_REGISTER, &range));
	return missing;
}

static void wait_for_fault(const struct missing *missing)
{
	struct uffd_msg message;

	check(read(missing->fd, &message, sizeof(message)) == sizeof(message));
	check(message.event == UFFD_EVENT_PAGEFAULT);
}

static void give_pages(const struct missing *missing)
{
	struct uffdio_zeropage zero = {.range = {(uintptr_t)missing->at, SIZE}};

	check(!ioctl(missing->fd, UFFDIO_ZEROPAGE, &zero));
}

/* A map of an IOAS that has a domain needs the pages. Not vfio0, which others use. */
static uint32_t ioas_with_domain(int fd)
{
	static unsigned int number;
	uint32_t ioas = ioas_alloc(fd);
	char path[48];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", ++number);
	attach_device(fd, ioas, path);
	return ioas;
}

/* ---- a thread in a call ---- */

struct stalled {
	pthread_t thread;
	struct missing missing;
	int fd;
	uint32_t ioas;
	int result;
	bool done;
};

static void *map_missing(void *arg)
{
	struct stalled *s = arg;

	s->result = map(s->fd, s->ioas, s->missing.at, SIZE, M);
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void stall(struct stalled *s)
{
	*s = (struct stalled){.missing = missing_memory(), .fd = open_iommu()};
	s->ioas = ioas_with_domain(s->fd);
	check(!pthread_create(&s->thread, NULL, map_missing, s));
	wait_for_fault(&s->missing);
}

static bool is_stalled(const struct stalled *s)
{
	return !__atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
}

static void end_stall(struct stalled *s, bool was_stalled)
{
	check(was_stalled);
	give_pages(&s->missing);
	check(!pthread_join(s->thread, NULL));
	check(!s->result);
}

/* All that a program does with files of its own. */
static void use(void *at)
{
	for (int i = 0; i < 20; i++) {
		int fd = open_iommu(), device, copy;
		uint32_t ioas = ioas_alloc(fd);

		device = attach(fd, ioas);
		check(!map(fd, ioas, at, M, M));
		copy = dup(fd);
		check(copy >= 0 && !close(fd));
		check(unmap(copy, ioas, M, M) == 256);
		check(!close(copy) && !close(device));
		check_errno(close(fd), EBADF);
	}
}

static void test_thread(void)
{
	struct stalled s;

	stall(&s);
	use(memory(M));
	end_stall(&s, is_stalled(&s));
	check(unmap(s.fd, s.ioas, M, SIZE) == SIZE >> 12);
	check(!close(s.fd));
}

/* Its file is open until the call ends, and then no more. */
static void test_close(void)
{
	void *at = memory(M);
	struct stalled s;
	int other;

	stall(&s);
	check(!close(s.fd));
	check_errno(ioctl(s.fd, IOMMU_IOAS_ALLOC, at), EBADF);
	use(at);
	other = open_iommu();
	check(ioas_alloc(other) == 1);
	end_stall(&s, is_stalled(&s));
	use(at);
	check(!close(other));
}

static void test_many(void)
{
	void *at = memory(M);
	struct stalled s[20];

	for (int i = 0; i < 20; i++)
		stall(&s[i]);
	use(at);
	for (int i = 0; i < 20; i++)
		end_stall(&s[i], is_stalled(&s[i]));
	use(at);
}

/* ---- another process in a call ---- */

static void send_fd(int to, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.room = {0}};
	struct iovec iov = {"", 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	check(sendmsg(to, &message, 0) == 1);
}

static int receive_fd(int from)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd;

	check(recvmsg(from, &message, 0) == 1);
	check(CMSG_FIRSTHDR(&message));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* A child in a call on @fd, or on a file of its own; here is who gives the pages. */
static pid_t stall_child(int fd, uint32_t ioas, struct missing *missing)
{
	int sockets[2];
	pid_t pid;

	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		*missing = missing_memory();
		if (fd < 0) {
			fd = open_iommu();
			ioas = ioas_with_domain(fd);
		}
		send_fd(sockets[1], missing->fd);
		check(write(sockets[1], &missing->at, sizeof(missing->at)) > 0);
		close(missing->fd);
		_exit(map(fd, ioas, missing->at, SIZE, M) ? 1 : 0);
	}
	missing->fd = receive_fd(sockets[0]);
	check(read(sockets[0], &missing->at, sizeof(missing->at)) == sizeof(missing->at));
	close(sockets[0]);
	close(sockets[1]);
	wait_for_fault(missing);
	return pid;
}

static void test_process(void)
{
	struct missing missing;
	pid_t pid = stall_child(-1, 0, &missing);
	void *at = memory(M);

	use(at);
	check(!waitpid(pid, NULL, WNOHANG));
	give_pages(&missing);
	wait_for(pid, 0);
	use(at);
}

/* It goes at once, and what it was in goes on without it. */
static void test_kill(void)
{
	struct missing missing;
	pid_t pid = stall_child(-1, 0, &missing);
	void *at = memory(M);

	check(!kill(pid, SIGKILL));
	wait_for(pid, SIGKILL);
	use(at);
	wait_for(fork() ?: (use(at), _exit(0), 0), 0);
	check(!close(missing.fd));
	use(at);
}

/* ---- for as long as they live ---- */

static void __attribute__((noreturn)) say_and_stay(void)
{
	check(printf("stalled\n") > 0 && !fflush(stdout));
	for (;;)
		pause();
}

static void test_ignore(void)
{
	struct missing missing;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	stall_child(-1, 0, &missing);
	say_and_stay();
}

static void test_stop(void)
{
	struct missing missing;
	pid_t pid = stall_child(-1, 0, &missing);

	check(!kill(pid, SIGSTOP));
	check(printf("stalled\n") > 0 && !fflush(stdout));
	raise(SIGSTOP);
}

/* The opener of the file is killed in the middle of another's call on it. */
static void test_orphan(void)
{
	int fd, ready[2];
	pid_t opener;
	char byte;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	check(!pipe(ready));
	opener = fork();
	if (!opener) {
		struct missing missing;

		fd = open_iommu();
		stall_child(fd, ioas_with_domain(fd), &missing);
		/* One more has the pages' descriptor, and lives. */
		if (!fork()) {
			check(write(ready[1], "y", 1) == 1);
			for (;;)
				pause();
		}
		for (;;)
			pause();
	}
	check(read(ready[0], &byte, 1) == 1);
	check(!kill(opener, SIGKILL));
	wait_for(opener, SIGKILL);
	use(memory(M));
	say_and_stay();
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"thread", test_thread},   {"close", test_close},   {"many", test_many},
	{"process", test_process}, {"kill", test_kill},     {"ignore", test_ignore},
	{"stop", test_stop},       {"orphan", test_orphan},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	printf("no such test\n");
	return 1;
}
