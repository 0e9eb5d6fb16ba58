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

static void answer_all(int listener)
{
	union {
		struct seccomp_notif notif;
		char room[512];
	} next;

	while (!is_over(listener)) {
		struct seccomp_notif_resp response = {0};

		memset(&next, 0, sizeof(next));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &next.notif))
			continue;
		response.id = next.notif.id;
		if (next.notif.data.nr == SYS_ioctl)
			response.error = -ENODEV;
		else
			response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
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
	answer_all(listener);
	_exit(0);
}

int fallback_start(pid_t *pid)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (!*pid)
		wait_for_end(sockets[1]);
	close(sockets[1]);
	return sockets[0];
}
