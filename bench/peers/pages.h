/* SPDX-License-Identifier: MIT */
/*
 * The pages of the kernel's table code, from memory that exists and is in huge pages.
 * The page freed last is allocated first. This is less work than the kernel's allocator
 * does, without accounting, and therefore favours the peers.
 */
#ifndef BENCH_PEERS_PAGES_H
#define BENCH_PEERS_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define PAGES_SHIFT 12

/* One per page; what the kernel keeps in its own struct of that name. */
struct page;

extern char *pages_memory;
extern struct page *pages_structs;

/* @size bytes, a multiple of 2 MiB, of zeros that are backed by memory; never freed. */
void *huge_pages(size_t size);

void pages_init(void);
/* 2^@order pages, zeroed and aligned to their size; NULL when there are none left. */
void *pages_alloc(unsigned int order);
void pages_free(void *memory, unsigned int order);
uint64_t pages_bytes_used(void);

/* A WARN_ON() of the kernel's code was hit: the figures would be meaningless. */
void pages_warn(const char *file, int line) __attribute__((noreturn, cold));

#endif
