// SPDX-License-Identifier: MIT
/*
 * The registers of an NVMe controller and the thread that looks at them.
 *
 * The BAR may be mapped whole, so a register is memory. How a store that does not
 * change the value is told from none:
 *
 * - CC, AQA, ASQ, ACQ, doorbells: such a store asks for nothing, so that it need not be
 *   seen; CC.EN is cleared where it could not be followed. A doorbell is 0 when its queue is
 * created, and can come to the same value again only after the controller has taken the commands in
 * between.
 * - INTMS holds the mask; a bit that is set already need not be set. INTMC holds 0, so
 *   that any store that clears something is seen; only read() gives the mask there.
 * - Registers that are read-only are stored again when they have been overwritten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/models.h"
#include "hw/nvme.h"
#include "hw/options.h"

#define DEFAULT_SIZE (UINT64_C(64) << 20)
#define MAX_SIZE     (UINT64_C(1) << 46)
#define MAX_PAGE_LG2 16 /* CAP.MPSMAX */

/* ---- registers ---- */

static void store_csts(struct nvme *nvme, uint32_t csts)
{
	nvme->csts = csts;
	hw_store32(nvme->registers + NVME_CSTS, csts);
}

void nvme_fail(struct nvme *nvme)
{
	store_csts(nvme, nvme->csts | NVME_CSTS_CFS);
}

static void store_read_only(struct nvme *nvme)
{
	uint64_t cap = (NVME_MAX_ENTRIES - 1) | UINT64_C(1) << 16 /* CQR */ |
		       UINT64_C(20) << 24 /* TO: 10 s */ | UINT64_C(1) << 37 /* CSS: NVM */ |
		       (uint64_t)(MAX_PAGE_LG2 - 12) << 52;

	hw_store64(nvme->registers + NVME_CAP, cap);
	hw_store32(nvme->registers + NVME_VS, 0x00010400);
}

static void close_queues(struct nvme *nvme)
{
	for (unsigned int qid = 0; qid <= nvme->nr_io_queues; qid++) {
		nvme_close_sq(nvme, qid);
		nvme_close_cq(nvme, qid);
	}
	nvme->nr_aers = 0;
	nvme->event_waits = nvme->event_masked = false;
	nvme->queues_agreed = false;
	nvme->shadowed = false;
	nvme_update_pin(nvme);
}

/* 7.3.2: a controller reset keeps AQA, ASQ and ACQ. */
static void disable(struct nvme *nvme)
{
	close_queues(nvme);
	memset(nvme->features, 0, sizeof(nvme->features));
	nvme->features[0x06] = 1; /* volatile write cache */
	store_read_only(nvme);
	store_csts(nvme, 0);
}

/* 3.1.5 */
static bool may_enable(const struct nvme *nvme, uint64_t asq, uint64_t acq)
{
	unsigned int css = nvme->cc >> 4 & 7, ams = nvme->cc >> 11 & 7;

	return !css && !ams && nvme->page_lg2 <= MAX_PAGE_LG2 &&
	       !((asq | acq) & ((UINT64_C(1) << nvme->page_lg2) - 1));
}

/* 7.6.1 */
static void enable(struct nvme *nvme)
{
	uint32_t aqa = hw_load32(nvme->registers + NVME_AQA);
	uint32_t sq_size = (aqa & 0xfff) + 1, cq_size = (aqa >> 16 & 0xfff) + 1;
	uint64_t asq = hw_load64(nvme->registers + NVME_ASQ);
	uint64_t acq = hw_load64(nvme->registers + NVME_ACQ);

	nvme->page_lg2 = 12 + (nvme->cc >> 7 & 0xf);
	if (!may_enable(nvme, asq, acq) || sq_size < 2 || cq_size < 2) {
		/*
		 * CSTS.RDY does not change when the program tries again, so CC.EN must: it
		 * would not wait for a change of 1 to 0 to be seen.
		 */
		nvme->cc &= ~NVME_CC_EN;
		hw_replace32(nvme->registers + NVME_CC, nvme->cc | NVME_CC_EN, nvme->cc);
		nvme_fail(nvme);
		return;
	}
	nvme_open_cq(nvme, 0, acq, cq_size, true, 0);
	nvme_open_sq(nvme, 0, asq, sq_size, 0);
	store_csts(nvme, NVME_CSTS_RDY);
}

/* 7.6.2: commands are taken one after the other, so that nothing is under way. */
static void shut_down(struct nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		nvme_flush_store(&nvme->ns[i]);
	store_csts(nvme, (nvme->csts & ~NVME_CSTS_SHST) | NVME_CSTS_SHUT);
}

static bool look_cc(struct nvme *nvme)
{
	uint32_t cc = hw_load32(nvme->registers + NVME_CC), changed = cc ^ nvme->cc;

	if (!changed)
		return false;
	nvme->cc = cc;
	if (changed & NVME_CC_EN && !(cc & NVME_CC_EN)) {
		disable(nvme);
		return true;
	}
	if (changed & NVME_CC_EN)
		enable(nvme);
	if (NVME_CC_SHN(cc) && NVME_CC_SHN(changed))
		shut_down(nvme);
	return true;
}

/* 3.1.3, 3.1.4 */
static void look_mask(struct nvme *nvme)
{
	uint32_t set = hw_load32(nvme->registers + NVME_INTMS);
	uint32_t clear = hw_load32(nvme->registers + NVME_INTMC);

	if (set == nvme->mask && !clear)
		return;
	if (clear)
		hw_replace32(nvme->registers + NVME_INTMC, clear, 0);
	nvme->mask = (nvme->mask | set) & ~clear;
	hw_replace32(nvme->registers + NVME_INTMS, set, nvme->mask);
	nvme_update_pin(nvme);
}

static bool look(void *device)
{
	struct nvme *nvme = device;
	bool busy;

	if (look_cc(nvme))
		return true;
	if (hw_load32(nvme->registers + NVME_CSTS) != nvme->csts)
		store_csts(nvme, nvme->csts);
	look_mask(nvme);
	if ((nvme->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) != NVME_CSTS_RDY)
		return false;
	busy = false;
	for (unsigned int sqid = 0; sqid <= nvme->nr_io_queues; sqid++) {
		if (nvme->sq[sqid].exists)
			busy |= nvme_look_queue(nvme, sqid);
		if (!hw_worker_wanted(&nvme->worker))
			break;
	}
	if (nvme->event_waits)
		nvme_report_event(nvme);
	if (nvme->pin)
		nvme_update_pin(nvme);
	return busy;
}

static uint64_t nvme_read(struct hw_device *dev, unsigned int bar, uint64_t offset,
			  unsigned int size)
{
	if (offset == NVME_INTMC && size == 4)
		offset = NVME_INTMS;
	return hw_load(nvme_of(dev)->registers + offset, size);
}

static void nvme_write(struct hw_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		       uint64_t value)
{
	struct nvme *nvme = nvme_of(dev);
	uint8_t *at = nvme->registers + offset;

	/* Those that are read-only. */
	if (offset < NVME_INTMS || (offset >= NVME_CSTS && offset < NVME_AQA))
		return;
	if ((offset == NVME_INTMS || offset == NVME_INTMC) && size == 4)
		__atomic_or_fetch((uint32_t *)(void *)at, htole32((uint32_t)value),
				  __ATOMIC_SEQ_CST);
	else
		hw_store(at, size, value);
	hw_worker_kick(&nvme->worker);
}

/* ---- options ---- */

struct options {
	struct nvme *nvme;
	uint64_t size;  /* of namespaces that are not named */
	uint64_t nr_ns; /* at least */
	unsigned int nr_given;
	struct given {
		char *file; /* NULL: memory */
		uint64_t size;
	} given[NVME_MAX_NS];
};

static struct given *give(struct options *options)
{
	if (options->nr_given == NVME_MAX_NS)
		return NULL;
	return &options->given[options->nr_given++];
}

static bool take_file(void *to, unsigned int number, const char *value)
{
	struct given *given = *value ? give(to) : NULL;

	if (!given)
		return false;
	given->file = strdup(value);
	return given->file;
}

static bool take_size(void *to, unsigned int number, const char *value)
{
	struct options *options = to;
	struct given *given;

	if (!hw_parse_bytes(value, MAX_SIZE, &options->size) || !options->size)
		return false;
	given = give(options);
	if (given)
		given->size = options->size;
	return given;
}

static bool take_ns(void *to, unsigned int number, const char *value)
{
	struct options *options = to;

	return hw_parse_number(value, NVME_MAX_NS, &options->nr_ns) && options->nr_ns;
}

static bool take_block(void *to, unsigned int number, const char *value)
{
	struct nvme *nvme = ((struct options *)to)->nvme;
	uint64_t bytes;

	if (!hw_parse_bytes(value, 4096, &bytes) || (bytes != 512 && bytes != 4096))
		return false;
	nvme->block_lg2 = bytes == 512 ? 9 : 12;
	return true;
}

static bool take_queues(void *to, unsigned int number, const char *value)
{
	struct nvme *nvme = ((struct options *)to)->nvme;
	uint64_t queues;

	if (!hw_parse_number(value, NVME_MAX_IO_QUEUES, &queues) || !queues)
		return false;
	nvme->nr_io_queues = (unsigned int)queues;
	return true;
}

static bool take_serial(void *to, unsigned int number, const char *value)
{
	struct nvme *nvme = ((struct options *)to)->nvme;

	if (!*value || strlen(value) >= sizeof(nvme->serial))
		return false;
	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~')
			return false;
	strcpy(nvme->serial, value);
	return true;
}

static bool take_read_only(void *to, unsigned int number, const char *value)
{
	struct nvme *nvme = ((struct options *)to)->nvme;

	nvme->read_only = !strcmp(value, "on");
	return nvme->read_only || !strcmp(value, "off");
}

static const struct hw_option known_options[] = {
	{"file", "the path of an image (64 namespaces at most)", take_file, 0},
	{"size", "bytes such as 64M (64 namespaces at most)", take_size, 0},
	{"ns", "a number from 1 to 64", take_ns, 0},
	{"block", "512 or 4096", take_block, 0},
	{"queues", "a number from 1 to 64", take_queues, 0},
	{"serial", "1 to 20 printable characters", take_serial, 0},
	{"readonly", "on or off", take_read_only, 0},
	{.key = NULL},
};

static bool open_namespaces(struct options *options, char *error, size_t size)
{
	struct nvme *nvme = options->nvme;

	for (unsigned int i = 0; i < options->nr_given || i < options->nr_ns; i++) {
		struct nvme_ns *ns = &nvme->ns[i];
		bool opened;

		if (i < options->nr_given && options->given[i].file)
			opened = nvme_open_file(ns, options->given[i].file, nvme->read_only, error,
						size);
		else
			opened = nvme_open_memory(
				ns, i < options->nr_given ? options->given[i].size : options->size,
				error, size);
		if (!opened)
			return false;
		nvme->nr_ns++;
		ns->blocks = ns->size >> nvme->block_lg2;
		if (!ns->blocks) {
			snprintf(error, size, "namespace %u is smaller than a block of %u bytes",
				 i + 1, 1u << nvme->block_lg2);
			return false;
		}
	}
	return true;
}

static bool read_options(struct nvme *nvme, const char *text, char *error, size_t size)
{
	struct options options = {.nvme = nvme, .size = DEFAULT_SIZE, .nr_ns = 1};
	bool good = !hw_options_parse(text, known_options, &options, error, size) &&
		    open_namespaces(&options, error, size);

	for (unsigned int i = 0; i < options.nr_given; i++)
		free(options.given[i].file);
	return good;
}

/* ---- life ---- */

static void free_nvme(struct nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		nvme_close_ns(&nvme->ns[i]);
	free(nvme);
}

static struct hw_device *nvme_create(const char *options, const struct hw_device_host *ops,
				     void *host, char *error, size_t error_size)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int ret;

	if (!nvme) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	nvme->ops = ops;
	nvme->host = host;
	nvme->nr_io_queues = 16;
	nvme->block_lg2 = 9;
	strcpy(nvme->serial, "uiommu-0");
	if (!read_options(nvme, options, error, error_size)) {
		free_nvme(nvme);
		return NULL;
	}
	nvme->identity = (struct hw_identity){
		.vendor = 0x1b36,
		.device = 0x0010, /* QEMU NVM Express controller: no driver has quirks for it */
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class_code = 0x010802,
		.revision = 2,
		.bar[0] = {.size = NVME_BAR_SIZE, .is_64bit = true, .mappable = true},
		.intx = true,
		.msix = nvme->nr_io_queues + 1,
		.msix_table = NVME_MSIX_TABLE,
		.msix_pending = NVME_MSIX_PENDING,
	};
	ret = hw_worker_create(&nvme->worker, look, nvme, 0);
	if (ret) {
		snprintf(error, error_size, "no thread: %s", strerror(-ret));
		free_nvme(nvme);
		return NULL;
	}
	return (struct hw_device *)nvme;
}

static void nvme_destroy(struct hw_device *dev)
{
	hw_worker_destroy(&nvme_of(dev)->worker);
	free_nvme(nvme_of(dev));
}

static const struct hw_identity *nvme_identity(const struct hw_device *dev)
{
	return &((const struct nvme *)dev)->identity;
}

static void reset_all(struct nvme *nvme)
{
	memset(nvme->registers, 0, NVME_BAR_SIZE);
	nvme->cc = 0;
	nvme->mask = 0;
	disable(nvme);
}

static void nvme_set_memory(struct hw_device *dev, unsigned int bar, void *memory)
{
	nvme_of(dev)->registers = memory;
	reset_all(nvme_of(dev));
	hw_worker_start(&nvme_of(dev)->worker);
}

static void nvme_stop(struct hw_device *dev)
{
	hw_worker_stop(&nvme_of(dev)->worker);
}

static void nvme_start(struct hw_device *dev)
{
	hw_worker_start(&nvme_of(dev)->worker);
}

static void nvme_reset(struct hw_device *dev)
{
	bool running = hw_worker_stop(&nvme_of(dev)->worker);

	reset_all(nvme_of(dev));
	if (running)
		hw_worker_start(&nvme_of(dev)->worker);
}

const struct hw_model hw_nvme_model = {
	.name = "nvme",
	.summary = "an NVMe 1.4 controller: file=IMAGE or size=64M for each namespace, ns=N,"
		   "block=512,queues=16,serial=,readonly=on",
	.create = nvme_create,
	.destroy = nvme_destroy,
	.identity = nvme_identity,
	.set_memory = nvme_set_memory,
	.read = nvme_read,
	.write = nvme_write,
	.reset = nvme_reset,
	.stop = nvme_stop,
	.start = nvme_start,
	.save = nvme_save,
	.load = nvme_load,
};
