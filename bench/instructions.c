/* SPDX-License-Identifier: MIT */
/*
 * The hot paths, for instructions.py, which runs this under callgrind. counted() is
 * called twice per format and operation, for few calls and for many calls; the line
 * printed after it names the operation. The cost of a call is the difference.
 *
 * The operations are those of `make bench-peers`, charged to a memory cgroup two levels
 * deep. All tables exist before, except those of map_512x2m, which fills them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>

#include "bench/measure.h"

#define K4   4096ULL
#define M1   (1ULL << 20)
#define M2   (2ULL << 20)
#define G1   (1ULL << 30)
#define IOVA (4 * G1)
#define PA   (64 * G1 + K4)

#define MAP IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The call, and how often it is made; addresses are those of the first call, from IOVA on. */
struct operation {
	const char *name;
	uint64_t (*calls)(struct iommu_domain *domain, const struct operation *op, unsigned int nr);
	uint64_t at, paddr, size, stride;
	uint64_t before; /* bytes that are mapped there before */
	unsigned int few, many;
};

static uint64_t places[2048]; /* for lookups, in 64 MiB */

static uint64_t call_maps(struct iommu_domain *domain, const struct operation *op, unsigned int nr)
{
	uint64_t iova = IOVA + op->at, paddr = op->paddr, size = op->size, stride = op->stride;
	int error = 0;

	for (; nr; nr--, iova += stride, paddr += stride)
		error |= iommu_map(domain, iova, paddr, size, MAP);
	return !error;
}

static uint64_t call_unmaps(struct iommu_domain *domain, const struct operation *op,
			    unsigned int nr)
{
	uint64_t iova = IOVA + op->at, size = op->size, stride = op->stride, done = 0;

	for (; nr; nr--, iova += stride)
		done += iommu_unmap(domain, iova, size);
	return done;
}

static uint64_t call_lookups(struct iommu_domain *domain, const struct operation *op,
			     unsigned int nr)
{
	const uint64_t *place = places;
	uint64_t sum = 0;

	for (; nr; nr--)
		sum += iommu_iova_to_phys(domain, *place++);
	return sum;
}

/* callgrind counts the instructions in this function, by its name. */
static __attribute__((noinline)) bool counted(struct iommu_domain *domain,
					      const struct operation *op, unsigned int nr)
{
	return op->calls(domain, op, nr) != 0;
}

static const struct operation ops[] = {
	{"map_4k", call_maps, K4, PA + K4, K4, K4, 0, 64, 448},
	{"unmap_4k", call_unmaps, K4, PA + K4, K4, K4, 511 * K4, 64, 448},
	{"map_256x4k", call_maps, M1, PA + M1, M1, M2, 0, 64, 192},
	{"map_512x2m", call_maps, 8 * G1, PA - K4 + M2, G1, G1, 0, 64, 192},
	{"lookup", call_lookups, G1, PA, 0, 0, 64 * M1, 64, 1088},
};

static void map(struct iommu_domain *domain, uint64_t at, uint64_t size)
{
	if (iommu_map(domain, IOVA + at, PA + at, size, MAP))
		fail("cannot map");
}

/* A domain with page 0 of each leaf table mapped, and with the upper levels of the rest. */
static struct iommu_domain *prepare(const char *format, const struct operation *op)
{
	const struct iommu_domain_params params = {.format = format};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	if (IS_ERR(domain))
		fail("%s: no domain: error %ld", format, PTR_ERR(domain));
	for (uint64_t i = 0; i < 200; i++)
		map(domain, i * M2, K4);
	map(domain, 300 * G1, K4);
	if (op->before)
		map(domain, op->at, op->before);
	return domain;
}

static void count(const char *format, const struct operation *op, unsigned int nr)
{
	struct iommu_domain *domain = prepare(format, op);

	if (!counted(domain, op, nr))
		fail("%s: %s failed", format, op->name);
	printf("%s %s %u\n", format, op->name, nr);
	iommu_domain_free(domain);
}

int main(void)
{
	static const char *const formats[] = {"vtd", "x86_64", "amdv1", "arm64-s1", "riscv64"};
	struct mem_cgroup *parent = mem_cgroup_create(NULL), *cg = mem_cgroup_create(parent);

	mem_cgroup_write(parent, "memory.max", "16G");
	mem_cgroup_write(cg, "memory.max", "8G");
	mem_cgroup_set_active(cg);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		places[i] = IOVA + G1 + random_next() % (64 * M1);
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
			count(formats[f], &ops[i], ops[i].few);
			count(formats[f], &ops[i], ops[i].many);
		}
	}
	return 0;
}
