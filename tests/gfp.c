// SPDX-License-Identifier: MIT
/*
 * What is reported about allocation contexts, how often, and with which caller.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mm/gfp.h"
#include "plat/compiler.h"
#include "tests/capture.h"

/* Stands for a public function: reports, and returns, where it was called. */
static __noinline void *public_function(gfp_t gfp)
{
	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	return __builtin_return_address(0);
}

static void test_atomic_sections(void **state)
{
	struct capture capture;
	char address[32];
	const char *text;

	capture_begin(&capture);
	public_function(GFP_KERNEL);
	iommu_atomic_enter();
	iommu_atomic_enter();
	public_function(GFP_ATOMIC);
	public_function(GFP_NOWAIT);
	iommu_atomic_exit();
	iommu_atomic_exit();
	public_function(GFP_KERNEL);
	text = capture_end(&capture);
	assert_string_equal(text, "");

	/* Sections nest: the outer one is still on. */
	iommu_atomic_enter();
	iommu_atomic_enter();
	iommu_atomic_exit();
	capture_begin(&capture);
	snprintf(address, sizeof(address), ": %p\n", public_function(GFP_KERNEL_ACCOUNT));
	public_function(GFP_KERNEL);
	text = capture_end(&capture);
	iommu_atomic_exit();
	assert_int_equal(capture_lines(text), 1);
	assert_non_null(strstr(text, "blocking gfp inside an atomic section"));
	assert_non_null(strstr(text, address));
}

static void test_exit_without_enter(void **state)
{
	struct capture capture;
	const char *text;

	capture_begin(&capture);
	iommu_atomic_exit();
	iommu_atomic_exit();
	text = capture_end(&capture);
	assert_int_equal(capture_lines(text), 1);
	assert_non_null(strstr(text, "iommu_atomic_exit() without enter"));
	assert_int_equal(mm_thread_self()->atomic_depth, 0);
}

static void test_refused(void **state)
{
	static const gfp_t fine[] = {GFP_KERNEL, GFP_KERNEL_ACCOUNT, GFP_ATOMIC,
				     GFP_NOWAIT | __GFP_NOWARN | __GFP_ZERO | __GFP_NORETRY};
	static const gfp_t refused[] = {__GFP_COMP, __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM};
	struct capture capture;
	const char *text;

	capture_begin(&capture);
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		assert_false(gfp_refused(fine[i]));
	assert_string_equal(capture_end(&capture), "");

	capture_begin(&capture);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		for (size_t k = 0; k < ARRAY_SIZE(fine); k++)
			assert_true(gfp_refused(fine[k] | refused[i]));
	text = capture_end(&capture);
	assert_int_equal(capture_lines(text), 1);
	assert_non_null(strstr(text, "refused gfp"));
	/* In hexadecimal: GFP_KERNEL | __GFP_COMP. */
	assert_non_null(strstr(text, ": 0x1e08\n"));
}

static void test_metadata(void **state)
{
	assert_int_equal(gfp_metadata(GFP_KERNEL_ACCOUNT | __GFP_ZERO | GFP_POLICY_MASK),
			 GFP_KERNEL);
	assert_int_equal(gfp_metadata(GFP_NOWAIT | __GFP_NOWARN | __GFP_NORETRY),
			 GFP_NOWAIT | __GFP_NOWARN | __GFP_NORETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_atomic_sections),
		cmocka_unit_test(test_exit_without_enter),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_metadata),
	};

	return cmocka_run_group_tests_name("gfp", tests, NULL, NULL);
}
