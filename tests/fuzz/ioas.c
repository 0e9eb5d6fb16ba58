/* SPDX-License-Identifier: MIT */
/* IO address spaces: map, copy, unmap, ranges, options; with a device and an access. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {FORMS_IOAS};
static void (*const calls[])(struct fuzz_caller *caller) = {fuzz_call_device, fuzz_call_access,
							    NULL};

FUZZ_FAMILY(forms, .calls = calls);
