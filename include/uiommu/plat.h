/* SPDX-License-Identifier: MIT */
/*
 * What an embedder gives the library where there is no operating system. The
 * freestanding build only: it is single-threaded, and needs memcpy(), memmove(),
 * memset() and memcmp() to link, as every freestanding compiler does.
 */
#ifndef UIOMMU_PLAT_H
#define UIOMMU_PLAT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct uiommu_plat_ops - The embedder's side of the freestanding library.
 * @reserve: find address space of @size bytes at a multiple of 2 MiB; NULL when
 *           there is none. The library asks for its whole arena at once.
 * @unreserve: take such a range back, or NULL if that cannot be
 * @commit: put zeroed memory behind a part of a range; 0, or anything else when
 *          there is none. NULL if reserve() returns zeroed memory already.
 * @warn: show a line to the person in charge, without newline at its end; NULL
 *        to be silent
 * @panic: the same for a bug that the library cannot survive; must not return
 *
 * They are called in the midst of an allocation, and must not call the library.
 */
struct uiommu_plat_ops {
	void *(*reserve)(size_t size);
	void (*unreserve)(void *base, size_t size);
	int (*commit)(void *base, size_t size);
	void (*warn)(const char *line);
	void (*panic)(const char *line);
};

/**
 * uiommu_plat_set() - Hand the library its surroundings.
 * @ops: the callbacks; must outlive the library
 *
 * In the freestanding build only, where it must come before any other call.
 *
 * Context: Any.
 */
void uiommu_plat_set(const struct uiommu_plat_ops *ops);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
