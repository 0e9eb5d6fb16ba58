/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller, as "NVM Express" revision 1.4 describes it; sections are its.
 *
 * nvme.c       registers, the thread, life
 * nvme_queue.c submission and completion queues, doorbells, interrupts
 * nvme_data.c  PRPs and SGLs, and data to and from the program's memory
 * nvme_admin.c nvme_identify.c nvme_io.c  commands
 * nvme_store.c what a namespace keeps its blocks in
 * nvme_state.c migration
 *
 * All state belongs to the thread, or to the caller while the thread is at rest. Only
 * the registers, which are memory that the program may have mapped, change at any time.
 */
#ifndef HW_NVME_H
#define HW_NVME_H

#include "hw/device.h"
#include "hw/registers.h"
#include "hw/worker.h"

#define NVME_BAR_SIZE     0x4000
#define NVME_MSIX_TABLE   0x2000
#define NVME_MSIX_PENDING 0x3000

#define NVME_MAX_IO_QUEUES 64
#define NVME_MAX_ENTRIES   2048 /* of a queue: CAP.MQES + 1 */
#define NVME_MAX_ADMIN     4096
#define NVME_MAX_NS        64
#define NVME_MAX_SEGMENTS  512
#define NVME_MDTS          7 /* 2^7 pages of 4 KiB */
#define NVME_MAX_TRANSFER  (4096u << NVME_MDTS)
#define NVME_NR_AERS       4
#define NVME_SQE           64
#define NVME_CQE           16
#define NVME_BATCH         8 /* completions that are written at once */

/* Registers, 3.1. */
enum {
	NVME_CAP = 0x00,
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_INTMC = 0x10,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_DOORBELLS = 0x1000,
};

#define NVME_CC_EN      0x1u
#define NVME_CC_SHN(cc) ((cc) >> 14 & 3)
#define NVME_CSTS_RDY   0x1u
#define NVME_CSTS_CFS   0x2u
#define NVME_CSTS_SHST  0xcu
#define NVME_CSTS_SHUT  0x8u /* shutdown processing is complete */

/* Status of a completion, 4.6.1: type and code, and "do not retry". */
enum nvme_status {
	NVME_SUCCESS = 0,
	NVME_INVALID_OPCODE = 0x4001,
	NVME_INVALID_FIELD = 0x4002,
	NVME_TRANSFER_ERROR = 0x0004,
	NVME_ABORTED = 0x0007,
	NVME_INVALID_NAMESPACE = 0x400b,
	NVME_SEQUENCE_ERROR = 0x400c,
	NVME_INVALID_SGL_SEGMENT = 0x400d,
	NVME_SGL_COUNT = 0x400e,
	NVME_SGL_LENGTH = 0x400f,
	NVME_SGL_TYPE = 0x4011,
	NVME_INVALID_PRP_OFFSET = 0x4013,
	NVME_WRITE_PROTECTED = 0x4020,
	NVME_LBA_RANGE = 0x4080,
	NVME_INVALID_CQ = 0x4100,
	NVME_INVALID_QUEUE = 0x4101,
	NVME_INVALID_QUEUE_SIZE = 0x4102,
	NVME_TOO_MANY_AERS = 0x4105,
	NVME_INVALID_VECTOR = 0x4108,
	NVME_INVALID_LOG = 0x4109,
	NVME_QUEUE_NOT_EMPTY = 0x410c, /* invalid queue deletion */
	NVME_FEATURE_NOT_SAVEABLE = 0x410d,
	NVME_WRITE_FAULT = 0x0280,
	NVME_READ_ERROR = 0x0281,
	NVME_COMPARE_FAILURE = 0x0285,
	NVME_NO_COMPLETION = 0xffff, /* not of the specification: none yet */
};

/* What is known of a doorbell beside its value. */
struct nvme_bell {
	uint32_t bad;   /* a value that was reported, or UINT32_MAX */
	uint32_t event; /* 7.13: the index in the program's memory, or UINT32_MAX */
};

#define NVME_NEW_BELL ((struct nvme_bell){UINT32_MAX, UINT32_MAX})
#define NVME_NOT_RUNG UINT32_MAX

struct nvme_sq {
	bool exists;
	uint16_t cqid;
	uint32_t size, head, tail;
	uint64_t base;
	struct nvme_bell bell;
};

struct nvme_cq {
	bool exists, phase, interrupts;
	uint16_t vector;
	uint32_t size, head, tail;
	uint64_t base;
	unsigned int nr_sqs;
	struct nvme_bell bell;
	/* Completions that are not in memory yet, the first at @tail. */
	unsigned int nr_pending;
	uint8_t pending[NVME_BATCH][NVME_CQE];
};

struct nvme_ns {
	uint64_t blocks;
	uint64_t size;   /* bytes */
	uint8_t *memory; /* NULL: there is a file */
	int fd;
};

struct nvme_segment {
	uint64_t iova;
	uint32_t length;
	bool discard; /* SGL bit bucket */
};

/* 5.12.1: values of Set Features that are only kept. */
enum {
	NVME_NR_FEATURES = 12
};

struct nvme_stats {
	uint64_t read_blocks, written_blocks, reads, writes;
};

struct nvme {
	const struct hw_device_host *ops;
	void *host;
	struct hw_identity identity;
	struct hw_worker worker;
	uint8_t *registers;

	/* Options. */
	unsigned int nr_io_queues, block_lg2;
	bool read_only;
	char serial[21];
	struct nvme_ns ns[NVME_MAX_NS];
	unsigned int nr_ns;

	uint32_t cc, csts; /* as seen, as stored */
	uint32_t mask;     /* interrupt vectors that are masked, of the pin */
	bool pin;          /* as it was driven last */
	unsigned int page_lg2;
	struct nvme_sq sq[NVME_MAX_IO_QUEUES + 1];
	struct nvme_cq cq[NVME_MAX_IO_QUEUES + 1];

	uint16_t aer[NVME_NR_AERS]; /* command identifiers */
	unsigned int nr_aers;
	/* 5.2: an error event is reported once until its log page was read. */
	bool event_waits, event_masked;
	uint8_t event_info;

	uint32_t features[NVME_NR_FEATURES];
	bool queues_agreed;           /* Set Features, number of queues */
	uint64_t shadow, event_index; /* 7.13: IOVAs of shadow doorbells, if @shadowed */
	bool shadowed;
	struct nvme_stats stats;

	/* Of the command at hand. */
	struct nvme_segment segments[NVME_MAX_SEGMENTS];
	unsigned int nr_segments;
	uint32_t result; /* dword 0 of its completion */
	uint8_t buffer[NVME_MAX_TRANSFER];
};

static inline struct nvme *nvme_of(struct hw_device *dev)
{
	return (struct nvme *)dev;
}

/* ---- nvme.c ---- */

/* 3.1.6: an error that no completion can tell of. */
void nvme_fail(struct nvme *nvme);

/* ---- nvme_queue.c ---- */

void nvme_reset_doorbell(struct nvme *nvme, unsigned int qid, bool completion);
void nvme_open_sq(struct nvme *nvme, unsigned int sqid, uint64_t base, uint32_t size,
		  unsigned int cqid);
void nvme_open_cq(struct nvme *nvme, unsigned int cqid, uint64_t base, uint32_t size, bool irq,
		  uint16_t vector);
void nvme_close_sq(struct nvme *nvme, unsigned int sqid);
void nvme_close_cq(struct nvme *nvme, unsigned int cqid);
/* Commands of one submission queue, a few; false if there is none. */
bool nvme_look_queue(struct nvme *nvme, unsigned int sqid);
/* A completion of command @cid of queue @sqid. */
void nvme_post(struct nvme *nvme, unsigned int sqid, uint16_t cid, uint32_t result,
	       uint16_t status);
/* Write what was posted to a queue to memory, and signal it. */
void nvme_flush(struct nvme *nvme, unsigned int cqid);
/* The pin follows the completion queues. */
void nvme_update_pin(struct nvme *nvme);
/* 5.2: an error event for the asynchronous event requests. */
void nvme_raise_event(struct nvme *nvme, uint8_t info);
void nvme_report_event(struct nvme *nvme);

/* ---- nvme_data.c ---- */

/*
 * Find where the data of @command lie, @length bytes: into nvme->segments. @to_host:
 * the command writes to memory. PRPs only, if !@sgls.
 */
uint16_t nvme_map(struct nvme *nvme, const uint8_t *command, uint32_t length, bool to_host,
		  bool sgls);
uint16_t nvme_to_host(struct nvme *nvme, const void *from);
uint16_t nvme_from_host(struct nvme *nvme, void *to);

/* ---- commands: the status, or NVME_NO_COMPLETION ---- */

uint16_t nvme_admin(struct nvme *nvme, const uint8_t *command);
uint16_t nvme_identify(struct nvme *nvme, const uint8_t *command);
uint16_t nvme_log_page(struct nvme *nvme, const uint8_t *command);
uint16_t nvme_io(struct nvme *nvme, const uint8_t *command);

/* ---- nvme_store.c ---- */

/* Opens what @ns has, a file or @size bytes of memory; false with a line in @error. */
bool nvme_open_file(struct nvme_ns *ns, const char *path, bool read_only, char *error,
		    size_t error_size);
bool nvme_open_memory(struct nvme_ns *ns, uint64_t size, char *error, size_t error_size);
void nvme_close_ns(struct nvme_ns *ns);
/* The bytes at @at, in the namespace's memory or in @buffer; NULL if they cannot be read. */
const void *nvme_read_store(struct nvme_ns *ns, uint64_t at, uint32_t length, void *buffer);
/* Where bytes for @at may be put, and what takes them over; false if that fails. */
void *nvme_write_place(struct nvme_ns *ns, uint64_t at, void *buffer);
bool nvme_write_store(struct nvme_ns *ns, uint64_t at, uint32_t length, const void *buffer);
bool nvme_zero_store(struct nvme_ns *ns, uint64_t at, uint64_t length);
bool nvme_flush_store(struct nvme_ns *ns);

/* ---- nvme_state.c ---- */

size_t nvme_save(struct hw_device *dev, void *state, size_t size);
int nvme_load(struct hw_device *dev, const void *state, size_t size);

/* ---- fields of a command, 4.2 ---- */

static inline uint32_t nvme_dword(const uint8_t *command, unsigned int number)
{
	return hw_get32(command + 4 * number);
}

static inline uint8_t nvme_opcode(const uint8_t *command)
{
	return command[0];
}

static inline uint16_t nvme_cid(const uint8_t *command)
{
	return hw_get16(command + 2);
}

static inline uint32_t nvme_nsid(const uint8_t *command)
{
	return nvme_dword(command, 1);
}

static inline struct nvme_ns *nvme_find_ns(struct nvme *nvme, uint32_t nsid)
{
	return nsid && nsid <= nvme->nr_ns ? &nvme->ns[nsid - 1] : NULL;
}

#endif
