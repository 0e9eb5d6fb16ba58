/* SPDX-License-Identifier: MIT */
/*
 * Each sample of IOAS_MAP is followed by one of the engine only, which maps the same
 * layout in a domain of its own. The memory exists before.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/iommufd.h>

#include "bench/iommufd.h"
#include "bench/report.h"

#define K4      4096ULL
#define M2      (2ULL << 20)
#define G1      (1ULL << 30)
#define PAGES   (G1 / K4)
#define IOVA    (4 * G1)
#define AREAS   65536
#define CALLS   1000
#define SCATTER 0x9e3779b97f4a7c15ULL

#define PFN(entry) ((entry) & ((1ULL << 55) - 1))

#define IDENTITY      "IOAS_MAP 1G of 4K, identity, per page"
#define SCATTERED     "IOAS_MAP 1G of 4K, scattered, per page"
#define AUTO          "IOAS_MAP 1G of 4K, auto, per page"
#define HUGE_PAGES    "IOAS_MAP 1G of 2M, auto, per 2M"
#define NOTIFIED_TRIP "ioctl of a program, notified"
#define OPEN_TRIP     "open of another file"
#define OTHER_IOCTL   "ioctl of another file"
#define OTHER_READ    "read of another file"
#define OTHER_CLOSE   "close of no file"
#define AREA_BYTES    "bytes per area"

/* ---- a context with a device attached ---- */

static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	return 0;
}

static void detach_dev(struct iommu_domain *domain, struct iommu_device *dev)
{
}

struct machine {
	struct iommufd_ctx *ctx;
	struct iommu_device *dev;
	struct iommufd_device *idev;
	uint32_t ioas;
};

static int try_call(struct machine *m, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(m->ctx, cmd, arg);
}

static void call(struct machine *m, unsigned int cmd, void *arg)
{
	int ret = try_call(m, cmd, arg);

	if (ret)
		fail("ioctl %#x: error %d", cmd, ret);
}

static void open_machine(struct machine *m, enum iommufd_phys_mode phys, struct mem_cgroup *cg)
{
	struct iommufd_config config = {.format = "vtd", .phys = phys, .owner = cg};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	m->ctx = iommufd_ctx_create(&config);
	if (IS_ERR(m->ctx))
		fail("no context: error %ld", PTR_ERR(m->ctx));
	m->dev = NULL;
	call(m, IOMMU_IOAS_ALLOC, &alloc);
	m->ioas = alloc.out_ioas_id;
}

static void attach_machine(struct machine *m)
{
	static const struct iommu_device_ops hardware = {.attach_dev = attach_dev,
							 .detach_dev = detach_dev};
	static const struct iommufd_device_ops model;
	uint32_t id, pt_id = m->ioas;

	m->dev = iommu_device_register("bench", &hardware, NULL, NULL, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(m->dev))
		fail("no device: error %ld", PTR_ERR(m->dev));
	m->idev = iommufd_device_bind(m->ctx, m->dev, &model, NULL, &id);
	if (IS_ERR(m->idev) || iommufd_device_attach(m->idev, &pt_id))
		fail("the device cannot be attached");
}

static void close_machine(struct machine *m)
{
	if (m->dev)
		iommufd_device_unbind(m->idev);
	iommufd_ctx_destroy(m->ctx);
	if (m->dev)
		iommu_device_unregister(m->dev);
}

static void ioas_map(struct machine *m, uint64_t iova, const char *at, uint64_t length)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = m->ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	call(m, IOMMU_IOAS_MAP, &map);
}

static void ioas_unmap(struct machine *m, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = m->ioas, .iova = iova, .length = length};

	call(m, IOMMU_IOAS_UNMAP, &unmap);
}

/* ---- the engine only ---- */

struct layout {
	enum iommufd_phys_mode phys;
	bool huge;
	char *memory;      /* 1 GiB at a multiple of 2 MiB */
	uint64_t iova;     /* of its first byte */
	uint64_t *entries; /* of /proc/self/pagemap */
};

/*
 * Read once the entries that tell the frames: of each page, or of one page in each huge
 * page.
 */
static void read_frames(const struct layout *layout)
{
	const uint64_t step = layout->huge ? M2 / K4 : 1, nr = layout->huge ? 1 : 2048;
	const off_t first = (off_t)((uintptr_t)layout->memory / K4);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (uint64_t i = 0; i < PAGES; i += nr * step)
		if (pread(fd, layout->entries + i, nr * 8, (first + (off_t)i) * 8) !=
		    (ssize_t)nr * 8)
			fail("/proc/self/pagemap cannot be read");
	close(fd);
}

static uint64_t frame(const struct layout *layout, uint64_t page)
{
	uint64_t virtual = (uintptr_t)layout->memory / K4 + page;
	uint64_t step = layout->huge ? M2 / K4 : 1;

	if (layout->phys == IOMMUFD_PHYS_IDENTITY)
		return virtual;
	if (layout->phys == IOMMUFD_PHYS_AUTO && PFN(layout->entries[0]))
		return PFN(layout->entries[page & -step]) + page % step;
	return (virtual / step * SCATTER % (1ULL << 26) + (1ULL << 26)) * step + virtual % step;
}

static void map_runs(const struct layout *layout, struct iommu_domain *domain)
{
	const uint64_t step = layout->huge ? M2 / K4 : 1;
	uint64_t start = 0, run = frame(layout, 0), page;

	if (layout->phys == IOMMUFD_PHYS_IDENTITY) {
		if (iommu_map(domain, layout->iova, run * K4, G1, IOMMU_READ | IOMMU_WRITE,
			      GFP_KERNEL_ACCOUNT))
			fail("the engine cannot map");
		return;
	}
	for (page = step; page <= PAGES; page += step) {
		uint64_t next = page < PAGES ? frame(layout, page) : 0;

		if (next == run + page - start)
			continue;
		if (iommu_map(domain, layout->iova + start * K4, run * K4, (page - start) * K4,
			      IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT))
			fail("the engine cannot map");
		start = page;
		run = next;
	}
}

static double measure_engine(const struct layout *layout, double per)
{
	const struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	uint64_t start = clock_now();
	double ns;

	if (IS_ERR(domain))
		fail("no domain: error %ld", PTR_ERR(domain));
	if (layout->phys == IOMMUFD_PHYS_AUTO)
		read_frames(layout);
	map_runs(layout, domain);
	ns = clock_since(start, per);
	iommu_domain_free(domain);
	return ns;
}

/* ---- IOAS_MAP ---- */

static char *resident_memory(bool huge)
{
	char *space =
		mmap(NULL, G1 + M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *memory = (char *)(((uintptr_t)space + M2 - 1) & ~(uintptr_t)(M2 - 1));

	if (space == MAP_FAILED)
		fail("no memory");
	madvise(memory, G1, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(memory, 1, G1);
	munmap(space, (size_t)(memory - space));
	munmap(memory + G1, (size_t)(space + M2 - memory));
	return memory;
}

static void bench_map(const char *operation, struct layout *layout, struct mem_cgroup *cg,
		      unsigned int rounds)
{
	struct series *on = report_row(IOMMUFD, operation, MEMORY_NONE);
	struct series *engine = report_baseline(IOMMUFD, operation);
	const double per = (double)(layout->huge ? G1 / M2 : PAGES);
	struct machine m;

	open_machine(&m, layout->phys, cg);
	attach_machine(&m);
	for (; rounds; rounds--) {
		uint64_t start = clock_now();

		ioas_map(&m, layout->iova, layout->memory, G1);
		series_add(on, clock_since(start, per));
		ioas_unmap(&m, layout->iova, G1);
		series_add(engine, measure_engine(layout, per));
	}
	close_machine(&m);
}

/* The iova is one page off where the best case could have larger leaves. */
static void bench_maps(struct mem_cgroup *cg, unsigned int rounds)
{
	uint64_t *entries = calloc(PAGES, sizeof(*entries));
	struct layout layout = {.memory = resident_memory(false), .entries = entries};

	layout.iova = IOVA + K4;
	layout.phys = IOMMUFD_PHYS_IDENTITY;
	bench_map(IDENTITY, &layout, cg, rounds);
	layout.phys = IOMMUFD_PHYS_SCATTERED;
	bench_map(SCATTERED, &layout, cg, rounds);
	layout.phys = IOMMUFD_PHYS_AUTO;
	bench_map(AUTO, &layout, cg, rounds);
	munmap(layout.memory, G1);
	layout.memory = resident_memory(true);
	layout.huge = true;
	layout.iova = IOVA;
	bench_map(HUGE_PAGES, &layout, cg, rounds);
	munmap(layout.memory, G1);
	free(entries);
}

/* ---- small calls ---- */

static void bench_small(struct mem_cgroup *cg, unsigned int rounds)
{
	struct series *map = report_row(IOMMUFD, "IOAS_MAP 4K", MEMORY_NONE);
	struct series *unmap = report_row(IOMMUFD, "IOAS_UNMAP 4K", MEMORY_NONE);
	static char page[8192] = {1};
	char *at = (char *)(((uintptr_t)page + K4 - 1) & ~(uintptr_t)(K4 - 1));
	struct machine m;

	*at = 1;
	open_machine(&m, IOMMUFD_PHYS_AUTO, cg);
	attach_machine(&m);
	for (; rounds; rounds--) {
		uint64_t start = clock_now();

		for (uint64_t i = 0; i < CALLS; i++)
			ioas_map(&m, IOVA + i * M2, at, K4);
		series_add(map, clock_since(start, CALLS));
		start = clock_now();
		for (uint64_t i = 0; i < CALLS; i++)
			ioas_unmap(&m, IOVA + i * M2, K4);
		series_add(unmap, clock_since(start, CALLS));
	}
	close_machine(&m);
}

/* Without a domain, so that only what iommufd itself keeps is counted. */
static void bench_area_bytes(struct mem_cgroup *cg)
{
	static char page[8192];
	char *at = (char *)(((uintptr_t)page + K4 - 1) & ~(uintptr_t)(K4 - 1));
	struct machine m;
	uint64_t before;

	open_machine(&m, IOMMUFD_PHYS_AUTO, cg);
	before = mem_cgroup_usage(cg);
	for (uint64_t i = 0; i < AREAS; i++)
		ioas_map(&m, IOVA + i * M2, at, K4);
	report_value(IOMMUFD, AREA_BYTES, (double)(mem_cgroup_usage(cg) - before) / AREAS);
	close_machine(&m);
}

/* ---- a program that does not know the library ---- */

struct program_row {
	const char *key, *operation;
};

static const struct program_row program_rows[] = {
	{"iommu", NOTIFIED_TRIP}, {"open", OPEN_TRIP},    {"ioctl", OTHER_IOCTL},
	{"read", OTHER_READ},     {"close", OTHER_CLOSE},
};

/*
 * Add the figures that bench/calls.c prints under `uiommu run` or, for comparison,
 * under a minimal filter.
 */
static void run_calls(bool supervised)
{
	char command[8192], own[4000], key[32];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	FILE *output;
	double ns;

	own[len > 0 ? len : 0] = '\0';
	*strrchr(own, '/') = '\0';
	snprintf(command, sizeof(command), "'%s/%s '%s/calls'", own,
		 supervised ? "../uiommu' run --report /dev/null --" : "notify'", own);
	output = popen(command, "r");
	while (output && fscanf(output, "%31s %lf", key, &ns) == 2)
		for (size_t i = 0; i < sizeof(program_rows) / sizeof(program_rows[0]); i++)
			if (!strcmp(key, program_rows[i].key))
				series_add((supervised
						    ? report_row(IOMMUFD, program_rows[i].operation,
								 MEMORY_NONE)
						    : report_baseline(IOMMUFD,
								      program_rows[i].operation)),
					   ns);
	if (!output || pclose(output))
		fail("%s: failed", command);
}

void bench_iommufd(struct mem_cgroup *cg, double scale)
{
	unsigned int rounds = (unsigned int)(20 * scale);

	bench_maps(cg, rounds > 2 ? rounds : 2);
	bench_small(cg, 10 * (rounds > 2 ? rounds : 2));
	bench_area_bytes(cg);
	for (unsigned int i = 0; i < 3; i++) {
		run_calls(true);
		run_calls(false);
	}
}

static double ratio(const char *operation)
{
	return report_min(IOMMUFD, operation) / report_baseline_min(IOMMUFD, operation);
}

void check_iommufd_aims(void)
{
	report_due(IDENTITY ", to engine", ratio(IDENTITY), 1.5);
	report_due(SCATTERED ", to engine", ratio(SCATTERED), 1.5);
	report_due(AUTO ", to engine and pass", ratio(AUTO), 1.5);
	report_due(HUGE_PAGES ", to engine and pass", ratio(HUGE_PAGES), 1.5);
	report_due(NOTIFIED_TRIP ", over a minimal one", ratio(NOTIFIED_TRIP), 1.3);
	report_due(OPEN_TRIP ", over a minimal one", ratio(OPEN_TRIP), 1.3);
	report_due(OTHER_IOCTL ", over a minimal filter", ratio(OTHER_IOCTL), 1.1);
	report_due(OTHER_READ ", over a minimal filter", ratio(OTHER_READ), 1.1);
	report_due(OTHER_CLOSE ", over a minimal filter", ratio(OTHER_CLOSE), 1.1);
	report_due(AREA_BYTES, report_get(IOMMUFD, AREA_BYTES), 256);
}
