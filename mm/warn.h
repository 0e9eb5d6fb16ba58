/* SPDX-License-Identifier: MIT */
/* Warnings about wrong use of the library, each printed once per process. */
#ifndef MM_WARN_H
#define MM_WARN_H

#include <stdatomic.h>
#include <stdint.h>

#include "plat/compiler.h"

/*
 * Print "@what @subject: @value" in one line, with @value in hexadecimal; print nothing
 * if *@said is set already (an int, since not every processor has atomics for bytes).
 * Never allocates. @subject may be NULL.
 */
void mm_warn_once(atomic_uint *said, const char *what, const char *subject, uintptr_t value) __cold;

#endif
