// SPDX-License-Identifier: MIT
/*
 * A channel of an I/OAT engine. Its registers may be mapped, so each is memory that the
 * thread looks at. How a store that does not change the value is told from none:
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
#include "hw/ioat.h"

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

/* ---- interrupts ---- */

void ioat_update_pin(struct ioat *ioat)
{
	uint32_t attention = hw_load32(ioat->registers + IOAT_ATTNSTATUS);
	uint8_t old = hw_load8(ioat->registers + IOAT_INTRCTRL);
	uint8_t control = old & (uint8_t) ~(INTRCTRL_STATUS | INTRCTRL_INT);
	bool pin = attention && old & INTRCTRL_MASTER;

	if (attention)
		control |= INTRCTRL_STATUS;
	if (pin)
		control |= INTRCTRL_INT;
	if (control != old)
		hw_replace8(ioat->registers + IOAT_INTRCTRL, old, control);
	if (pin != ioat->pin)
		ioat->ops->set_intx(ioat->host, pin);
	ioat->pin = pin;
}

static void change_attention(struct ioat *ioat, uint32_t clear, uint32_t set)
{
	uint32_t *attention = (uint32_t *)(void *)(ioat->registers + IOAT_ATTNSTATUS);

	if (clear)
		__atomic_and_fetch(attention, htole32(~clear), __ATOMIC_SEQ_CST);
	if (set)
		__atomic_or_fetch(attention, htole32(set), __ATOMIC_SEQ_CST);
	ioat_update_pin(ioat);
}

static void interrupt(struct ioat *ioat, struct ioat_channel *channel)
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

static void rearm(struct ioat *ioat, struct ioat_channel *channel)
{
	channel->armed = true;
	change_attention(ioat, 1u << (channel - ioat->channel), 0);
	if (channel->wants_interrupt)
		interrupt(ioat, channel);
}

/* ---- the state of a channel ---- */

static void set_status(struct ioat_channel *channel, enum ioat_status status)
{
	channel->status = status;
	hw_store64(channel->registers + CHANSTS, channel->completed | status);
}

/* Before the status that tells of it: what is stored from now on begins a new chain. */
static void expect_chain(struct ioat_channel *channel)
{
	channel->seen = 0;
	hw_store16(channel->registers + DMACOUNT, 0);
	hw_store64(channel->registers + CHAINADDR, 0);
}

static void set_errors(struct ioat_channel *channel, uint32_t errors)
{
	channel->errors = errors;
	hw_store32(channel->registers + IOAT_CHANERR, errors);
}

static bool write_completion(struct ioat *ioat, struct ioat_channel *channel)
{
	uint64_t iova = hw_load64(channel->registers + CHANCMP) & ~UINT64_C(7);
	uint8_t status[8];

	hw_put64(status, channel->completed | channel->status);
	return !ioat->ops->write(ioat->host, HW_NO_PASID, iova, status, sizeof(status));
}

static void halt(struct ioat *ioat, struct ioat_channel *channel, uint32_t error)
{
	uint16_t control = hw_load16(channel->registers + CHANCTRL);

	channel->pending = 0;
	set_errors(channel, channel->errors | error);
	expect_chain(channel);
	set_status(channel, IOAT_HALTED);
	if (control & CHANCTRL_ERR_COMPL && error != CHANERR_COMPLETION)
		write_completion(ioat, channel);
	if (control & CHANCTRL_ERR_INT)
		interrupt(ioat, channel);
}

void ioat_reset_channel(struct ioat *ioat, struct ioat_channel *channel)
{
	channel->pending = 0;
	channel->completed = 0;
	channel->next = 0;
	channel->armed = true;
	channel->wants_interrupt = false;
	set_errors(channel, 0);
	expect_chain(channel);
	__atomic_and_fetch(ioat->registers + IOAT_INTRCTRL, (uint8_t)~IOAT_INTRCTRL_VECTORS,
			   __ATOMIC_SEQ_CST);
	change_attention(ioat, 1u << (channel - ioat->channel), 0);
	set_status(channel, IOAT_HALTED);
}

static void suspend(struct ioat_channel *channel)
{
	if (channel->status != IOAT_ACTIVE && channel->status != IOAT_DONE)
		return;
	/* What was issued before the command is still to be done after RESUME. */
	channel->pending += (uint16_t)(hw_load16(channel->registers + DMACOUNT) - channel->seen);
	expect_chain(channel);
	set_status(channel, IOAT_SUSPENDED);
}

/* ---- descriptors ---- */

/* The error, or 0. */
static uint32_t copy(struct ioat *ioat, uint64_t target, uint64_t source, uint32_t size)
{
	while (size) {
		uint32_t now = size < IOAT_BUFFER ? size : IOAT_BUFFER;

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
	uint32_t control = hw_get32(desc + DESC_CONTROL), size = hw_get32(desc + DESC_SIZE), error;

	if (CONTROL_OP(control))
		return CHANERR_CONTROL;
	if (!size || size > 1u << ioat->transfer_lg2)
		return CHANERR_LENGTH;
	if (control & CONTROL_NULL)
		return 0;
	error = copy(ioat, hw_get64(desc + DESC_TARGET), hw_get64(desc + DESC_SOURCE), size);
	return ioat->ignore_faults ? 0 : error;
}

void ioat_advance(struct ioat *ioat, struct ioat_channel *channel)
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
	channel->status = channel->pending ? IOAT_ACTIVE : IOAT_DONE;
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
static bool look_count(struct ioat_channel *channel, uint16_t count)
{
	if (count == channel->seen)
		return false;
	if (channel->status == IOAT_SUSPENDED || channel->status == IOAT_HALTED) {
		channel->next = hw_load64(channel->registers + CHAINADDR);
		channel->completed = 0;
		channel->pending = 0;
		set_errors(channel, 0);
	}
	channel->pending += (uint16_t)(count - channel->seen);
	channel->seen = count;
	set_status(channel, IOAT_ACTIVE);
	return true;
}

/*
 * A channel is halted after a reset, and still so for a program that has just started a
 * chain. A program that enables interrupts in between finds it suspended instead.
 */
void ioat_look_interrupts(struct ioat *ioat)
{
	if (!(hw_load8(ioat->registers + IOAT_INTRCTRL) & IOAT_INTRCTRL_VECTORS))
		return;
	for (unsigned int i = 0; i < ioat->nr_channels; i++)
		if (ioat->channel[i].status == IOAT_HALTED && !ioat->channel[i].errors)
			set_status(&ioat->channel[i], IOAT_SUSPENDED);
}

static bool look_command(struct ioat *ioat, struct ioat_channel *channel)
{
	uint8_t command = hw_load8(channel->registers + CHANCMD);

	if (!command)
		return false;
	if (command & CHANCMD_RESET)
		ioat_reset_channel(ioat, channel);
	else if (command & CHANCMD_SUSPEND)
		suspend(channel);
	else if (command & CHANCMD_RESUME && channel->status == IOAT_SUSPENDED)
		set_status(channel, channel->pending ? IOAT_ACTIVE : IOAT_DONE);
	hw_replace8(channel->registers + CHANCMD, command, 0);
	return true;
}

static bool look_control(struct ioat *ioat, struct ioat_channel *channel)
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
static bool look_errors(struct ioat_channel *channel)
{
	uint32_t stored = hw_load32(channel->registers + IOAT_CHANERR);
	uint32_t clear = __atomic_exchange_n(&channel->cleared, 0, __ATOMIC_SEQ_CST);
	uint32_t errors = channel->errors & ~clear;

	if (stored != errors && stored != channel->errors)
		errors &= ~stored;
	else if (!clear)
		return false;
	set_errors(channel, errors);
	return true;
}

bool ioat_look_registers(struct ioat *ioat, struct ioat_channel *channel)
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
