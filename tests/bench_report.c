// SPDX-License-Identifier: MIT
/* What `make bench` ends with: the exit status follows from what is due, and from rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/report.h"

#include <cmocka.h>

/* One process for each case: what was printed is counted for good. */
static bool ends_well(void (*report)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		fclose(stdout);
		report();
		_exit(report_aims_end() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

static void all_met(void)
{
	report_due("a", 1, 1);
	report_aim("b", 0, 2);
}

static void aim_missed(void)
{
	all_met();
	report_aim("c", 2.1, 2);
}

static void due_missed(void)
{
	report_due("a", 1.001, 1);
	all_met();
}

static void due_without_row(void)
{
	all_met();
	report_due("c", report_min("vtd", "nothing of this name"), 1);
}

static void aim_without_row(void)
{
	report_aim("c", 1 / report_get("vtd", "nothing of this name"), 1);
	all_met();
}

/* Neither a time of 0 nor a ratio of infinity is a figure of a row without samples. */
static void no_samples(void)
{
	report_row("vtd", "empty", MEMORY_NONE);
	report_due("c", report_min("vtd", "empty"), 1);
}

static void no_baseline(void)
{
	series_add(report_row("vtd", "row", MEMORY_NONE), 5);
	report_due("c", report_baseline_min("vtd", "row") / report_min("vtd", "row"), 1);
}

static void test_exit_status(void **state)
{
	assert_true(ends_well(all_met));
	assert_true(ends_well(aim_missed));
	assert_false(ends_well(due_missed));
	assert_false(ends_well(due_without_row));
	assert_false(ends_well(aim_without_row));
	assert_false(ends_well(no_samples));
	assert_false(ends_well(no_baseline));
}

static void test_rows(void **state)
{
	series_add(report_row("vtd", "row", MEMORY_NONE), 7);
	series_add(report_row("vtd", "row", MEMORY_NONE), 5);
	series_add(report_baseline("vtd", "row"), 4);
	report_value("vtd", "value", 0);
	assert_true(report_min("vtd", "row") == 5);
	assert_true(report_baseline_min("vtd", "row") == 4);
	assert_true(report_get("vtd", "value") == 0);
	assert_true(isnan(report_min("x86_64", "row")));
	assert_true(isnan(report_baseline_min("vtd", "value")));
	assert_true(isnan(report_get("vtd", "row")));
	assert_true(isnan(report_get("vtd", "valu")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
