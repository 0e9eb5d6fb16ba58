/* SPDX-License-Identifier: MIT */
/* IO address spaces: map, copy, unmap, ranges, options; with a device and an access. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {FORMS_IOAS};
static void (*const calls[])(struct fuzz_caller *caller) = {fuzz_call_device, fuzz_call_access,
							    NULL};

/* Something to copy, and a place for it. */
static void begin(struct fuzz *fuzz)
{
	assert_int_equal(rig_map(&fuzz->rig, MOCK_APERTURE_START, 0, 16 * PAGE), 0);
	rig_new_ioas(&fuzz->rig);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin);
