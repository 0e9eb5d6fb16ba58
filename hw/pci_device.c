// SPDX-License-Identifier: MIT
/*
 * A PCI device of any identity and shape, whose BARs are memory and which does
 * nothing: the stand-in for a device that a program looks at but does not drive.
 *
 * No register has a side effect, so nothing is watched and there is no thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/models.h"
#include "hw/options.h"
#include "hw/registers.h"
#include "hw/state.h"

#define STATE_MAGIC 0x31696370u /* "pci1" */
#define MIN_BAR     0x80        /* bytes; PCI 3.0, 6.2.5.1: at least 16 */
#define MAX_BAR     (UINT64_C(1) << 46)
#define MAX_BAR_32  (UINT64_C(1) << 31)
/* The contents of BARs up to so many bytes migrate; larger ones start as zeros. */
#define MIGRATED_BAR (UINT64_C(64) << 20)

struct pci_device {
	struct hw_identity identity;
	bool msix_placed; /* the options say where the table lies */
	uint8_t *memory[HW_NR_BARS];
	bool own[HW_NR_BARS]; /* memory that is not the host's */
};

/* ---- options ---- */

enum field {
	VENDOR,
	DEVICE,
	SUBSYSTEM_VENDOR,
	SUBSYSTEM_DEVICE
};

static bool take_id(void *options, unsigned int number, const char *value)
{
	struct hw_identity *identity = &((struct pci_device *)options)->identity;
	uint16_t *const fields[] = {&identity->vendor, &identity->device,
				    &identity->subsystem_vendor, &identity->subsystem_device};
	uint64_t id;

	if (!hw_parse_number(value, UINT16_MAX, &id))
		return false;
	*fields[number] = (uint16_t)id;
	return true;
}

static bool take_class(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;
	uint64_t code;

	if (!hw_parse_number(value, 0xffffff, &code))
		return false;
	pci->identity.class_code = (uint32_t)code;
	return true;
}

static bool take_revision(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;
	uint64_t revision;

	if (!hw_parse_number(value, UINT8_MAX, &revision))
		return false;
	pci->identity.revision = (uint8_t)revision;
	return true;
}

static bool take_flag(struct hw_bar *bar, const char *flag)
{
	if (!strcmp(flag, "64"))
		bar->is_64bit = true;
	else if (!strcmp(flag, "prefetch"))
		bar->prefetchable = true;
	else if (!strcmp(flag, "trap"))
		bar->mappable = false;
	else
		return false;
	return true;
}

static bool take_bar(void *options, unsigned int number, const char *value)
{
	struct hw_bar bar = {.mappable = true};
	char copy[64], *rest = copy, *size;

	if (strlen(value) >= sizeof(copy))
		return false;
	strcpy(copy, value);
	size = strsep(&rest, ":");
	if (!hw_parse_bytes(size, MAX_BAR, &bar.size) || bar.size < MIN_BAR ||
	    bar.size & (bar.size - 1))
		return false;
	while (rest)
		if (!take_flag(&bar, strsep(&rest, ":")))
			return false;
	if (bar.is_64bit ? number == HW_NR_BARS - 1 : bar.size > MAX_BAR_32)
		return false;
	((struct pci_device *)options)->identity.bar[number] = bar;
	return true;
}

static bool take_msix(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;
	uint64_t vectors;

	if (!hw_parse_number(value, 2048, &vectors))
		return false;
	pci->identity.msix = (unsigned int)vectors;
	return true;
}

static bool take_msix_bar(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;
	uint64_t bar;

	if (!hw_parse_number(value, HW_NR_BARS - 1, &bar))
		return false;
	pci->identity.msix_bar = (unsigned int)bar;
	pci->msix_placed = true;
	return true;
}

static bool take_msi(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;
	uint64_t vectors;

	if (!hw_parse_number(value, 32, &vectors) || vectors & (vectors - 1))
		return false;
	pci->identity.msi = (unsigned int)vectors;
	return true;
}

static bool take_intx(void *options, unsigned int number, const char *value)
{
	struct pci_device *pci = options;

	pci->identity.intx = !strcmp(value, "on");
	return pci->identity.intx || !strcmp(value, "off");
}

#define ID_IS  "a number up to 0xffff"
#define BAR_IS "a power of two of bytes, then any of :64, :prefetch, :trap (64G:64:prefetch)"

static const struct hw_option known_options[] = {
	{"vendor", ID_IS, take_id, VENDOR},
	{"device", ID_IS, take_id, DEVICE},
	{"subsystem-vendor", ID_IS, take_id, SUBSYSTEM_VENDOR},
	{"subsystem-device", ID_IS, take_id, SUBSYSTEM_DEVICE},
	{"class", "24 bits such as 0x030200", take_class, 0},
	{"revision", "a number up to 255", take_revision, 0},
	{"bar0", BAR_IS, take_bar, 0},
	{"bar1", BAR_IS, take_bar, 1},
	{"bar2", BAR_IS, take_bar, 2},
	{"bar3", BAR_IS, take_bar, 3},
	{"bar4", BAR_IS, take_bar, 4},
	{"bar5", BAR_IS, take_bar, 5},
	{"msix", "a number of vectors up to 2048", take_msix, 0},
	{"msix-bar", "the number of a BAR", take_msix_bar, 0},
	{"msi", "a power of two of vectors up to 32", take_msi, 0},
	{"intx", "on or off", take_intx, 0},
	{.key = NULL},
};

/* The upper half of a BAR of 64 bits is no BAR itself. */
static bool bar_is_free(const struct hw_identity *identity, unsigned int bar)
{
	return !identity->bar[bar].size && (!bar || !identity->bar[bar - 1].is_64bit);
}

/* The vectors' table and pending bits, in a BAR of their own unless options name one. */
static bool place_msix(struct pci_device *pci, char *error, size_t size)
{
	struct hw_identity *identity = &pci->identity;
	uint32_t table = identity->msix * 16, pending = (identity->msix + 63) / 64 * 8;
	unsigned int bar = identity->msix_bar;
	uint64_t need = MIN_BAR;

	if (!identity->msix)
		return true;
	while (need < table + pending || need < 4096)
		need *= 2;
	if (!pci->msix_placed) {
		for (bar = 0; bar < HW_NR_BARS && !bar_is_free(identity, bar);)
			bar++;
		if (bar == HW_NR_BARS) {
			snprintf(error, size, "no BAR is left for msix=%u, expected msix-bar=N",
				 identity->msix);
			return false;
		}
		identity->bar[bar] = (struct hw_bar){.size = need, .mappable = true};
	}
	if (identity->bar[bar].size < need) {
		snprintf(error, size,
			 "msix-bar=%u is too small for %u vectors, expected %llu bytes", bar,
			 identity->msix, (unsigned long long)need);
		return false;
	}
	identity->msix_bar = bar;
	identity->msix_table = 0;
	identity->msix_pending = table;
	return true;
}

static bool check_bars(const struct hw_identity *identity, char *error, size_t size)
{
	for (unsigned int bar = 1; bar < HW_NR_BARS; bar++)
		if (identity->bar[bar].size && identity->bar[bar - 1].is_64bit) {
			snprintf(error, size, "bar%u is the upper half of bar%u, which has 64 bits",
				 bar, bar - 1);
			return false;
		}
	return true;
}

/* ---- the device ---- */

static struct pci_device *of(struct hw_device *dev)
{
	return (struct pci_device *)dev;
}

static void pci_destroy(struct hw_device *dev)
{
	struct pci_device *pci = of(dev);

	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++)
		if (pci->own[bar])
			munmap(pci->memory[bar], pci->identity.bar[bar].size);
	free(pci);
}

/* BARs that cannot be mapped are memory all the same. */
static bool make_memory(struct pci_device *pci)
{
	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++) {
		const struct hw_bar *shape = &pci->identity.bar[bar];
		void *memory;

		if (!shape->size || shape->mappable)
			continue;
		memory = mmap(NULL, shape->size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED)
			return false;
		pci->memory[bar] = memory;
		pci->own[bar] = true;
	}
	return true;
}

static struct hw_device *pci_create(const char *options, const struct hw_device_host *ops,
				    void *host, char *error, size_t error_size)
{
	struct pci_device *pci = calloc(1, sizeof(*pci));

	if (!pci) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	pci->identity = (struct hw_identity){
		.vendor = 0x1b36, /* Red Hat, Inc.: QEMU's test device */
		.device = 0x0005,
		.class_code = 0xff0000,
	};
	if (hw_options_parse(options, known_options, pci, error, error_size) ||
	    !place_msix(pci, error, error_size) || !check_bars(&pci->identity, error, error_size)) {
		free(pci);
		return NULL;
	}
	if (!make_memory(pci)) {
		snprintf(error, error_size, "no memory for a BAR: %s", strerror(errno));
		pci_destroy((struct hw_device *)pci);
		return NULL;
	}
	return (struct hw_device *)pci;
}

static const struct hw_identity *pci_identity(const struct hw_device *dev)
{
	return &((const struct pci_device *)dev)->identity;
}

static void pci_set_memory(struct hw_device *dev, unsigned int bar, void *memory)
{
	of(dev)->memory[bar] = memory;
}

static uint64_t pci_read(struct hw_device *dev, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	return of(dev)->memory[bar] ? hw_load(of(dev)->memory[bar] + offset, size) : 0;
}

static void pci_write(struct hw_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	if (of(dev)->memory[bar])
		hw_store(of(dev)->memory[bar] + offset, size, value);
}

/* What memory of a device holds after a reset is not defined: here, what it held before. */
static void pci_rest(struct hw_device *dev)
{
}

/* ---- migration ---- */

static bool migrates(const struct pci_device *pci, unsigned int bar)
{
	return pci->memory[bar] && pci->identity.bar[bar].size <= MIGRATED_BAR;
}

static size_t pci_save(struct hw_device *dev, void *state, size_t size)
{
	struct hw_writer writer = {.to = state, .size = size};

	hw_write32(&writer, STATE_MAGIC);
	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++) {
		hw_write64(&writer, of(dev)->identity.bar[bar].size);
		if (migrates(of(dev), bar))
			hw_write_sparse(&writer, of(dev)->memory[bar],
					of(dev)->identity.bar[bar].size);
	}
	return writer.length;
}

static bool read_state(struct pci_device *pci, struct hw_reader reader, bool apply)
{
	if (hw_read32(&reader) != STATE_MAGIC)
		return false;
	for (unsigned int bar = 0; bar < HW_NR_BARS; bar++) {
		uint64_t size = pci->identity.bar[bar].size;

		if (hw_read64(&reader) != size)
			return false;
		if (!migrates(pci, bar))
			continue;
		if (apply)
			memset(pci->memory[bar], 0, size);
		hw_read_sparse(&reader, apply ? pci->memory[bar] : NULL, size);
	}
	return !reader.bad && !reader.left;
}

static int pci_load(struct hw_device *dev, const void *state, size_t size)
{
	struct hw_reader reader = {.at = state, .left = size};

	if (!read_state(of(dev), reader, false))
		return -EINVAL;
	read_state(of(dev), reader, true);
	return 0;
}

const struct hw_model hw_pci_model = {
	.name = "pci",
	.summary = "a device of any identity and shape: vendor=,device=,class=,bar0=16M,"
		   "bar2=64G:64:prefetch,msix=32",
	.create = pci_create,
	.destroy = pci_destroy,
	.identity = pci_identity,
	.set_memory = pci_set_memory,
	.read = pci_read,
	.write = pci_write,
	.reset = pci_rest,
	.stop = pci_rest,
	.start = pci_rest,
	.save = pci_save,
	.load = pci_load,
};
