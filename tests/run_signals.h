/* SPDX-License-Identifier: MIT */
/* The part of run_program.c that is about signals. */
#ifndef TESTS_RUN_SIGNALS_H
#define TESTS_RUN_SIGNALS_H

static volatile int *volatile nowhere = (volatile int *)16;
static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

/* A program's own handlers for faults, set before and after. */
static void test_signals(void)
{
	struct sigaction old;
	int fd;

	signal(SIGSEGV, on_fault);
	fd = open_iommu();
	if (!sigsetjmp(back, 1)) {
		*nowhere = 1;
		check(false);
	}
	check(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == on_fault);
	check(signal(SIGBUS, on_fault) == SIG_DFL);
	check_errno(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)16), EFAULT);
	signal(SIGSEGV, SIG_DFL);
	check_errno(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)16), EFAULT);
	check(!close(fd));
}

static void test_leak(void);

static void test_crash(void)
{
	test_leak();
	*nowhere = 1;
}

static int exiting_fd;

static void exit_handler(int sig)
{
	close(exiting_fd);
	_exit(9);
}

/* A handler that closes and ends the process in the midst of whatever. */
static void test_handler(void)
{
	struct itimerval soon = {.it_value.tv_usec = 20000};
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	void *at = memory(4096);

	exiting_fd = dup(fd);
	signal(SIGALRM, exit_handler);
	check(!setitimer(ITIMER_REAL, &soon, NULL));
	for (;;) {
		check(!map(fd, ioas, at, 4096, 0));
		check(unmap(fd, ioas, 0, 4096) == 1);
		check(!close(dup(fd)));
	}
}

static void end_at_once(int sig)
{
	_exit(5);
}

/* A handler ends this process, most likely inside a long call. */
static void __attribute__((noreturn)) end_inside(unsigned int after_us)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	void *at = memory(8 << 20);

	attach(fd, ioas);
	signal(SIGALRM, end_at_once);
	ualarm(after_us, 0);
	for (;;) {
		for (uint64_t i = 0; i < 30; i++)
			check(!map(fd, ioas, at, 8 << 20, 0x10000000 + (i << 23)));
		check(unmap(fd, ioas, 0, SIZE_MAX) == 30 * 2048);
	}
}

/* Processes that forks made one family share locks: none may take one with it. */
static void test_relatives(void)
{
	for (unsigned int i = 0; i < 60; i++) {
		pid_t child = fork();

		if (!child)
			end_inside(1000 + 137 * i);
		wait_for(child, 5 << 8);
	}
	/* What they left is found by who opens next. */
	check(!close(open_iommu()));
}

#endif
