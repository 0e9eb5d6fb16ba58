// SPDX-License-Identifier: MIT
/*
 * Intel I/OAT ("QuickData") DMA engine, version 3.2: channels that copy memory as a
 * chain of descriptors says. Its registers are described in the data sheets of the
 * processors that have one (Xeon E5, volume 2: "Intel QuickData Technology").
 *
 * The BAR may be mapped, so every register is memory that the thread looks at. How a
 * store that does not change the value is told from none:
 *
 * - CHANCMD is 0 again when the command is done.
 * - CHANCTRL bit 0 (interrupt disable, cleared by writing 1) always reads as 0, so
 *   that writing it changes the value.
 * - CHAINADDR and DMACOUNT are 0 whenever the channel is suspended or halted; there
 *   any other value is a new chain. While it runs, DMACOUNT counts up.
 * - CHANERR is cleared by writing 1. A reset and a new chain clear it too, and one of
 *   the two follows in every driver, so that a write that changes nothing may be missed.
 *
 * What no watching can give is that CHANSTS changes with the store of DMACOUNT: a
 * program that loads it at once may see the halt by a reset for one by an error. By
 * write(), or where the host has the pages trap, it does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/models.h"
#include "hw/options.h"
#include "hw/registers.h"
#include "hw/state.h"
#include "hw/worker.h"

#define BAR_SIZE     0x4000
#define CHANNEL_SIZE 0x80
#define MAX_CHANNELS 16
#define MSIX_TABLE   0x2000
#define MSIX_PENDING 0x3000
#define STATE_MAGIC  0x31616f69u /* "ioa1" */
#define COPY_BYTES   0x10000     /* that pass through the engine at once */

/* Linux waits 20 us for a channel to start, some 0.1 s after it was reset. */
#define HOT_NS 200000000

/* Registers of the device. */
enum {
	CHANCNT = 0x00, /* 8 bits */
	XFERCAP = 0x01, /* 8 bits: log2 of the most bytes of a descriptor */
	INTRCTRL = 0x03,
	ATTNSTATUS = 0x04,
	CBVER = 0x08,
	DMACAPABILITY = 0x10,
};

#define INTRCTRL_MASTER 0x01 /* interrupts other than MSI-X are enabled */
#define INTRCTRL_STATUS 0x02 /* one is wanted */
#define INTRCTRL_INT    0x04 /* both */

/* Registers of a channel, from its own start. */
enum {
	CHANCTRL = 0x00, /* 16 bits */
	CHANCMD = 0x04,  /* 8 bits */
	DMACOUNT = 0x06, /* 16 bits */
	CHANSTS = 0x08,  /* 64 bits */
	CHAINADDR = 0x10,
	CHANCMP = 0x18,
	CHANERR = 0x28,
};

#define CHANCTRL_REARM     0x0001
#define CHANCTRL_ERR_COMPL 0x0004
#define CHANCTRL_ERR_INT   0x0010
#define CHANCMD_RESET      0x20
#define CHANCMD_RESUME     0x10
#define CHANCMD_SUSPEND    0x04
#define CHANERR_CHAIN_ADDR 0x0010
#define CHANERR_NEXT_ADDR  0x0004
#define CHANERR_NEXT_ALIGN 0x0008
#define CHANERR_READ       0x0100
#define CHANERR_WRITE      0x0200
#define CHANERR_CONTROL    0x0400
#define CHANERR_LENGTH     0x0800
#define CHANERR_COMPLETION 0x1000

/* CHANSTS: the completed descriptor's address, and in its low bits: */
enum status {
	ACTIVE,
	DONE,
	SUSPENDED,
	HALTED
};

/* A descriptor: 64 bytes. */
enum {
	DESC_SIZE = 0,
	DESC_CONTROL = 4,
	DESC_SOURCE = 8,
	DESC_TARGET = 16,
	DESC_NEXT = 24
};

#define DESC_BYTES         64
#define CONTROL_INTERRUPT  (1u << 0)
#define CONTROL_COMPLETION (1u << 3)
#define CONTROL_NULL       (1u << 5)
#define CONTROL_OP(c)      ((c) >> 24) /* 0: copy */

struct channel {
	uint8_t *registers;
	uint64_t next;      /* descriptor */
	uint64_t completed; /* the last one */
	uint16_t seen;      /* DMACOUNT as it was seen last */
	uint32_t pending;   /* descriptors that are to be done */
	enum status status;
	uint32_t errors;
	uint32_t cleared;     /* of them, by write() */
	bool armed;           /* the next interrupt may be signalled */
	bool wants_interrupt; /* one was asked for while it was not */
};

struct ioat {
	const struct hw_device_host *ops;
	void *host;
	struct hw_identity identity;
	struct hw_worker worker;
	pthread_mutex_t lock; /* of channels, and of registers that the model changes */
	uint8_t *registers;
	unsigned int nr_channels, transfer_lg2;
	bool pin;
	struct channel channel[MAX_CHANNELS];
	uint8_t buffer[COPY_BYTES];
};

/* ---- interrupts ---- */

/* The pin follows INTRCTRL, and its status ATTNSTATUS. */
static void update_pin(struct ioat *ioat)
{
	uint32_t attention = hw_load32(ioat->registers + ATTNSTATUS);
	uint8_t old = hw_load8(ioat->registers + INTRCTRL);
	uint8_t control = old & (uint8_t) ~(INTRCTRL_STATUS | INTRCTRL_INT);
	bool pin = attention && old & INTRCTRL_MASTER;

	if (attention)
		control |= INTRCTRL_STATUS;
	if (pin)
		control |= INTRCTRL_INT;
	if (control != old)
		hw_replace8(ioat->registers + INTRCTRL, old, control);
	if (pin != ioat->pin)
		ioat->ops->set_intx(ioat->host, pin);
	ioat->pin = pin;
}

static void change_attention(struct ioat *ioat, uint32_t clear, uint32_t set)
{
	uint32_t *attention = (uint32_t *)(void *)(ioat->registers + ATTNSTATUS);

	if (clear)
		__atomic_and_fetch(attention, htole32(~clear), __ATOMIC_SEQ_CST);
	if (set)
		__atomic_or_fetch(attention, htole32(set), __ATOMIC_SEQ_CST);
	update_pin(ioat);
}

static void interrupt(struct ioat *ioat, struct channel *channel)
{
	unsigned int number = (unsigned int)(channel - ioat->channel);

	if (!channel->armed) {
		channel->wants_interrupt = true;
		return;
	}
	channel->armed = false;
	channel->wants_interrupt = false;
	change_attention(ioat, 0, 1u << number);
	ioat->ops->signal(ioat->host, number);
}

static void rearm(struct ioat *ioat, struct channel *channel)
{
	channel->armed = true;
	change_attention(ioat, 1u << (channel - ioat->channel), 0);
	if (channel->wants_interrupt)
		interrupt(ioat, channel);
}

/* ---- the state of a channel ---- */

static void set_status(struct channel *channel, enum status status)
{
	channel->status = status;
	hw_store64(channel->registers + CHANSTS, channel->completed | status);
}

/* Before the status that tells of it: what is stored from now on begins a new chain. */
static void expect_chain(struct channel *channel)
{
	channel->seen = 0;
	hw_store16(channel->registers + DMACOUNT, 0);
	hw_store64(channel->registers + CHAINADDR, 0);
}

static void set_errors(struct channel *channel, uint32_t errors)
{
	channel->errors = errors;
	hw_store32(channel->registers + CHANERR, errors);
}

static bool write_completion(struct ioat *ioat, struct channel *channel)
{
	uint64_t iova = hw_load64(channel->registers + CHANCMP) & ~UINT64_C(7);
	uint8_t status[8];

	hw_put64(status, channel->completed | channel->status);
	return !ioat->ops->write(ioat->host, HW_NO_PASID, iova, status, sizeof(status));
}

static void halt(struct ioat *ioat, struct channel *channel, uint32_t error)
{
	uint16_t control = hw_load16(channel->registers + CHANCTRL);

	channel->pending = 0;
	set_errors(channel, channel->errors | error);
	expect_chain(channel);
	set_status(channel, HALTED);
	if (control & CHANCTRL_ERR_COMPL && error != CHANERR_COMPLETION)
		write_completion(ioat, channel);
	if (control & CHANCTRL_ERR_INT)
		interrupt(ioat, channel);
}

static void reset_channel(struct ioat *ioat, struct channel *channel)
{
	channel->pending = 0;
	channel->completed = 0;
	channel->next = 0;
	channel->armed = true;
	channel->wants_interrupt = false;
	set_errors(channel, 0);
	expect_chain(channel);
	change_attention(ioat, 1u << (channel - ioat->channel), 0);
	set_status(channel, HALTED);
}

static void suspend(struct channel *channel)
{
	if (channel->status != ACTIVE && channel->status != DONE)
		return;
	/* What was issued before the command is still to be done after RESUME. */
	channel->pending += (uint16_t)(hw_load16(channel->registers + DMACOUNT) - channel->seen);
	expect_chain(channel);
	set_status(channel, SUSPENDED);
}

/* ---- descriptors ---- */

/* The error, or 0. */
static uint32_t copy(struct ioat *ioat, uint64_t target, uint64_t source, uint32_t size)
{
	while (size) {
		uint32_t now = size < COPY_BYTES ? size : COPY_BYTES;

		if (ioat->ops->read(ioat->host, HW_NO_PASID, source, ioat->buffer, now))
			return CHANERR_READ;
		if (ioat->ops->write(ioat->host, HW_NO_PASID, target, ioat->buffer, now))
			return CHANERR_WRITE;
		source += now;
		target += now;
		size -= now;
	}
	return 0;
}

static uint32_t execute(struct ioat *ioat, const uint8_t *desc)
{
	uint32_t control = hw_get32(desc + DESC_CONTROL), size = hw_get32(desc + DESC_SIZE);

	if (CONTROL_OP(control))
		return CHANERR_CONTROL;
	if (!size || size > 1u << ioat->transfer_lg2)
		return CHANERR_LENGTH;
	if (control & CONTROL_NULL)
		return 0;
	return copy(ioat, hw_get64(desc + DESC_TARGET), hw_get64(desc + DESC_SOURCE), size);
}

/* Do the next descriptor of a channel that has one to do. */
static void advance(struct ioat *ioat, struct channel *channel)
{
	uint8_t desc[DESC_BYTES];
	uint32_t error, control;

	if (channel->next % DESC_BYTES) {
		halt(ioat, channel, channel->completed ? CHANERR_NEXT_ALIGN : CHANERR_CHAIN_ADDR);
		return;
	}
	if (ioat->ops->read(ioat->host, HW_NO_PASID, channel->next, desc, sizeof(desc))) {
		halt(ioat, channel, CHANERR_NEXT_ADDR);
		return;
	}
	error = execute(ioat, desc);
	if (error) {
		halt(ioat, channel, error);
		return;
	}
	channel->completed = channel->next;
	channel->next = hw_get64(desc + DESC_NEXT);
	channel->pending--;
	/* DONE must not be seen before the completion that is written to memory. */
	channel->status = channel->pending ? ACTIVE : DONE;
	control = hw_get32(desc + DESC_CONTROL);
	if (control & CONTROL_COMPLETION && !write_completion(ioat, channel)) {
		halt(ioat, channel, CHANERR_COMPLETION);
		return;
	}
	set_status(channel, channel->status);
	if (control & CONTROL_INTERRUPT)
		interrupt(ioat, channel);
}

/* ---- registers ---- */

/* Descriptors that were issued since the last look: DMACOUNT counts them, modulo 65536. */
static bool look_count(struct channel *channel, uint16_t count)
{
	if (count == channel->seen)
		return false;
	if (channel->status == SUSPENDED || channel->status == HALTED) {
		channel->next = hw_load64(channel->registers + CHAINADDR);
		channel->completed = 0;
		channel->pending = 0;
		set_errors(channel, 0);
	}
	channel->pending += (uint16_t)(count - channel->seen);
	channel->seen = count;
	set_status(channel, ACTIVE);
	return true;
}

static bool look_command(struct ioat *ioat, struct channel *channel)
{
	uint8_t command = hw_load8(channel->registers + CHANCMD);

	if (!command)
		return false;
	if (command & CHANCMD_RESET)
		reset_channel(ioat, channel);
	else if (command & CHANCMD_SUSPEND)
		suspend(channel);
	else if (command & CHANCMD_RESUME && channel->status == SUSPENDED)
		set_status(channel, channel->pending ? ACTIVE : DONE);
	hw_replace8(channel->registers + CHANCMD, command, 0);
	return true;
}

static bool look_control(struct ioat *ioat, struct channel *channel)
{
	uint16_t control = hw_load16(channel->registers + CHANCTRL);

	if (!(control & CHANCTRL_REARM))
		return false;
	hw_replace16(channel->registers + CHANCTRL, control, control & (uint16_t)~CHANCTRL_REARM);
	rearm(ioat, channel);
	return true;
}

/*
 * What was stored to CHANERR clears those bits. write() clears them in memory itself,
 * but tells of it first.
 */
static bool look_errors(struct channel *channel)
{
	uint32_t stored = hw_load32(channel->registers + CHANERR);
	uint32_t clear = __atomic_exchange_n(&channel->cleared, 0, __ATOMIC_SEQ_CST);
	uint32_t errors = channel->errors & ~clear;

	if (stored != errors && stored != channel->errors)
		errors &= ~stored;
	else if (!clear)
		return false;
	set_errors(channel, errors);
	return true;
}

/* All that was stored to a channel's registers. */
static bool look_registers(struct ioat *ioat, struct channel *channel)
{
	/* First, since the program stores it last. */
	uint16_t count = hw_load16(channel->registers + DMACOUNT);
	bool busy = look_errors(channel);

	/* A command that is seen now may be older than the count. */
	if (look_command(ioat, channel))
		return true;
	busy |= look_control(ioat, channel);
	return look_count(channel, count) || busy;
}

static bool look(void *device)
{
	struct ioat *ioat = device;
	bool busy = false;

	for (unsigned int i = 0; i < ioat->nr_channels && hw_worker_wanted(&ioat->worker); i++) {
		struct channel *channel = &ioat->channel[i];

		pthread_mutex_lock(&ioat->lock);
		busy |= look_registers(ioat, channel);
		if (channel->status == ACTIVE && channel->pending) {
			advance(ioat, channel);
			busy = true;
		}
		update_pin(ioat);
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
	if (offset == ATTNSTATUS && size == 4) {
		uint32_t *attention = (uint32_t *)(void *)(ioat->registers + ATTNSTATUS);
		uint32_t value = __atomic_exchange_n(attention, 0, __ATOMIC_SEQ_CST);

		hw_worker_kick(&ioat->worker);
		return le32toh(value);
	}
	return hw_load(ioat->registers + offset, size);
}

static void clear_errors(struct channel *channel, uint32_t bits)
{
	uint32_t *errors = (uint32_t *)(void *)(channel->registers + CHANERR);

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
	uint64_t number = offset / CHANNEL_SIZE - 1;
	struct channel *channel = number < ioat->nr_channels ? &ioat->channel[number] : NULL;

	pthread_mutex_lock(&ioat->lock);
	if (channel && offset % CHANNEL_SIZE == CHANERR && size == 4)
		clear_errors(channel, (uint32_t)value);
	else
		hw_store(ioat->registers + offset, size, value);
	if (channel && hw_worker_wanted(&ioat->worker))
		look_registers(ioat, channel);
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
		ioat->channel[i].registers = ioat->registers + CHANNEL_SIZE * (i + 1);
		reset_channel(ioat, &ioat->channel[i]);
	}
}

static bool take_channels(void *options, unsigned int number, const char *value)
{
	struct ioat *ioat = options;
	uint64_t channels;

	if (!hw_parse_number(value, MAX_CHANNELS, &channels) || !channels)
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

static const struct hw_option known_options[] = {
	{"channels", "a number from 1 to 16", take_channels, 0},
	{"transfer", "a power of two of bytes from 4K to 1M", take_transfer, 0},
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
		const struct channel *channel = &ioat->channel[i];

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

static void read_channel(struct hw_reader *reader, struct channel *channel)
{
	channel->next = hw_read64(reader);
	channel->completed = hw_read64(reader);
	channel->seen = (uint16_t)hw_read_below(reader, UINT16_MAX);
	channel->pending = hw_read32(reader);
	channel->status = hw_read_below(reader, HALTED);
	channel->errors = hw_read32(reader);
	channel->armed = hw_read_below(reader, 1);
	channel->wants_interrupt = hw_read_below(reader, 1);
}

static int ioat_load(struct hw_device *dev, const void *state, size_t size)
{
	struct ioat *ioat = of(dev);
	struct hw_reader reader = {.at = state, .left = size};
	struct channel channels[MAX_CHANNELS];
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
	.summary = "Intel's I/OAT copy engine: channels=1,transfer=64K",
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
