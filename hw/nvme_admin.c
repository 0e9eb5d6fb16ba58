// SPDX-License-Identifier: MIT
/* Admin commands: section 5. */
#include "hw/nvme.h"

enum {
	DELETE_SQ = 0x00,
	CREATE_SQ = 0x01,
	GET_LOG_PAGE = 0x02,
	DELETE_CQ = 0x04,
	CREATE_CQ = 0x05,
	IDENTIFY = 0x06,
	ABORT = 0x08,
	SET_FEATURES = 0x09,
	GET_FEATURES = 0x0a,
	ASYNC_EVENT = 0x0c,
	DOORBELL_BUFFER_CONFIG = 0x7c,
};

/* Feature identifiers, 5.21.1. */
enum {
	ARBITRATION = 0x01,
	POWER_MANAGEMENT = 0x02,
	TEMPERATURE_THRESHOLD = 0x04,
	ERROR_RECOVERY = 0x05,
	VOLATILE_WRITE_CACHE = 0x06,
	NUMBER_OF_QUEUES = 0x07,
	INTERRUPT_COALESCING = 0x08,
	INTERRUPT_VECTOR = 0x09,
	WRITE_ATOMICITY = 0x0a,
	ASYNC_EVENTS = 0x0b,
};

/* Fields that both commands have which create a queue, 5.3 and 5.4. */
struct creation {
	uint64_t base;
	uint32_t size, flags; /* dword 11 */
	unsigned int qid;
};

static uint16_t read_creation(const struct nvme *nvme, const uint8_t *command,
			      struct creation *creation, bool taken)
{
	creation->base = hw_get64(command + 24);
	creation->qid = nvme_dword(command, 10) & 0xffff;
	creation->size = (nvme_dword(command, 10) >> 16) + 1;
	creation->flags = nvme_dword(command, 11);
	if (taken)
		return NVME_INVALID_QUEUE;
	if (creation->size < 2 || creation->size > NVME_MAX_ENTRIES)
		return NVME_INVALID_QUEUE_SIZE;
	if (!(creation->flags & 1)) /* physically contiguous: CAP.CQR */
		return NVME_INVALID_FIELD;
	if (creation->base & ((UINT64_C(1) << nvme->page_lg2) - 1))
		return NVME_INVALID_PRP_OFFSET;
	return NVME_SUCCESS;
}

static bool is_io_queue(const struct nvme *nvme, unsigned int qid)
{
	return qid && qid <= nvme->nr_io_queues;
}

static uint16_t create_cq(struct nvme *nvme, const uint8_t *command)
{
	unsigned int qid = nvme_dword(command, 10) & 0xffff;
	bool taken = !is_io_queue(nvme, qid) || nvme->cq[qid].exists;
	struct creation creation;
	uint16_t status = read_creation(nvme, command, &creation, taken);
	uint16_t vector = (uint16_t)(creation.flags >> 16);

	if (status)
		return status;
	if (vector >= nvme->identity.msix)
		return NVME_INVALID_VECTOR;
	if ((nvme->cc >> 20 & 0xf) != 4) /* IOCQES */
		return NVME_INVALID_FIELD;
	nvme_open_cq(nvme, qid, creation.base, creation.size, creation.flags & 2, vector);
	return NVME_SUCCESS;
}

static uint16_t create_sq(struct nvme *nvme, const uint8_t *command)
{
	unsigned int qid = nvme_dword(command, 10) & 0xffff;
	bool taken = !is_io_queue(nvme, qid) || nvme->sq[qid].exists;
	struct creation creation;
	uint16_t status = read_creation(nvme, command, &creation, taken);
	unsigned int cqid = creation.flags >> 16;

	if (status)
		return status;
	if (!is_io_queue(nvme, cqid) || !nvme->cq[cqid].exists)
		return NVME_INVALID_CQ;
	if ((nvme->cc >> 16 & 0xf) != 6) /* IOSQES */
		return NVME_INVALID_FIELD;
	nvme_open_sq(nvme, qid, creation.base, creation.size, cqid);
	return NVME_SUCCESS;
}

static uint16_t delete_sq(struct nvme *nvme, const uint8_t *command)
{
	unsigned int qid = nvme_dword(command, 10) & 0xffff;

	if (!is_io_queue(nvme, qid) || !nvme->sq[qid].exists)
		return NVME_INVALID_QUEUE;
	nvme_close_sq(nvme, qid);
	return NVME_SUCCESS;
}

static uint16_t delete_cq(struct nvme *nvme, const uint8_t *command)
{
	unsigned int qid = nvme_dword(command, 10) & 0xffff;

	if (!is_io_queue(nvme, qid) || !nvme->cq[qid].exists)
		return NVME_INVALID_QUEUE;
	if (nvme->cq[qid].nr_sqs)
		return NVME_QUEUE_NOT_EMPTY;
	nvme_close_cq(nvme, qid);
	nvme_update_pin(nvme);
	return NVME_SUCCESS;
}

static uint16_t set_features(struct nvme *nvme, const uint8_t *command)
{
	uint32_t id = nvme_dword(command, 10) & 0xff, value = nvme_dword(command, 11);

	if (nvme_dword(command, 10) >> 31) /* save */
		return NVME_FEATURE_NOT_SAVEABLE;
	switch (id) {
	case NUMBER_OF_QUEUES:
		for (unsigned int qid = 1; qid <= nvme->nr_io_queues; qid++)
			if (nvme->sq[qid].exists || nvme->cq[qid].exists)
				return NVME_SEQUENCE_ERROR;
		if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
			return NVME_INVALID_FIELD;
		nvme->result = (nvme->nr_io_queues - 1) * 0x10001;
		return NVME_SUCCESS;
	case POWER_MANAGEMENT: /* there is one power state */
		if (value & 0x1f)
			return NVME_INVALID_FIELD;
		break;
	case VOLATILE_WRITE_CACHE:
		value &= 1;
		break;
	case ARBITRATION:
	case TEMPERATURE_THRESHOLD:
	case ERROR_RECOVERY:
	case INTERRUPT_COALESCING: /* a hint: nothing is held back */
	case WRITE_ATOMICITY:
	case ASYNC_EVENTS:
		break;
	case INTERRUPT_VECTOR:
		return (value & 0xffff) < nvme->identity.msix ? NVME_SUCCESS : NVME_INVALID_FIELD;
	default:
		return NVME_INVALID_FIELD;
	}
	nvme->features[id] = value;
	return NVME_SUCCESS;
}

static uint16_t get_features(struct nvme *nvme, const uint8_t *command)
{
	uint32_t id = nvme_dword(command, 10) & 0xff;

	switch (id) {
	case NUMBER_OF_QUEUES:
		nvme->result = (nvme->nr_io_queues - 1) * 0x10001;
		return NVME_SUCCESS;
	case INTERRUPT_VECTOR:
		nvme->result = nvme_dword(command, 11) & 0xffff;
		return nvme->result < nvme->identity.msix ? NVME_SUCCESS : NVME_INVALID_FIELD;
	case ARBITRATION:
	case POWER_MANAGEMENT:
	case TEMPERATURE_THRESHOLD:
	case ERROR_RECOVERY:
	case VOLATILE_WRITE_CACHE:
	case INTERRUPT_COALESCING:
	case WRITE_ATOMICITY:
	case ASYNC_EVENTS:
		nvme->result = nvme->features[id];
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD;
	}
}

static uint16_t async_event(struct nvme *nvme, const uint8_t *command)
{
	if (nvme->nr_aers == NVME_NR_AERS)
		return NVME_TOO_MANY_AERS;
	nvme->aer[nvme->nr_aers++] = nvme_cid(command);
	return NVME_NO_COMPLETION;
}

/* 5.7: the shadow doorbells and their event indices, a page each. */
static uint16_t doorbell_buffer_config(struct nvme *nvme, const uint8_t *command)
{
	uint64_t shadow = hw_get64(command + 24), event_index = hw_get64(command + 32);

	if ((shadow | event_index) & ((UINT64_C(1) << nvme->page_lg2) - 1))
		return NVME_INVALID_PRP_OFFSET;
	nvme->shadow = shadow;
	nvme->event_index = event_index;
	nvme->shadowed = true;
	for (unsigned int qid = 1; qid <= nvme->nr_io_queues; qid++)
		nvme->sq[qid].bell = nvme->cq[qid].bell = NVME_NEW_BELL;
	return NVME_SUCCESS;
}

uint16_t nvme_admin(struct nvme *nvme, const uint8_t *command)
{
	if (command[1] & 3) /* fused operations */
		return NVME_INVALID_FIELD;
	switch (nvme_opcode(command)) {
	case DELETE_SQ:
		return delete_sq(nvme, command);
	case CREATE_SQ:
		return create_sq(nvme, command);
	case GET_LOG_PAGE:
		return nvme_log_page(nvme, command);
	case DELETE_CQ:
		return delete_cq(nvme, command);
	case CREATE_CQ:
		return create_cq(nvme, command);
	case IDENTIFY:
		return nvme_identify(nvme, command);
	case ABORT: /* 5.1: no command is under way that could be aborted */
		nvme->result = 1;
		return NVME_SUCCESS;
	case SET_FEATURES:
		return set_features(nvme, command);
	case GET_FEATURES:
		return get_features(nvme, command);
	case ASYNC_EVENT:
		return async_event(nvme, command);
	case DOORBELL_BUFFER_CONFIG:
		return doorbell_buffer_config(nvme, command);
	default:
		return NVME_INVALID_OPCODE;
	}
}
