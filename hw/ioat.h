/* SPDX-License-Identifier: MIT */
/*
 * An I/OAT engine: ioat.c is the device, ioat_channel.c what its channels do.
 */
#ifndef HW_IOAT_H
#define HW_IOAT_H

#include "hw/device.h"
#include "hw/registers.h"
#include "hw/worker.h"

#define IOAT_CHANNEL_SIZE 0x80 /* of registers */
#define IOAT_MAX_CHANNELS 16
#define IOAT_BUFFER       0x10000 /* bytes that pass through the engine at once */

/* Registers of the device. */
enum {
	IOAT_INTRCTRL = 0x03,   /* 8 bits */
	IOAT_ATTNSTATUS = 0x04, /* 32 bits: a bit for each channel */
};

#define IOAT_INTRCTRL_VECTORS 0x08 /* each channel has a vector of MSI-X */

/* CHANERR, of a channel's registers: 32 bits, cleared by writing 1. */
#define IOAT_CHANERR 0x28

/* CHANSTS: the completed descriptor's address, and in its low bits: */
enum ioat_status {
	IOAT_ACTIVE,
	IOAT_DONE,
	IOAT_SUSPENDED,
	IOAT_HALTED
};

struct ioat_channel {
	uint8_t *registers;
	uint64_t next;      /* descriptor */
	uint64_t completed; /* the last one */
	uint16_t seen;      /* DMACOUNT as it was seen last */
	uint32_t pending;   /* descriptors that are to be done */
	enum ioat_status status;
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
	bool ignore_faults; /* an option: accesses that are refused halt no channel */
	bool pin;
	struct ioat_channel channel[IOAT_MAX_CHANNELS];
	uint8_t buffer[IOAT_BUFFER];
};

/* The pin follows INTRCTRL, and its status ATTNSTATUS. */
void ioat_update_pin(struct ioat *ioat);
void ioat_reset_channel(struct ioat *ioat, struct ioat_channel *channel);
/* INTRCTRL was written since the channels were reset: they are ready for a chain. */
void ioat_look_interrupts(struct ioat *ioat);
/* All that was stored to a channel's registers. */
bool ioat_look_registers(struct ioat *ioat, struct ioat_channel *channel);
/* Do the next descriptor of a channel that has one to do. */
void ioat_advance(struct ioat *ioat, struct ioat_channel *channel);

#endif
