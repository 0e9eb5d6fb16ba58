// SPDX-License-Identifier: MIT
/*
 * Intel I/OAT ("QuickData") DMA engine, version 3.2: channels that copy memory as a
 * chain of descriptors says. Its registers are described in the data sheets of the
 * processors that have one (Xeon E5, volume 2: "Intel QuickData Technology").
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/ioat.h"
#include "hw/models.h"
#include "hw/options.h"
#include "hw/state.h"

#define BAR_SIZE     0x4000
#define MSIX_TABLE   0x2000
#define MSIX_PENDING 0x3000
#define STATE_MAGIC  0x31616f69u /* "ioa1" */

/* Linux waits 20 us for a channel to start, some 0.1 s after it was reset. */
#define HOT_NS 200000000

/* Registers of the device that only tell what it is. */
enum {
	CHANCNT = 0x00, /* 8 bits */
	XFERCAP = 0x01, /* 8 bits: log2 of the most bytes of a descriptor */
	CBVER = 0x08,
	DMACAPABILITY = 0x10,
};

static bool look(void *device)
{
	struct ioat *ioat = device;
	bool busy = false;

	for (unsigned int i = 0; i < ioat->nr_channels && hw_worker_wanted(&ioat->worker); i++) {
		struct ioat_channel *channel = &ioat->channel[i];

		pthread_mutex_lock(&ioat->lock);
		ioat_look_interrupts(ioat);
		busy |= ioat_look_registers(ioat, channel);
		if (channel->status == IOAT_ACTIVE && channel->pending) {
			ioat_advance(ioat, channel);
			busy = true;
		}
		ioat_update_pin(ioat);
		pthread_mutex_unlock(&ioat->lock);
	}
	return busy;
}

static struct ioat *of(struct hw_device *dev)
{
	return (struct ioat *)dev;
}

static uint64_t ioat_read(struct hw_device *dev, unsigned int bar, uint64_t offset,
			  unsigned int size)
{
	struct ioat *ioat = of(dev);

	/* Reading ATTNSTATUS clears it. */
	if (offset == IOAT_ATTNSTATUS && size == 4) {
		uint32_t *attention = (uint32_t *)(void *)(ioat->registers + IOAT_ATTNSTATUS);
		uint32_t value = __atomic_exchange_n(attention, 0, __ATOMIC_SEQ_CST);

		hw_worker_kick(&ioat->worker);
		return le32toh(value);
	}
	return hw_load(ioat->registers + offset, size);
}

static void clear_errors(struct ioat_channel *channel, uint32_t bits)
{
	uint32_t *errors = (uint32_t *)(void *)(channel->registers + IOAT_CHANERR);

	__atomic_or_fetch(&channel->cleared, bits, __ATOMIC_SEQ_CST);
	__atomic_and_fetch(errors, htole32(~bits), __ATOMIC_SEQ_CST);
}

/*
 * What follows from the store is done here but for descriptors, so that a program that
 * reads CHANSTS next does not see what it was before.
 */
static void ioat_write(struct hw_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		       uint64_t value)
{
	struct ioat *ioat = of(dev);
	uint64_t number = offset / IOAT_CHANNEL_SIZE - 1;
	struct ioat_channel *channel = number < ioat->nr_channels ? &ioat->channel[number] : NULL;

	pthread_mutex_lock(&ioat->lock);
	if (channel && offset % IOAT_CHANNEL_SIZE == IOAT_CHANERR && size == 4)
		clear_errors(channel, (uint32_t)value);
	else
		hw_store(ioat->registers + offset, size, value);
	if (channel && hw_worker_wanted(&ioat->worker))
		ioat_look_registers(ioat, channel);
	pthread_mutex_unlock(&ioat->lock);
	hw_worker_kick(&ioat->worker);
}

/* ---- life ---- */

static void reset_registers(struct ioat *ioat)
{
	memset(ioat->registers, 0, BAR_SIZE);
	hw_store8(ioat->registers + CHANCNT, (uint8_t)ioat->nr_channels);
	hw_store8(ioat->registers + XFERCAP, (uint8_t)ioat->transfer_lg2);
	hw_store8(ioat->registers + CBVER, 0x32);
	hw_store32(ioat->registers + DMACAPABILITY, 0);
	for (unsigned int i = 0; i < ioat->nr_channels; i++) {
		ioat->channel[i].registers = ioat->registers + IOAT_CHANNEL_SIZE * (i + 1);
		ioat_reset_channel(ioat, &ioat->channel[i]);
	}
}

static bool take_channels(void *options, unsigned int number, const char *value)
{
	struct ioat *ioat = options;
	uint64_t channels;

	if (!hw_parse_number(value, IOAT_MAX_CHANNELS, &channels) || !channels)
		return false;
	ioat->nr_channels = (unsigned int)channels;
	return true;
}

static bool take_transfer(void *options, unsigned int number, const char *value)
{
	struct ioat *ioat = options;
	uint64_t bytes;

	if (!hw_parse_bytes(value, 1 << 20, &bytes) || bytes < 4096 || bytes & (bytes - 1))
		return false;
	ioat->transfer_lg2 = (unsigned int)__builtin_ctzll(bytes);
	return true;
}

static bool take_faults(void *options, unsigned int number, const char *value)
{
	struct ioat *ioat = options;

	ioat->ignore_faults = !strcmp(value, "ignore");
	return ioat->ignore_faults || !strcmp(value, "halt");
}

static const struct hw_option known_options[] = {
	{"channels", "a number from 1 to 16", take_channels, 0},
	{"transfer", "a power of two of bytes from 4K to 1M", take_transfer, 0},
	{"faults", "halt or ignore", take_faults, 0},
	{.key = NULL},
};

static struct hw_device *ioat_create(const char *options, const struct hw_device_host *ops,
				     void *host, char *error, size_t error_size)
{
	struct ioat *ioat = calloc(1, sizeof(*ioat));
	int ret;

	if (!ioat) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	ioat->ops = ops;
	ioat->host = host;
	ioat->nr_channels = 1;
	ioat->transfer_lg2 = 16;
	if (hw_options_parse(options, known_options, ioat, error, error_size))
		goto free_ioat;
	ioat->identity = (struct hw_identity){
		.vendor = 0x8086,
		.device = 0x2021, /* Skylake-SP */
		.subsystem_vendor = 0x8086,
		.class_code = 0x088000, /* a system peripheral */
		.revision = 4,
		.bar[0] = {.size = BAR_SIZE, .is_64bit = true, .mappable = true},
		.intx = true,
		.msix = ioat->nr_channels,
		.msix_table = MSIX_TABLE,
		.msix_pending = MSIX_PENDING,
	};
	pthread_mutex_init(&ioat->lock, NULL);
	ret = hw_worker_create(&ioat->worker, look, ioat, HOT_NS);
	if (ret) {
		snprintf(error, error_size, "no thread: %s", strerror(-ret));
		goto free_ioat;
	}
	return (struct hw_device *)ioat;

free_ioat:
	free(ioat);
	return NULL;
}

static void ioat_destroy(struct hw_device *dev)
{
	hw_worker_destroy(&of(dev)->worker);
	pthread_mutex_destroy(&of(dev)->lock);
	free(of(dev));
}

static const struct hw_identity *ioat_identity(const struct hw_device *dev)
{
	return &((const struct ioat *)dev)->identity;
}

static void ioat_set_memory(struct hw_device *dev, unsigned int bar, void *memory)
{
	of(dev)->registers = memory;
	reset_registers(of(dev));
	hw_worker_start(&of(dev)->worker);
}

/* A write() that is under way ends first; another one only stores. */
static bool bring_to_rest(struct ioat *ioat)
{
	bool running = hw_worker_stop(&ioat->worker);

	pthread_mutex_lock(&ioat->lock);
	pthread_mutex_unlock(&ioat->lock);
	return running;
}

static void ioat_stop(struct hw_device *dev)
{
	bring_to_rest(of(dev));
}

static void ioat_start(struct hw_device *dev)
{
	hw_worker_start(&of(dev)->worker);
}

static void ioat_reset(struct hw_device *dev)
{
	struct ioat *ioat = of(dev);
	bool running = bring_to_rest(ioat);

	pthread_mutex_lock(&ioat->lock);
	reset_registers(ioat);
	pthread_mutex_unlock(&ioat->lock);
	if (running)
		hw_worker_start(&ioat->worker);
}

/* ---- migration ---- */

static size_t ioat_save(struct hw_device *dev, void *state, size_t size)
{
	struct ioat *ioat = of(dev);
	struct hw_writer writer = {.to = state, .size = size};

	hw_write32(&writer, STATE_MAGIC);
	hw_write32(&writer, ioat->nr_channels);
	hw_write32(&writer, ioat->transfer_lg2);
	hw_write_bytes(&writer, ioat->registers, BAR_SIZE);
	for (unsigned int i = 0; i < ioat->nr_channels; i++) {
		const struct ioat_channel *channel = &ioat->channel[i];

		hw_write64(&writer, channel->next);
		hw_write64(&writer, channel->completed);
		hw_write32(&writer, channel->seen);
		hw_write32(&writer, channel->pending);
		hw_write32(&writer, channel->status);
		hw_write32(&writer, channel->errors);
		hw_write32(&writer, channel->armed);
		hw_write32(&writer, channel->wants_interrupt);
	}
	return writer.length;
}

static void read_channel(struct hw_reader *reader, struct ioat_channel *channel)
{
	channel->next = hw_read64(reader);
	channel->completed = hw_read64(reader);
	channel->seen = (uint16_t)hw_read_below(reader, UINT16_MAX);
	channel->pending = hw_read32(reader);
	channel->status = hw_read_below(reader, IOAT_HALTED);
	channel->errors = hw_read32(reader);
	channel->armed = hw_read_below(reader, 1);
	channel->wants_interrupt = hw_read_below(reader, 1);
}

static int ioat_load(struct hw_device *dev, const void *state, size_t size)
{
	struct ioat *ioat = of(dev);
	struct hw_reader reader = {.at = state, .left = size};
	struct ioat_channel channels[IOAT_MAX_CHANNELS];
	uint8_t registers[BAR_SIZE];

	memcpy(channels, ioat->channel, sizeof(channels));
	if (hw_read32(&reader) != STATE_MAGIC || hw_read32(&reader) != ioat->nr_channels ||
	    hw_read32(&reader) != ioat->transfer_lg2)
		return -EINVAL;
	hw_read_bytes(&reader, registers, sizeof(registers));
	for (unsigned int i = 0; i < ioat->nr_channels; i++)
		read_channel(&reader, &channels[i]);
	if (reader.bad || reader.left)
		return -EINVAL;
	memcpy(ioat->registers, registers, sizeof(registers));
	memcpy(ioat->channel, channels, sizeof(channels));
	return 0;
}

const struct hw_model hw_ioat_model = {
	.name = "ioat",
	.summary = "Intel's I/OAT copy engine: channels=1,transfer=64K,faults=halt",
	.create = ioat_create,
	.destroy = ioat_destroy,
	.identity = ioat_identity,
	.set_memory = ioat_set_memory,
	.read = ioat_read,
	.write = ioat_write,
	.reset = ioat_reset,
	.stop = ioat_stop,
	.start = ioat_start,
	.save = ioat_save,
	.load = ioat_load,
};
