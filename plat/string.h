/* SPDX-License-Identifier: MIT */
/*
 * The functions of <string.h> that compilers call by themselves. So they exist even
 * where there is no C library and no <string.h>.
 */
#ifndef PLAT_STRING_H
#define PLAT_STRING_H

#if __STDC_HOSTED__
#include <string.h>
#else
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#endif

#endif
