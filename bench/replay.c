/* SPDX-License-Identifier: MIT */
/*
 * The command itself, on generated traces: a disk maps and unmaps 64 KiB at a time,
 * with the IOMMU's events and with those of the DMA API. The figure is the processor
 * time of the whole process.
 */
#include "bench/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/report.h"

#define EVENTS  "iommu events, per event"
#define DMA     "dma events, per event"
#define LIVE    32
#define PIECES  16
#define HEAD    "              dd-100     [000] ..... %12.6f: "
#define PAGE    UINT64_C(4096)
#define SEGMENT (PIECES * PAGE)

/* The number of ranges; each is a different one as long as it is live. */
static unsigned int write_iommu(FILE *file, unsigned int ranges)
{
	for (unsigned int i = 0; i < ranges; i++) {
		uint64_t iova = UINT64_C(0xe0000000) - (i % 4096) * SEGMENT;
		double time = 1 + i * 1e-5;

		for (uint64_t at = 0; at < SEGMENT; at += PAGE)
			fprintf(file,
				HEAD "map: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64
				     " paddr=0x%016" PRIx64 " size=%" PRIu64 "\n",
				time, iova + at, iova + at + PAGE,
				(random_next() % (1 << 20)) * PAGE, PAGE);
		if (i < LIVE)
			continue;
		iova = UINT64_C(0xe0000000) - ((i - LIVE) % 4096) * SEGMENT;
		fprintf(file,
			HEAD "unmap: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64 " size=%" PRIu64
			     " unmapped_size=%" PRIu64 "\n",
			time, iova, iova + SEGMENT, SEGMENT, SEGMENT);
	}
	return ranges * PIECES + ranges - LIVE;
}

static unsigned int write_dma(FILE *file, unsigned int ranges)
{
	for (unsigned int i = 0; i < ranges; i++) {
		uint64_t iova = UINT64_C(0xf0000000) - (i % 5000) * PAGE + 64;
		double time = 1 + i * 1e-5;

		fprintf(file,
			HEAD "dma_map_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=%" PRIx64
			     " size=1536 phys_addr=%" PRIx64 " attrs=\n",
			time, iova, (random_next() % (1 << 16)) * PAGE + 64);
		fprintf(file,
			HEAD "dma_unmap_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=%" PRIx64
			     " size=1536 attrs=\n",
			time, iova);
	}
	return 2 * ranges;
}

static double children_ns(void)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

static void replay(const char *path)
{
	char own[4000], command[8192];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	*strrchr(own, '/') = '\0';
	snprintf(command, sizeof(command), "exec '%s/../uiommu' replay '%s' >/dev/null", own, path);
	if (system(command))
		fail("%s: failed", command);
}

static void bench_trace(const char *row, unsigned int (*make)(FILE *file, unsigned int ranges),
			unsigned int ranges)
{
	struct series *series = report_row(REPLAY_ROWS, row, MEMORY_NONE);
	char path[] = "/tmp/uiommu-bench-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	unsigned int events;

	if (!file)
		fail("%s: cannot be made", path);
	events = make(file, ranges);
	if (fclose(file))
		fail("%s: cannot be written", path);
	for (unsigned int round = 0; round < 5; round++) {
		double start = children_ns();

		replay(path);
		series_add(series, (children_ns() - start) / events);
	}
	unlink(path);
}

void bench_replay(double scale)
{
	bench_trace(EVENTS, write_iommu, (unsigned int)(60000 * scale));
	bench_trace(DMA, write_dma, (unsigned int)(500000 * scale));
}

void check_replay_aims(void)
{
	/* Two million a second. */
	report_due("replay: " EVENTS ", ns", report_min(REPLAY_ROWS, EVENTS), 500);
	report_aim("replay: " DMA ", ns", report_min(REPLAY_ROWS, DMA), 500);
}
