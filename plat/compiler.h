/* SPDX-License-Identifier: MIT */
#ifndef PLAT_COMPILER_H
#define PLAT_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from merging what was computed before with other paths. */
#define OPTIMIZER_HIDE_VAR(x) __asm__("" : "+r"(x))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define BIT_ULL(n) (1ULL << (n))

#define __hot      __attribute__((hot))
#define __cold     __attribute__((cold, noinline))
#define __noinline __attribute__((noinline))
#define __hidden   __attribute__((visibility("hidden"))) /* reached without the GOT */

#define __aligned_cache __attribute__((aligned(64)))

/* The error numbers, where no C library names them (asm-generic/errno-base.h). */
#if __STDC_HOSTED__
#include <errno.h>
#else
#define ENOENT     2
#define EIO        5
#define E2BIG      7
#define EAGAIN     11
#define ENOMEM     12
#define EACCES     13
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define ERANGE     34
#define EDEADLK    35
#define ENOSYS     38
#define EOPNOTSUPP 95
#define EADDRINUSE 98
#endif

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* Index of the highest and the lowest set bit; x is not 0. */
static inline unsigned int fls64_index(uint64_t x)
{
	return 63 - (unsigned int)__builtin_clzll(x);
}

static inline unsigned int ffs64_index(uint64_t x)
{
	return (unsigned int)__builtin_ctzll(x);
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
