/* SPDX-License-Identifier: MIT */
/*
 * A program that does not know the library: the time of calls on /dev/iommu, and of the
 * same calls on other files. It runs under `uiommu run`, or under bench/notify.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <uiommu/abi/iommufd.h>

#include "bench/measure.h"

#define CALLS  50
#define ROUNDS 400

static int iommu, null;

static void call_iommu(struct iommu_option *option)
{
	if (ioctl(iommu, IOMMU_OPTION, option))
		fail("IOMMU_OPTION failed");
}

static void call_ioctl(struct iommu_option *option)
{
	ioctl(null, TCGETS, option);
}

static void call_open(struct iommu_option *option)
{
	close(openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static void call_read(struct iommu_option *option)
{
	if (read(null, option, sizeof(*option)))
		fail("/dev/null can be read");
}

static void call_close(struct iommu_option *option)
{
	close(null + 5000);
}

static void measure(const char *key, void (*call)(struct iommu_option *option),
		    struct iommu_option *option)
{
	struct series series = {0};

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_now();

		for (int i = 0; i < CALLS; i++)
			call(option);
		series_add(&series, clock_since(start, CALLS));
	}
	printf("%s %.3f\n", key, series_min(&series));
}

int main(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_option option = {.size = sizeof(option),
				      .option_id = IOMMU_OPTION_HUGE_PAGES,
				      .op = IOMMU_OPTION_OP_GET};

	clock_calibrate();
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* Under bench/notify every file answers. */
	if (iommu < 0)
		iommu = null;
	if (ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc))
		fail("IOMMU_IOAS_ALLOC failed");
	option.object_id = alloc.out_ioas_id;
	measure("iommu", call_iommu, &option);
	measure("open", call_open, &option);
	measure("ioctl", call_ioctl, &option);
	measure("read", call_read, &option);
	measure("close", call_close, &option);
	return 0;
}
