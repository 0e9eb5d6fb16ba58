// SPDX-License-Identifier: MIT
/* Queues, doorbells and interrupts of an NVMe controller: sections 3.1.24, 4.1, 7.2, 7.13. */
#include "hw/nvme.h"

#define FETCH 16 /* commands that are read at once */

/* 5.2, figure 146: error status. */
#define EVENT_BAD_DOORBELL 1

static uint8_t *doorbell(struct nvme *nvme, unsigned int qid, bool completion)
{
	return nvme->registers + NVME_DOORBELLS + 8 * qid + 4 * completion;
}

void nvme_reset_doorbell(struct nvme *nvme, unsigned int qid, bool completion)
{
	hw_store32(doorbell(nvme, qid, completion), 0);
}

void nvme_open_sq(struct nvme *nvme, unsigned int sqid, uint64_t base, uint32_t size,
		  unsigned int cqid)
{
	nvme->sq[sqid] = (struct nvme_sq){
		.exists = true,
		.cqid = (uint16_t)cqid,
		.size = size,
		.base = base,
		.bell = NVME_NEW_BELL,
	};
	nvme->cq[cqid].nr_sqs++;
	nvme_reset_doorbell(nvme, sqid, false);
}

void nvme_open_cq(struct nvme *nvme, unsigned int cqid, uint64_t base, uint32_t size, bool irq,
		  uint16_t vector)
{
	nvme->cq[cqid] = (struct nvme_cq){
		.exists = true,
		.phase = true,
		.interrupts = irq,
		.vector = vector,
		.size = size,
		.base = base,
		.bell = NVME_NEW_BELL,
	};
	nvme_reset_doorbell(nvme, cqid, true);
}

void nvme_close_sq(struct nvme *nvme, unsigned int sqid)
{
	if (nvme->sq[sqid].exists)
		nvme->cq[nvme->sq[sqid].cqid].nr_sqs--;
	nvme->sq[sqid].exists = false;
	nvme_reset_doorbell(nvme, sqid, false);
}

void nvme_close_cq(struct nvme *nvme, unsigned int cqid)
{
	nvme->cq[cqid].exists = false;
	nvme->cq[cqid].nr_pending = 0;
	nvme_reset_doorbell(nvme, cqid, true);
}

/* ---- doorbells ---- */

/*
 * 7.13: the value is in the program's memory, and the program rings the doorbell only
 * when it passes the index that the controller has put beside it. @known: what the
 * controller has seen so far, which the index must be before it may wait for a ring. A
 * doorbell that waits holds a value that no program stores, since the same value as at
 * the last ring could not be seen. False if memory cannot be accessed.
 */
static bool read_shadow(struct nvme *nvme, unsigned int qid, bool completion,
			struct nvme_bell *bell, uint32_t *value)
{
	uint8_t *rung = doorbell(nvme, qid, completion);
	uint64_t offset = 8 * qid + 4 * completion;
	uint32_t known = *value;
	uint8_t bytes[4];

	if (bell->event == known && hw_load32(rung) == NVME_NOT_RUNG)
		return true;
	hw_store32(rung, NVME_NOT_RUNG);
	hw_put32(bytes, known);
	if (nvme->ops->write(nvme->host, HW_NO_PASID, nvme->event_index + offset, bytes, 4))
		return false;
	bell->event = known;
	/* The program stores the doorbell, then loads the index; here it is the reverse. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (nvme->ops->read(nvme->host, HW_NO_PASID, nvme->shadow + offset, bytes, 4))
		return false;
	*value = hw_get32(bytes);
	return true;
}

/* The doorbell's value, or @known where it is not possible, which is reported once. */
static uint32_t read_doorbell(struct nvme *nvme, unsigned int qid, bool completion,
			      struct nvme_bell *bell, uint32_t known, uint32_t size)
{
	uint32_t value = known;

	if (!nvme->shadowed || !qid)
		value = hw_load32(doorbell(nvme, qid, completion));
	else if (!read_shadow(nvme, qid, completion, bell, &value))
		nvme_fail(nvme);
	if (value < size) {
		bell->bad = UINT32_MAX;
		return value;
	}
	if (value != bell->bad) {
		bell->bad = value;
		nvme_raise_event(nvme, EVENT_BAD_DOORBELL);
	}
	return known;
}

static void look_head(struct nvme *nvme, unsigned int cqid)
{
	struct nvme_cq *cq = &nvme->cq[cqid];

	cq->head = read_doorbell(nvme, cqid, true, &cq->bell, cq->head, cq->size);
}

/* Completions that a queue has space for. */
static uint32_t space_now(const struct nvme_cq *cq)
{
	uint32_t used = (cq->tail + cq->size - cq->head) % cq->size + cq->nr_pending;

	return used >= cq->size - 1 ? 0 : cq->size - 1 - used;
}

static uint32_t space(struct nvme *nvme, unsigned int cqid, uint32_t wanted)
{
	if (space_now(&nvme->cq[cqid]) < wanted)
		look_head(nvme, cqid);
	return space_now(&nvme->cq[cqid]);
}

/* ---- completions ---- */

void nvme_update_pin(struct nvme *nvme)
{
	bool pin = false;

	for (unsigned int cqid = 0; cqid <= nvme->nr_io_queues && !pin; cqid++) {
		struct nvme_cq *cq = &nvme->cq[cqid];

		if (!cq->exists || !cq->interrupts || cq->head == cq->tail)
			continue;
		look_head(nvme, cqid);
		pin = cq->head != cq->tail && !(cq->vector < 32 && nvme->mask >> cq->vector & 1);
	}
	if (pin != nvme->pin)
		nvme->ops->set_intx(nvme->host, pin);
	nvme->pin = pin;
}

/*
 * Completions that lie side by side in memory. The program looks at them in order and
 * trusts one as soon as its phase is right: so the first one's comes last, after all
 * else has been written with the phase that it had before.
 */
static bool write_run(struct nvme *nvme, const struct nvme_cq *cq, const uint8_t *first,
		      uint32_t at, unsigned int count)
{
	uint64_t iova = cq->base + (uint64_t)at * NVME_CQE;
	uint8_t run[NVME_BATCH * NVME_CQE];

	memcpy(run, first, (size_t)count * NVME_CQE);
	run[14] ^= 1;
	if (nvme->ops->write(nvme->host, HW_NO_PASID, iova, run, (size_t)count * NVME_CQE))
		return false;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return !nvme->ops->write(nvme->host, HW_NO_PASID, iova + 12, first + 12, 4);
}

void nvme_flush(struct nvme *nvme, unsigned int cqid)
{
	struct nvme_cq *cq = &nvme->cq[cqid];
	unsigned int done = 0;

	if (!cq->nr_pending)
		return;
	while (done < cq->nr_pending) {
		unsigned int count = cq->nr_pending - done;

		if (count > cq->size - cq->tail)
			count = cq->size - cq->tail;
		if (!write_run(nvme, cq, cq->pending[done], cq->tail, count)) {
			cq->nr_pending = 0;
			nvme_fail(nvme);
			return;
		}
		done += count;
		cq->tail += count;
		if (cq->tail == cq->size) {
			cq->tail = 0;
			cq->phase = !cq->phase;
		}
	}
	cq->nr_pending = 0;
	if (cq->interrupts) {
		nvme->ops->signal(nvme->host, cq->vector);
		nvme_update_pin(nvme);
	}
}

/* 4.6 */
void nvme_post(struct nvme *nvme, unsigned int sqid, uint16_t cid, uint32_t result, uint16_t status)
{
	const struct nvme_sq *sq = &nvme->sq[sqid];
	struct nvme_cq *cq = &nvme->cq[sq->cqid];
	uint8_t *entry = cq->pending[cq->nr_pending];
	bool wrapped = cq->tail + cq->nr_pending >= cq->size;

	hw_put32(entry, result);
	hw_put32(entry + 4, 0);
	hw_put16(entry + 8, (uint16_t)sq->head);
	hw_put16(entry + 10, (uint16_t)sqid);
	hw_put16(entry + 12, cid);
	hw_put16(entry + 14, (uint16_t)(status << 1 | (cq->phase ^ wrapped)));
	if (++cq->nr_pending == NVME_BATCH)
		nvme_flush(nvme, sq->cqid);
}

/* ---- events ---- */

void nvme_raise_event(struct nvme *nvme, uint8_t info)
{
	if (nvme->event_masked || nvme->event_waits)
		return;
	nvme->event_waits = true;
	nvme->event_info = info;
}

void nvme_report_event(struct nvme *nvme)
{
	if (!nvme->event_waits || nvme->event_masked || !nvme->nr_aers || !space(nvme, 0, 1))
		return;
	nvme->event_waits = false;
	nvme->event_masked = true;
	/* Type error, its information, and the error information log page. */
	nvme_post(nvme, 0, nvme->aer[--nvme->nr_aers], (uint32_t)nvme->event_info << 8 | 1 << 16,
		  NVME_SUCCESS);
	nvme_flush(nvme, 0);
}

/* ---- submissions ---- */

static void run_command(struct nvme *nvme, unsigned int sqid, const uint8_t *command)
{
	struct nvme_sq *sq = &nvme->sq[sqid];
	uint16_t status;

	sq->head = (sq->head + 1) % sq->size;
	nvme->result = 0;
	status = sqid ? nvme_io(nvme, command) : nvme_admin(nvme, command);
	if (status != NVME_NO_COMPLETION)
		nvme_post(nvme, sqid, nvme_cid(command), nvme->result, status);
}

bool nvme_look_queue(struct nvme *nvme, unsigned int sqid)
{
	struct nvme_sq *sq = &nvme->sq[sqid];
	uint8_t commands[FETCH][NVME_SQE];
	uint32_t count, free;

	sq->tail = read_doorbell(nvme, sqid, false, &sq->bell, sq->tail, sq->size);
	if (sq->tail == sq->head || nvme->csts & NVME_CSTS_CFS)
		return false;
	count = (sq->tail > sq->head ? sq->tail : sq->size) - sq->head;
	if (count > FETCH)
		count = FETCH;
	free = space(nvme, sq->cqid, count);
	if (count > free)
		count = free;
	if (!count)
		return false;
	if (nvme->ops->read(nvme->host, HW_NO_PASID, sq->base + (uint64_t)sq->head * NVME_SQE,
			    commands, (size_t)count * NVME_SQE)) {
		nvme_fail(nvme);
		return false;
	}
	for (uint32_t i = 0; i < count && hw_worker_wanted(&nvme->worker); i++) {
		run_command(nvme, sqid, commands[i]);
		if (nvme->csts & NVME_CSTS_CFS)
			return false;
	}
	nvme_flush(nvme, sq->cqid);
	return true;
}
