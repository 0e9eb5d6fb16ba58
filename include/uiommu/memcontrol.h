/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups: a tree of budgets that every table and object is charged to.
 * File names, texts and errors are those of cgroup v2
 * (Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files").
 */
#ifndef UIOMMU_MEMCONTROL_H
#define UIOMMU_MEMCONTROL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** struct mem_cgroup - One memory cgroup (opaque, reference counted). */
struct mem_cgroup;

/**
 * mem_cgroup_create() - Create a memory cgroup.
 * @parent: the cgroup to create it in, or NULL for the root of a new tree
 *
 * A charge to the new cgroup is a charge to each of its ancestors. It starts
 * with memory.max and memory.high at "max". A root made with @parent NULL may
 * be limited like any other (unlike the kernel's one global root).
 *
 * Context: May block. Any thread.
 * Return: the cgroup, with one reference that mem_cgroup_put() drops; NULL
 * when out of memory or when the tree would have more than 64 levels.
 */
struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent);

/**
 * mem_cgroup_get() - Take another reference to a memory cgroup.
 * @memcg: the cgroup, or NULL
 *
 * Context: Any.
 * Return: @memcg.
 */
struct mem_cgroup *mem_cgroup_get(struct mem_cgroup *memcg);

/**
 * mem_cgroup_put() - Drop a reference to a memory cgroup.
 * @memcg: the cgroup, or NULL
 *
 * The cgroup goes with its last reference. Charges and children hold
 * references of their own, so a cgroup that is dropped while something is
 * still charged to it lives on until that is freed. What threads hold in stock
 * is returned when nothing but charges refers to it.
 *
 * Context: Any.
 */
void mem_cgroup_put(struct mem_cgroup *memcg);

/**
 * mem_cgroup_set_active() - Choose the memory cgroup of the calling thread.
 * @memcg: the cgroup that __GFP_ACCOUNT allocations of this thread are charged
 *         to from now on, or NULL for none
 *
 * The thread holds a reference to its active cgroup; it is dropped by the next
 * call or at the thread's exit. As the kernel's set_active_memcg(), but the
 * setting outlives no thread.
 *
 * Context: May block (on a thread's first call into the library).
 * Return: the cgroup that was active before, without a reference: to restore
 * it later the caller must know that it still exists.
 */
struct mem_cgroup *mem_cgroup_set_active(struct mem_cgroup *memcg);

/**
 * mem_cgroup_active() - Tell the memory cgroup of the calling thread.
 *
 * Context: Any.
 * Return: the active cgroup, without a reference, or NULL.
 */
struct mem_cgroup *mem_cgroup_active(void);

/**
 * mem_cgroup_read() - Read one of a memory cgroup's files.
 * @memcg: the cgroup
 * @file: "memory.max", "memory.high", "memory.current", "memory.peak",
 *        "memory.events" or "memory.stat"
 * @buf: where the text goes; always NUL-terminated when @size is not 0
 * @size: bytes at @buf
 *
 * The text is what cgroup v2 shows: bytes in decimal, or "max"; for
 * memory.events the keys low, high, max, oom, oom_kill and oom_group_kill; for
 * memory.stat the keys kernel, sec_pagetables and slab, in bytes. Per-thread
 * stock is returned first, so a read with no call under way is exact.
 *
 * Events are counted in the cgroup whose limit was met and in each ancestor:
 * max for each charge that met memory.max, also if shrinkers then made it possible;
 * high for each charge that left the usage above memory.high. There is nothing
 * to kill, so low and the oom keys stay 0.
 *
 * memory.peak is exact for one thread. When several charge under a cgroup it
 * may be above the true peak by what the others had in stock, at most 2 MiB
 * each, and never above what was charged in all; it is never below.
 *
 * Context: Any; takes short spinlocks only.
 * Return: the length of the text, which was cut short if it is >= @size, as
 * with snprintf(); -ENOENT for a file that does not exist.
 */
int mem_cgroup_read(struct mem_cgroup *memcg, const char *file, char *buf, size_t size);

/**
 * mem_cgroup_write() - Write one of a memory cgroup's files.
 * @memcg: the cgroup
 * @file: "memory.max", "memory.high" or "memory.peak"
 * @text: "max", or a number of bytes with an optional suffix K, M, G, T, P or
 *        E (either case); white space around it is ignored. As in the kernel
 *        the number may be hexadecimal (0x) or octal (0). Rounded down to
 *        whole pages of 4096 bytes; 2^63 - 4096 and above is "max". Any text
 *        resets memory.peak to the usage.
 *
 * A memory.max or memory.high below the usage runs the shrinkers, then stands:
 * what is charged stays. Above memory.max the next charge fails; above
 * memory.high each charge that may block runs the shrinkers once.
 *
 * Context: May block (shrinkers).
 * Return: 0; -EINVAL when @text is none of these; -ENOENT for a file that does
 * not exist; -EACCES for one that is read-only.
 */
int mem_cgroup_write(struct mem_cgroup *memcg, const char *file, const char *text);

/**
 * mem_cgroup_usage() - Bytes charged to a memory cgroup and its descendants.
 * @memcg: the cgroup
 *
 * Context: Any; takes short spinlocks only. Exact when no call is under way.
 * Return: what memory.current shows, as a number.
 */
uint64_t mem_cgroup_usage(struct mem_cgroup *memcg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
