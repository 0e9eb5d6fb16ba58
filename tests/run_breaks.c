/* SPDX-License-Identifier: MIT */
/*
 * A program that tests/run_breaks.py runs under `uiommu run`: what a program may do with
 * its descriptors, threads and processes that no other test does. Only system calls; 0
 * and no word, or a line that says what is wrong; 77: the kernel lacks what it takes.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
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

static const struct {
	const char *name;
	void (*function)(void);
} tests[] = {
	{"replaced", test_replaced},
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
