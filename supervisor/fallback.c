/* SPDX-License-Identifier: MIT */
/*
 * A process that waits for the end of the supervisor. As long as a listener is open
 * the kernel asks it; once it is closed every call that the filter knows fails with
 * ENOSYS, an open of any file and an exit too. So when the supervisor is killed, or is
 * told to end while programs go on, this process answers in its place: as a machine
 * whose IOMMU is gone, where our files fail and everything else works.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

static bool is_over(int listener)
{
	struct pollfd polled = {.fd = listener};

	return poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR));
}

struct under_way *under_way;

static void answer(int listener, uint64_t id, int nr)
{
	struct seccomp_notif_resp response = {.id = id};

	if (nr == SYS_ioctl)
		response.error = -ENODEV;
	else
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/*
 * What the supervisor had received when it was killed. Of a call that it had no time
 * to write down only the id can be guessed: they are counted up.
 */
static void answer_received(int listener)
{
	uint64_t latest = atomic_load(&under_way->latest);

	for (unsigned int i = 0; i < ARRAY_SIZE(under_way->worker); i++)
		if (atomic_load(&under_way->worker[i].id))
			answer(listener, atomic_load(&under_way->worker[i].id),
			       atomic_load(&under_way->worker[i].nr));
	for (uint64_t id = latest - WORKERS_MAX; id != latest + 2 * WORKERS_MAX; id++)
		if (!ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id))
			answer(listener, id, -1);
}

static void answer_all(int listener)
{
	union {
		struct seccomp_notif notif;
		char room[512];
	} next;

	while (!is_over(listener)) {
		memset(&next, 0, sizeof(next));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &next.notif))
			continue;
		answer(listener, next.notif.id, next.notif.data.nr);
	}
}

static void __attribute__((noreturn)) wait_for_end(int socket)
{
	int null = open("/dev/null", O_RDWR), listener, ignored;
	char byte;

	prctl(PR_SET_NAME, "uiommu-fallback");
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (null >= 0)
		for (int fd = 0; fd <= STDERR_FILENO; fd++)
			dup2(null, fd);
	/* Nothing else of the supervisor is kept open by this process. */
	socket = dup2(socket, STDERR_FILENO + 1);
	closefrom(STDERR_FILENO + 2);
	if (chdir("/"))
		_exit(1);
	listener = receive_descriptor(socket, &ignored);
	if (listener < 0)
		_exit(0);
	while (read(socket, &byte, 1) < 0 && errno == EINTR)
		;
	answer_received(listener);
	answer_all(listener);
	_exit(0);
}

int fallback_start(pid_t *pid)
{
	int sockets[2];

	under_way = mmap(NULL, sizeof(*under_way), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (under_way == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (!*pid)
		wait_for_end(sockets[1]);
	close(sockets[1]);
	return sockets[0];
}
