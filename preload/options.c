/* SPDX-License-Identifier: MIT */
/* What `uiommu run` was told; it has checked all of it. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/mm.h>

#include "preload/preload.h"

static struct options current;
static const char *const names[] = {
	ENV_FORMAT,  ENV_ADDRESS_WIDTH, ENV_DEVICES,  ENV_MEMORY_MAX, ENV_MEMORY_HIGH,
	ENV_MEMLOCK, ENV_PHYS,          ENV_FAIL_NTH, ENV_TEST_ABI,
};
static char values[ARRAY_SIZE(names)][32];
static bool saved;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void notice(const char *format, ...)
{
	static const char prefix[] = "uiommu: ";
	char line[512];
	size_t length = sizeof(prefix) - 1;
	va_list args;
	int n;

	memcpy(line, prefix, length);
	va_start(args, format);
	n = vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	va_end(args);
	length += MIN((size_t)n, sizeof(line) - length - 2);
	line[length++] = '\n';
	if (real()->write(STDERR_FILENO, line, length) < 0)
		return;
}

void options_save(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(names) && !saved; i++) {
		const char *value = getenv(names[i]);

		snprintf(values[i], sizeof(values[i]), "%s", value ? value : "");
	}
	saved = true;
}

static const char *text(const char *name, const char *otherwise)
{
	options_save();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name) && values[i][0])
			return values[i];
	return otherwise;
}

static unsigned int number(const char *name)
{
	return (unsigned int)strtoul(text(name, "0"), NULL, 0);
}

static enum iommufd_phys_mode phys_mode(const char *name)
{
	if (!strcmp(name, "identity"))
		return IOMMUFD_PHYS_IDENTITY;
	if (!strcmp(name, "scattered"))
		return IOMMUFD_PHYS_SCATTERED;
	return IOMMUFD_PHYS_AUTO;
}

static void read_options(void)
{
	snprintf(current.format, sizeof(current.format), "%s", text(ENV_FORMAT, "vtd"));
	current.address_width = number(ENV_ADDRESS_WIDTH);
	current.devices = number(ENV_DEVICES);
	current.phys = phys_mode(text(ENV_PHYS, "auto"));
	current.memlock = strtoull(text(ENV_MEMLOCK, "0"), NULL, 0);
	current.fail_nth = number(ENV_FAIL_NTH);
	current.test_abi = number(ENV_TEST_ABI) != 0;
	current.owner = mem_cgroup_create(NULL);
	if (!current.owner)
		return;
	mem_cgroup_write(current.owner, "memory.high", text(ENV_MEMORY_HIGH, "max"));
	mem_cgroup_write(current.owner, "memory.max", text(ENV_MEMORY_MAX, "max"));
}

const struct options *options(void)
{
	pthread_once(&once, read_options);
	return &current;
}

bool test_abi_wanted(void)
{
	static atomic_int wanted;
	int now = atomic_load_explicit(&wanted, memory_order_relaxed);

	if (!now) {
		now = number(ENV_TEST_ABI) ? 1 : -1;
		atomic_store_explicit(&wanted, now, memory_order_relaxed);
	}
	return now > 0;
}
