/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the walkers share: the tables of a domain, as hardware is
 * told of them, and the library's arena as its memory.
 */
#ifndef TESTS_HW_H
#define TESTS_HW_H

#include <uiommu/mm.h>

#include "tests/common.h"

#include "hw/walk.h"
#include "mm/page.h"

/* Sanitized, or on an emulated processor, which is as slow. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || \
	__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define HW_SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define HW_SANITIZED
#endif
#endif

/* Physical memory is what is backed of the arena, which grows, and nothing else. */
static inline bool hw_read_arena(void *context, uint64_t paddr, void *to, size_t bytes)
{
	uint64_t first = virt_to_phys(arena.base);
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	if (paddr < first || paddr - first > stat.arena || bytes > stat.arena - (paddr - first))
		return false;
	memcpy(to, phys_to_virt(paddr), bytes);
	return true;
}

static const struct hw_memory hw_arena = {.read = hw_read_arena};

/* The walker for an engine's format, or NULL. */
static inline const struct hw_format *hw_format_of(const struct iommu_format *format)
{
	return hw_format_find(format->family);
}

/* What a device would be told of a domain's tables now. */
static inline struct hw_tables hw_tables_of(struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);
	const struct iommu_format *format = iommu_format_find(info.format);

	return (struct hw_tables){
		.format = hw_format_of(format),
		.memory = &hw_arena,
		.root = info.root,
		.address_width = info.address_width,
		.levels = strcmp(format->family, "amdv1") ? 0 : info.levels,
		.granule_lg2 = (unsigned int)__builtin_ctzll(format->granule),
	};
}

#endif
