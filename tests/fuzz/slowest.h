/* SPDX-License-Identifier: MIT */
/*
 * An input that takes too long is a fault. libFuzzer's own limit counts what other work
 * on the machine takes as well, so it is only there for what never ends.
 */
#ifndef TESTS_FUZZ_SLOWEST_H
#define TESTS_FUZZ_SLOWEST_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLOWEST_SECONDS 25 /* of a processor, under sanitizers */

static inline time_t slowest_begin(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec;
}

static inline void slowest_end(time_t start)
{
	if (slowest_begin() - start <= SLOWEST_SECONDS)
		return;
	fprintf(stderr, "more than %d s of a processor for one input\n", SLOWEST_SECONDS);
	abort();
}

#endif
