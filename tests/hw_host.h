/* SPDX-License-Identifier: MIT */
/*
 * The machine that a model of a device is tested in: memory by IOVA, with canaries
 * around each mapping, interrupts that are counted, and the device's registers both as
 * mapped memory and by read() and write().
 */
#ifndef TESTS_HW_HOST_H
#define TESTS_HW_HOST_H

#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "tests/common.h"

#include "hw/device.h"

#define HOST_CANARY   256
#define HOST_MAPPINGS 64
#define HOST_VECTORS  64

struct host_mapping {
	uint64_t iova, size;
	uint8_t *memory;
	bool writeable;
};

struct host {
	pthread_mutex_t lock; /* of the memory: what the device and the test both access */
	struct host_mapping mapping[HOST_MAPPINGS];
	unsigned int nr_mappings;
	unsigned int signals[HOST_VECTORS];
	bool pin;
	unsigned int nr_faults, nr_accesses;
	uint64_t fault_iova;
	bool at_rest; /* the device may not do anything */
	bool disturbed;

	const struct hw_model *model;
	struct hw_device *dev;
	bool mapped; /* how the test accesses registers */
	void *bar[HW_NR_BARS];
};

/* ---- memory ---- */

static inline uint8_t host_canary(size_t i)
{
	return (uint8_t)(0xa5 ^ i * 7);
}

/* Memory of zeros at @iova, until host_end(). */
static inline uint8_t *host_map(struct host *host, uint64_t iova, uint64_t size)
{
	uint8_t *with = malloc(size + 2 * HOST_CANARY);

	assert_non_null(with);
	for (size_t i = 0; i < HOST_CANARY; i++)
		with[i] = with[HOST_CANARY + size + i] = host_canary(i);
	memset(with + HOST_CANARY, 0, size);
	pthread_mutex_lock(&host->lock);
	assert_true(host->nr_mappings < HOST_MAPPINGS);
	host->mapping[host->nr_mappings++] =
		(struct host_mapping){iova, size, with + HOST_CANARY, true};
	pthread_mutex_unlock(&host->lock);
	return with + HOST_CANARY;
}

static inline void host_assert_canaries(const struct host *host)
{
	for (unsigned int m = 0; m < host->nr_mappings; m++) {
		const struct host_mapping *mapping = &host->mapping[m];
		const uint8_t *before = mapping->memory - HOST_CANARY;
		const uint8_t *after = mapping->memory + mapping->size;

		for (size_t i = 0; i < HOST_CANARY; i++) {
			assert_int_equal(before[i], host_canary(i));
			assert_int_equal(after[i], host_canary(i));
		}
	}
}

static inline struct host_mapping *host_find(struct host *host, uint64_t iova)
{
	for (unsigned int m = 0; m < host->nr_mappings; m++)
		if (iova - host->mapping[m].iova < host->mapping[m].size)
			return &host->mapping[m];
	return NULL;
}

static inline int host_access(struct host *host, uint64_t iova, uint8_t *to, const uint8_t *from,
			      size_t length)
{
	while (length) {
		struct host_mapping *mapping = host_find(host, iova);
		uint64_t now;

		if (!mapping || (from && !mapping->writeable)) {
			host->nr_faults++;
			host->fault_iova = iova;
			return -EFAULT;
		}
		now = mapping->size - (iova - mapping->iova);
		if (now > length)
			now = length;
		if (to)
			memcpy(to, mapping->memory + (iova - mapping->iova), now);
		else
			memcpy(mapping->memory + (iova - mapping->iova), from, now);
		iova += now;
		length -= now;
		if (to)
			to += now;
		else
			from += now;
	}
	return 0;
}

static inline int host_dma(struct host *host, uint64_t iova, void *to, const void *from,
			   size_t length)
{
	int ret;

	pthread_mutex_lock(&host->lock);
	host->disturbed |= host->at_rest;
	host->nr_accesses++;
	ret = host_access(host, iova, to, from, length);
	pthread_mutex_unlock(&host->lock);
	return ret;
}

static inline int host_read(void *host, uint32_t pasid, uint64_t iova, void *to, size_t length)
{
	return host_dma(host, iova, to, NULL, length);
}

static inline int host_write(void *host, uint32_t pasid, uint64_t iova, const void *from,
			     size_t length)
{
	return host_dma(host, iova, NULL, from, length);
}

static inline void host_signal(void *of, unsigned int vector)
{
	struct host *host = of;

	pthread_mutex_lock(&host->lock);
	host->disturbed |= host->at_rest;
	if (vector < HOST_VECTORS)
		host->signals[vector]++;
	pthread_mutex_unlock(&host->lock);
}

static inline void host_set_intx(void *of, bool asserted)
{
	struct host *host = of;

	pthread_mutex_lock(&host->lock);
	host->pin = asserted;
	pthread_mutex_unlock(&host->lock);
}

static const struct hw_device_host host_ops = {
	.read = host_read,
	.write = host_write,
	.signal = host_signal,
	.set_intx = host_set_intx,
};

/* What the test itself reads and writes there, which must be mapped. */
static inline void host_get(struct host *host, uint64_t iova, void *to, size_t length)
{
	pthread_mutex_lock(&host->lock);
	assert_int_equal(host_access(host, iova, to, NULL, length), 0);
	pthread_mutex_unlock(&host->lock);
}

static inline void host_put(struct host *host, uint64_t iova, const void *from, size_t length)
{
	pthread_mutex_lock(&host->lock);
	assert_int_equal(host_access(host, iova, NULL, from, length), 0);
	pthread_mutex_unlock(&host->lock);
}

static inline unsigned int host_signals(struct host *host, unsigned int vector)
{
	unsigned int signals;

	pthread_mutex_lock(&host->lock);
	signals = host->signals[vector];
	pthread_mutex_unlock(&host->lock);
	return signals;
}

static inline unsigned int host_accesses(struct host *host)
{
	unsigned int accesses;

	pthread_mutex_lock(&host->lock);
	accesses = host->nr_accesses;
	pthread_mutex_unlock(&host->lock);
	return accesses;
}

static inline bool host_pin(struct host *host)
{
	bool pin;

	pthread_mutex_lock(&host->lock);
	pin = host->pin;
	pthread_mutex_unlock(&host->lock);
	return pin;
}

static inline void host_set_rest(struct host *host, bool at_rest)
{
	pthread_mutex_lock(&host->lock);
	host->at_rest = at_rest;
	pthread_mutex_unlock(&host->lock);
}

/* ---- the device ---- */

static inline void host_create(struct host *host, const char *options)
{
	char error[256] = "";

	host->dev = host->model->create(options, &host_ops, host, error, sizeof(error));
	if (!host->dev)
		fail_msg("%s", error);
	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++) {
		const struct hw_bar *shape = &host->model->identity(host->dev)->bar[bar];

		if (!shape->size || !shape->mappable)
			continue;
		host->bar[bar] = aligned_alloc(4096, shape->size < 4096 ? 4096 : shape->size);
		assert_non_null(host->bar[bar]);
		memset(host->bar[bar], 0, shape->size);
		host->model->set_memory(host->dev, bar, host->bar[bar]);
	}
}

static inline void host_destroy(struct host *host)
{
	if (host->dev)
		host->model->destroy(host->dev);
	host->dev = NULL;
	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++) {
		free(host->bar[bar]);
		host->bar[bar] = NULL;
	}
}

static inline struct host *host_begin(const char *model, const char *options, bool mapped)
{
	struct host *host = calloc(1, sizeof(*host));

	assert_non_null(host);
	pthread_mutex_init(&host->lock, NULL);
	host->mapped = mapped;
	host->model = hw_model_find(model);
	assert_non_null(host->model);
	host_create(host, options);
	return host;
}

static inline void host_end(struct host *host)
{
	host_destroy(host);
	host_assert_canaries(host);
	assert_false(host->disturbed);
	for (unsigned int m = 0; m < host->nr_mappings; m++)
		free(host->mapping[m].memory - HOST_CANARY);
	pthread_mutex_destroy(&host->lock);
	free(host);
}

/* ---- registers of BAR 0 ---- */

static inline uint64_t reg_read(struct host *host, uint64_t offset, unsigned int size)
{
	const uint8_t *at = (const uint8_t *)host->bar[0] + offset;

	if (!host->mapped)
		return host->model->read(host->dev, 0, offset, size);
	switch (size) {
	case 1:
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);
	case 2:
		return le16toh(
			__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE));
	case 4:
		return le32toh(
			__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE));
	default:
		return le64toh(
			__atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_ACQUIRE));
	}
}

static inline void reg_write(struct host *host, uint64_t offset, unsigned int size, uint64_t value)
{
	uint8_t *at = (uint8_t *)host->bar[0] + offset;

	if (!host->mapped) {
		host->model->write(host->dev, 0, offset, size, value);
		return;
	}
	switch (size) {
	case 1:
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)at, htole16((uint16_t)value),
				 __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)at, htole32((uint32_t)value),
				 __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)at, htole64(value), __ATOMIC_RELEASE);
	}
}

static inline uint32_t reg_read32(struct host *host, uint64_t offset)
{
	return (uint32_t)reg_read(host, offset, 4);
}

static inline void reg_write32(struct host *host, uint64_t offset, uint32_t value)
{
	reg_write(host, offset, 4, value);
}

static inline void host_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

/* Until the condition is true, which it will be: a guard stands around every test. */
#define wait_until(condition)         \
	do {                          \
		while (!(condition))  \
			host_pause(); \
	} while (0)

#endif
