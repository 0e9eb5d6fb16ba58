/* SPDX-License-Identifier: MIT */
/*
 * The benchmark's interface to table code, the kernel's and ours: how to make a domain
 * and to change it. Each object file with such code puts a pointer to it into the
 * section `peers`, so that all of them may be linked into one program.
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#include <stddef.h>
#include <stdint.h>

/*
 * @map and @unmap process @count pages of @pgsize bytes. @unmap returns the bytes that
 * it unmapped, after the flush and with the tables freed. @lookup returns 0 for an
 * address that is not mapped.
 */
struct peer {
	const char *impl;  /* "linux-6.12/vtd", "uiommu/vtd" */
	const char *build; /* compiler and options */
	void *(*create)(const struct peer *peer);
	void (*destroy)(void *domain);
	int (*map)(void *domain, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count);
	size_t (*unmap)(void *domain, uint64_t iova, size_t pgsize, size_t count);
	uint64_t (*lookup)(void *domain, uint64_t iova);
	uint64_t (*table_bytes)(void *domain);
};

#define PEER(name, ...)                                                                         \
	static const struct peer name = {__VA_ARGS__};                                          \
	static const struct peer *const name##_listed __attribute__((section("peers"), used)) = \
		&name

#endif
